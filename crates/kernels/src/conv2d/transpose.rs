//! From planes to pixels with channels last, and back: transposed copies in blocks of 8 x 8.

use super::kernel::Store;
use super::number::Number;

/// Rows and columns of a block.
pub(super) const SIDE: usize = 8;

/// `target[n * target_pitch + r]` = `source[r * source_pitch + n]` for `rows` r and `columns` n.
#[inline(always)]
pub(super) fn transpose<T: Number>(
    (rows, columns): (usize, usize),
    source: &[T],
    source_pitch: usize,
    target: &mut [T],
    target_pitch: usize,
    store: Store,
) {
    let (full_rows, full_columns) = (rows - rows % SIDE, columns - columns % SIDE);
    for row in (0..full_rows).step_by(SIDE) {
        for column in (0..full_columns).step_by(SIDE) {
            let mut block = [[T::ZERO; SIDE]; SIDE];
            for (index, line) in block.iter_mut().enumerate() {
                let from = (row + index) * source_pitch + column;
                line.copy_from_slice(&source[from..from + SIDE]);
            }
            for (index, line) in T::turned(block).iter().enumerate() {
                let to = (column + index) * target_pitch + row;
                store.put(&mut target[to..to + SIDE], line);
            }
        }
    }
    let mut single = |row: usize, column: usize| {
        let (from, to) = (row * source_pitch + column, column * target_pitch + row);
        store.put(&mut target[to..=to], &source[from..=from]);
    };
    for row in 0..full_rows {
        (full_columns..columns).for_each(|column| single(row, column));
    }
    for row in full_rows..rows {
        (0..columns).for_each(|column| single(row, column));
    }
}

/// (panel, pixel, panel width) of planes; what stood behind the last plane stays.
#[inline(always)]
pub(super) fn panels_of<T: Number>(planes: &[T], pixels: usize, panels: &mut [T]) {
    let planes = planes.chunks(T::WIDTH * pixels);
    for (planes, panel) in planes.zip(panels.chunks_exact_mut(pixels * T::WIDTH)) {
        transpose(
            (planes.len() / pixels, pixels),
            planes,
            pixels,
            panel,
            T::WIDTH,
            Store::Write,
        );
    }
}

/// Rows and columns of `block` exchanged.
#[inline(always)]
pub(super) fn turned<T: Copy>(block: [[T; SIDE]; SIDE]) -> [[T; SIDE]; SIDE] {
    let mut turned = block;
    for (row, line) in turned.iter_mut().enumerate() {
        for (column, value) in line.iter_mut().enumerate() {
            *value = block[column][row];
        }
    }
    turned
}

/// [`turned`] by shuffles between the eight registers that hold the block, which compilers do not
/// find.
#[inline(always)]
pub(super) fn turned_by_registers(block: [[f32; SIDE]; SIDE]) -> [[f32; SIDE]; SIDE] {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        use pulp::bytemuck::cast;
        use std::arch::x86_64::__m256;

        let (avx, rows) = (simd.avx, cast::<_, [__m256; SIDE]>(block));
        let low = |a: usize| avx._mm256_unpacklo_ps(rows[a], rows[a + 1]);
        let high = |a: usize| avx._mm256_unpackhi_ps(rows[a], rows[a + 1]);
        let pairs = [
            low(0),
            high(0),
            low(2),
            high(2),
            low(4),
            high(4),
            low(6),
            high(6),
        ];
        let front = |a: usize| avx._mm256_shuffle_ps::<0b01_00_01_00>(pairs[a], pairs[a + 2]);
        let back = |a: usize| avx._mm256_shuffle_ps::<0b11_10_11_10>(pairs[a], pairs[a + 2]);
        let fours = [
            front(0),
            back(0),
            front(1),
            back(1),
            front(4),
            back(4),
            front(5),
            back(5),
        ];
        let lower = |a: usize| avx._mm256_permute2f128_ps::<0x20>(fours[a], fours[a + 4]);
        let upper = |a: usize| avx._mm256_permute2f128_ps::<0x31>(fours[a], fours[a + 4]);
        return cast([
            lower(0),
            lower(1),
            lower(2),
            lower(3),
            upper(0),
            upper(1),
            upper(2),
            upper(3),
        ]);
    }
    turned(block)
}
