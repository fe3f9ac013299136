//! The two number types with the vectors of the processor, for loops that the compiler does not
//! vectorise by itself, and the buffers that such loops work in.

use std::cell::RefCell;

use pulp::Simd;

use crate::real::Real;

/// Rows and columns of a block that is transposed at once.
pub(crate) const SIDE: usize = 8;

/// Buffers that a thread keeps between calls, for one image or block of tiles at a time.
#[derive(Default)]
pub(crate) struct Scratch<T> {
    pub(crate) image: Vec<T>,
    pub(crate) kernel: Vec<T>,
    pub(crate) left: Vec<T>,
    pub(crate) right: Vec<T>,
    pub(crate) result: Vec<T>,
    pub(crate) gradient: Vec<T>,
}

/// The first `length` elements of `buffer`, which may hold anything.
pub(crate) fn room<T: Real>(buffer: &mut Vec<T>, length: usize) -> &mut [T] {
    if buffer.len() < length {
        buffer.resize(length, T::ZERO);
    }
    &mut buffer[..length]
}

/// A number with vectors and buffers of it.
pub(crate) trait Vectors: Real {
    /// Numbers in a panel: 64 bytes.
    const WIDTH: usize = 64 / size_of::<Self>();
    type Vector<S: Simd>: Copy;

    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    fn vectors<S: Simd>(values: &[Self]) -> &[Self::Vector<S>];
    fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [Self::Vector<S>];
    /// a b + c, rounded once.
    fn mul_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    fn minus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    fn times<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// The sum of the elements of a vector.
    fn total<S: Simd>(simd: S, a: Self::Vector<S>) -> Self;
    /// Calls `work` with this thread's buffers.
    fn with_scratch<R>(work: impl FnOnce(&mut Scratch<Self>) -> R) -> R;
    /// Rows and columns of `block` exchanged.
    fn turned(block: [[Self; SIDE]; SIDE]) -> [[Self; SIDE]; SIDE];
}

macro_rules! vectors {
    ($type:ty, $vectors:ident, $splat:ident, $as:ident, $as_mut:ident, $sum:ident, $turned:path,
     $($name:ident($($operand:ident),*): $operation:ident),*) => {
        impl Vectors for $type {
            type Vector<S: Simd> = S::$vectors;

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vectors {
                simd.$splat(value)
            }
            #[inline(always)]
            fn vectors<S: Simd>(values: &[Self]) -> &[S::$vectors] {
                S::$as(values).0
            }
            #[inline(always)]
            fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [S::$vectors] {
                S::$as_mut(values).0
            }
            $(
                #[inline(always)]
                fn $name<S: Simd>(simd: S, $($operand: S::$vectors),*) -> S::$vectors {
                    simd.$operation($($operand),*)
                }
            )*
            #[inline(always)]
            fn total<S: Simd>(simd: S, a: S::$vectors) -> Self {
                simd.$sum(a)
            }
            fn with_scratch<R>(work: impl FnOnce(&mut Scratch<Self>) -> R) -> R {
                thread_local! {
                    static SCRATCH: RefCell<Scratch<$type>> = RefCell::default();
                }
                SCRATCH.with_borrow_mut(work)
            }
            #[inline(always)]
            fn turned(block: [[Self; SIDE]; SIDE]) -> [[Self; SIDE]; SIDE] {
                $turned(block)
            }
        }
    };
}
vectors!(
    f32, f32s, splat_f32s, as_simd_f32s, as_mut_simd_f32s, reduce_sum_f32s, turned_by_registers,
    mul_add(a, b, c): mul_add_e_f32s, plus(a, b): add_f32s, minus(a, b): sub_f32s, times(a, b): mul_f32s
);
vectors!(
    f64, f64s, splat_f64s, as_simd_f64s, as_mut_simd_f64s, reduce_sum_f64s, turned,
    mul_add(a, b, c): mul_add_e_f64s, plus(a, b): add_f64s, minus(a, b): sub_f64s, times(a, b): mul_f64s
);

/// Rows and columns of `block` exchanged.
#[inline(always)]
fn turned<T: Copy>(block: [[T; SIDE]; SIDE]) -> [[T; SIDE]; SIDE] {
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
fn turned_by_registers(block: [[f32; SIDE]; SIDE]) -> [[f32; SIDE]; SIDE] {
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
