//! The kernel's gradient: an outer product of every window with its cotangent.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::{bordered, starts};
use crate::conv2d::kernel::{ROWS, Store, outer};
use crate::conv2d::operands::{Extents, Images};
use crate::conv2d::transpose::panels_of;
use crate::vectors::{Scratch, Vectors, room};

/// Pixels whose windows and cotangents stay in the first-level cache.
const PIXELS: usize = 128;

/// Adds the gradient of a kernel by `range` of images and cotangents to `sum`, (row of taps, panel,
/// tap of the row, channel, panel width).
pub(in crate::conv2d) struct Gradient<'a, T> {
    pub(in crate::conv2d) scratch: &'a mut Scratch<T>,
    pub(in crate::conv2d) extents: &'a Extents,
    pub(in crate::conv2d) images: Images<'a, T>,
    pub(in crate::conv2d) cotangents: Images<'a, T>,
    pub(in crate::conv2d) range: Range<usize>,
    pub(in crate::conv2d) sum: &'a mut [T],
}

impl<T: Vectors> WithSimd for Gradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (scratch, extents) = (self.scratch, self.extents);
        let image = bordered(extents);
        let starts = starts(extents, &image);
        let (pixels, panels) = (extents.output_pixels(), extents.outputs.div_ceil(T::WIDTH));
        let length = extents.kernel.1 * extents.channels;
        let bordered = room(&mut scratch.image, image.length());
        bordered.fill(T::ZERO);
        let right = room(&mut scratch.right, panels * pixels * T::WIDTH);
        for index in self.range {
            image.fill(self.images.get(index), bordered);
            panels_of(self.cotangents.get(index), pixels, right);
            for (block, starts) in starts.chunks(PIXELS).enumerate() {
                for row in 0..extents.kernel.0 {
                    for panel in 0..panels {
                        let from = (panel * pixels + block * PIXELS) * T::WIDTH;
                        let right = &right[from..][..starts.len() * T::WIDTH];
                        for first in (0..length).step_by(ROWS) {
                            let left = image.place(row, 0) + first;
                            let to = (row * panels + panel) * length + first;
                            outer(
                                simd,
                                (ROWS.min(length - first), starts.len()),
                                bordered,
                                |pixel| starts[pixel] + left,
                                right,
                                self.sum,
                                |index| (to + index) * T::WIDTH,
                                Store::Add,
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Adds the packed gradient to (O, I, kh, kw).
pub(in crate::conv2d) fn add_gradient<T: Vectors>(extents: &Extents, packed: &[T], sum: &mut [T]) {
    let ((rows, columns), channels) = (extents.kernel, extents.channels);
    let panels = extents.outputs.div_ceil(T::WIDTH);
    for (at, taps) in sum.chunks_exact_mut(rows * columns).enumerate() {
        let (output, channel) = (at / channels, at % channels);
        let (panel, lane) = (output / T::WIDTH, output % T::WIDTH);
        for (tap, value) in taps.iter_mut().enumerate() {
            let (row, column) = (tap / columns, tap % columns);
            let line = ((row * panels + panel) * columns + column) * channels + channel;
            *value += packed[line * T::WIDTH + lane];
        }
    }
}
