//! Kernels of one tap at stride 1: y = W x on planes as they are, pixels in the panels.

use std::ops::Range;

use pulp::{NullaryFnOnce, Simd, WithSimd};

use super::kernel::{ROWS, Store, outer};
use super::operands::{Extents, Images, Taps};
use crate::vectorised::vectorised;
use crate::vectors::{Scratch, Vectors, room};

/// (C, K): the kernel with channels first.
pub(super) fn pack<T: Vectors>(extents: &Extents, taps: Taps<'_, T>) -> Vec<T> {
    let mut packed = vec![T::ZERO; extents.channels * extents.outputs];
    vectorised(Matrix {
        taps,
        channels: extents.channels,
        packed: &mut packed,
    });
    packed
}

struct Matrix<'a, T> {
    taps: Taps<'a, T>,
    channels: usize,
    packed: &'a mut [T],
}

impl<T: Vectors> NullaryFnOnce for Matrix<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.taps.matrix(self.channels, self.packed);
    }
}

/// Applies a packed kernel to `range` of `images`, adding to `out` or writing it.
pub(super) struct Apply<'a, T> {
    pub(super) scratch: &'a mut Scratch<T>,
    pub(super) extents: &'a Extents,
    pub(super) packed: &'a [T],
    pub(super) images: Images<'a, T>,
    pub(super) range: Range<usize>,
    pub(super) out: &'a mut [T],
    pub(super) store: Store,
}

impl<T: Vectors> WithSimd for Apply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (channels, outputs) = (self.extents.channels, self.extents.outputs);
        let pixels = self.extents.image_pixels();
        let scratch = self.scratch;
        let right = room(&mut scratch.right, channels * T::WIDTH);
        let result = room(&mut scratch.result, ROWS * T::WIDTH);
        for (index, planes) in self.range.zip(self.out.chunks_exact_mut(outputs * pixels)) {
            let image = self.images.get(index);
            for pixel in (0..pixels).step_by(T::WIDTH) {
                let width = T::WIDTH.min(pixels - pixel);
                for (plane, row) in image
                    .chunks_exact(pixels)
                    .zip(right.chunks_exact_mut(T::WIDTH))
                {
                    if width == T::WIDTH {
                        row.copy_from_slice(&plane[pixel..pixel + T::WIDTH]);
                    } else {
                        row[..width].copy_from_slice(&plane[pixel..]);
                    }
                }
                for first in (0..outputs).step_by(ROWS) {
                    let count = ROWS.min(outputs - first);
                    let left = |channel| channel * outputs + first;
                    let (size, place) = ((count, channels), first * pixels + pixel);
                    if width == T::WIDTH {
                        outer(
                            simd,
                            size,
                            self.packed,
                            left,
                            right,
                            planes,
                            |row| place + row * pixels,
                            self.store,
                        );
                        continue;
                    }
                    outer(
                        simd,
                        size,
                        self.packed,
                        left,
                        right,
                        result,
                        |row| row * T::WIDTH,
                        Store::Write,
                    );
                    for (row, values) in result.chunks_exact(T::WIDTH).take(count).enumerate() {
                        let target = &mut planes[place + row * pixels..][..width];
                        self.store.put(target, &values[..width]);
                    }
                }
            }
        }
    }
}
