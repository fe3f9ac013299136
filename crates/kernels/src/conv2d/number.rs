//! The two number types with their panels and buffers.

use std::cell::RefCell;

use super::transpose::{SIDE, turned, turned_by_registers};
use crate::vectors::Vectors;

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

/// A number with panels and buffers of it.
pub(super) trait Number: Vectors {
    /// Columns of a panel.
    const WIDTH: usize;

    /// Calls `work` with this thread's buffers.
    fn with_scratch<R>(work: impl FnOnce(&mut Scratch<Self>) -> R) -> R;
    /// Rows and columns of `block` exchanged.
    fn turned(block: [[Self; SIDE]; SIDE]) -> [[Self; SIDE]; SIDE];
}

macro_rules! number {
    ($type:ty, $turned:path) => {
        impl Number for $type {
            const WIDTH: usize = 64 / size_of::<$type>();

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
number!(f32, turned_by_registers);
number!(f64, turned);
