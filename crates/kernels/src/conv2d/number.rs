//! The two number types with their vectors, panels and buffers.

use std::cell::RefCell;

use pulp::Simd;

use super::transpose::{SIDE, turned, turned_by_registers};
use crate::in_place::Writable;

/// Buffers that a thread keeps between calls, for one image or block of tiles at a time.
#[derive(Default)]
pub(super) struct Scratch<T> {
    pub(super) image: Vec<T>,
    pub(super) kernel: Vec<T>,
    pub(super) left: Vec<T>,
    pub(super) right: Vec<T>,
    pub(super) result: Vec<T>,
    pub(super) gradient: Vec<T>,
}

/// The first `length` elements of `buffer`, which may hold anything.
pub(super) fn room<T: Number>(buffer: &mut Vec<T>, length: usize) -> &mut [T] {
    if buffer.len() < length {
        buffer.resize(length, T::ZERO);
    }
    &mut buffer[..length]
}

/// A number with vectors of it.
pub(super) trait Number: Writable {
    /// Columns of a panel.
    const WIDTH: usize;
    type Vector<S: Simd>: Copy;

    /// Calls `work` with this thread's buffers.
    fn with_scratch<R>(work: impl FnOnce(&mut Scratch<Self>) -> R) -> R;
    /// Rows and columns of `block` exchanged.
    fn turned(block: [[Self; SIDE]; SIDE]) -> [[Self; SIDE]; SIDE];
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
}

macro_rules! number {
    ($type:ty, $vectors:ident, $splat:ident, $as:ident, $as_mut:ident, $mul_add:ident, $add:ident,
     $sub:ident, $mul:ident, $turned:path) => {
        impl Number for $type {
            const WIDTH: usize = 64 / size_of::<$type>();
            type Vector<S: Simd> = S::$vectors;

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
            #[inline(always)]
            fn mul_add<S: Simd>(
                simd: S,
                a: S::$vectors,
                b: S::$vectors,
                c: S::$vectors,
            ) -> S::$vectors {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$vectors, b: S::$vectors) -> S::$vectors {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn minus<S: Simd>(simd: S, a: S::$vectors, b: S::$vectors) -> S::$vectors {
                simd.$sub(a, b)
            }
            #[inline(always)]
            fn times<S: Simd>(simd: S, a: S::$vectors, b: S::$vectors) -> S::$vectors {
                simd.$mul(a, b)
            }
        }
    };
}
number!(
    f32,
    f32s,
    splat_f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    mul_add_e_f32s,
    add_f32s,
    sub_f32s,
    mul_f32s,
    turned_by_registers
);
number!(
    f64,
    f64s,
    splat_f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    mul_add_e_f64s,
    add_f64s,
    sub_f64s,
    mul_f64s,
    turned
);
