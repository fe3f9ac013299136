//! From planes to pixels with channels last, and back: transposed copies in blocks of 8 x 8.

use super::kernel::Store;
use crate::vectors::{SIDE, Vectors};

/// `target[n * target_pitch + r]` = `source[r * source_pitch + n]` for `rows` r and `columns` n.
#[inline(always)]
pub(super) fn transpose<T: Vectors>(
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
pub(super) fn panels_of<T: Vectors>(planes: &[T], pixels: usize, panels: &mut [T]) {
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
