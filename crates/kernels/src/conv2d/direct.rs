//! Correlations of any shape, on images with channels last and a border of zeros.
//!
//! In that layout a row of the window, kw taps of C channels, is contiguous. So an output pixel is
//! the product of kh runs of the image with the packed kernel, and the kernel's gradient an outer
//! product of the same runs with the cotangent. The transposed pass with stride s is s² such
//! correlations, one for each phase of the pixels of x̄, with the taps that meet that phase.

pub(super) mod gradient;

use std::ops::Range;

use pulp::{NullaryFnOnce, Simd, WithSimd};

use super::kernel::{ROWS, Store, dot};
use super::operands::{Extents, Images, Taps};
use super::transpose::transpose;
use crate::vectorised::vectorised;
use crate::vectors::{Scratch, Vectors, room};

/// Images with a border, channels last.
#[derive(Clone, Copy)]
struct Bordered {
    channels: usize,
    inner: (usize, usize),
    /// With the border.
    outer: (usize, usize),
    front: (usize, usize),
}

impl Bordered {
    fn length(&self) -> usize {
        self.outer.0 * self.outer.1 * self.channels
    }

    fn place(&self, row: usize, column: usize) -> usize {
        (row * self.outer.1 + column) * self.channels
    }

    #[inline(always)]
    fn fill<T: Vectors>(&self, image: &[T], target: &mut [T]) {
        let (height, width) = self.inner;
        for row in 0..height {
            transpose(
                (self.channels, width),
                &image[row * width..],
                height * width,
                &mut target[self.place(row + self.front.0, self.front.1)..],
                self.channels,
                Store::Write,
            );
        }
    }
}

/// Output pixels that the same taps reach.
struct Phase<T> {
    /// Where the windows start.
    starts: Vec<usize>,
    /// The output pixels.
    places: Vec<usize>,
    /// From the start of a window to each row of taps.
    rows: Vec<usize>,
    /// Taps times channels of such a row.
    length: usize,
    /// (panel, row, length, panel width)
    packed: Vec<T>,
}

/// A packed kernel with what it is applied to.
pub(super) struct Direct<T> {
    image: Bordered,
    outputs: usize,
    pixels: usize,
    phases: Vec<Phase<T>>,
}

impl<T: Vectors> Direct<T> {
    /// y = W * x.
    pub(super) fn forward(extents: &Extents, taps: Taps<'_, T>) -> Self {
        let image = bordered(extents);
        let (rows, columns) = extents.kernel;
        let tap_rows: Vec<_> = (0..rows).collect();
        let tap_columns: Vec<_> = (0..columns).collect();
        Self {
            image,
            outputs: extents.outputs,
            pixels: extents.output_pixels(),
            phases: vec![Phase {
                starts: starts(extents, &image),
                places: (0..extents.output_pixels()).collect(),
                rows: tap_rows.iter().map(|&row| image.place(row, 0)).collect(),
                length: columns * extents.channels,
                packed: pack(extents, taps, &tap_rows, &tap_columns),
            }],
        }
    }

    /// x̄ = Wᵀ * ȳ: `extents` are those of the forward pass but for its channels, which are those of
    /// ȳ, and its outputs, which are those of x̄.
    pub(super) fn backward(extents: &Extents, taps: Taps<'_, T>) -> Self {
        let stride = extents.window.stride;
        let axis = |input: usize, kernel: usize, output: usize| {
            let front = kernel - 1;
            let reach = (input + extents.window.padding).div_ceil(stride) + front;
            (front, reach.max(front + output))
        };
        let (front_row, height) = axis(extents.image.0, extents.kernel.0, extents.output.0);
        let (front_column, width) = axis(extents.image.1, extents.kernel.1, extents.output.1);
        let image = Bordered {
            channels: extents.channels,
            inner: extents.output,
            outer: (height, width),
            front: (front_row, front_column),
        };
        let phases = (0..stride).flat_map(|row| (0..stride).map(move |column| (row, column)));
        Self {
            image,
            outputs: extents.outputs,
            pixels: extents.image_pixels(),
            phases: phases
                .map(|phase| Self::phase(extents, taps, &image, phase))
                .collect(),
        }
    }

    /// Pixels (s a + r, s b + c) of x̄ for the `phase` (r, c).
    fn phase(
        extents: &Extents,
        taps: Taps<'_, T>,
        image: &Bordered,
        (row, column): (usize, usize),
    ) -> Phase<T> {
        let stride = extents.window.stride;
        // Taps in the order of the cotangents that they meet, and the first of these for a = 0.
        let axis = |phase: usize, kernel: usize, front: usize| {
            let shifted = phase + extents.window.padding;
            let mut taps: Vec<_> = (shifted % stride..kernel).step_by(stride).collect();
            taps.reverse();
            (front + 1 + shifted / stride - taps.len(), taps)
        };
        let (first_row, tap_rows) = axis(row, extents.kernel.0, image.front.0);
        let (first_column, tap_columns) = axis(column, extents.kernel.1, image.front.1);
        let (mut starts, mut places) = (Vec::new(), Vec::new());
        for (a, h) in (row..extents.image.0).step_by(stride).enumerate() {
            for (b, w) in (column..extents.image.1).step_by(stride).enumerate() {
                starts.push(image.place(first_row + a, first_column + b));
                places.push(h * extents.image.1 + w);
            }
        }
        let met = if tap_columns.is_empty() {
            0
        } else {
            tap_rows.len()
        };
        Phase {
            starts,
            places,
            rows: (0..met).map(|row| image.place(row, 0)).collect(),
            length: tap_columns.len() * extents.channels,
            packed: pack(extents, taps, &tap_rows, &tap_columns),
        }
    }
}

fn bordered(extents: &Extents) -> Bordered {
    let padding = extents.window.padding;
    let (height, width) = extents.image;
    Bordered {
        channels: extents.channels,
        inner: extents.image,
        outer: (height + 2 * padding, width + 2 * padding),
        front: (padding, padding),
    }
}

/// Where the windows of the output pixels start.
fn starts(extents: &Extents, image: &Bordered) -> Vec<usize> {
    let (stride, (height, width)) = (extents.window.stride, extents.output);
    let rows = (0..height).flat_map(|h| (0..width).map(move |w| (h, w)));
    rows.map(|(h, w)| image.place(h * stride, w * stride))
        .collect()
}

/// (panel, row of taps, tap of the row, channel, panel width) of the taps in `rows` and `columns`;
/// zeros behind the last output.
fn pack<T: Vectors>(
    extents: &Extents,
    taps: Taps<'_, T>,
    rows: &[usize],
    columns: &[usize],
) -> Vec<T> {
    let of_row = |&row| {
        columns
            .iter()
            .map(move |column| row * extents.kernel.1 + column)
    };
    let met: Vec<_> = rows.iter().flat_map(of_row).collect();
    let per_panel = met.len() * extents.channels * T::WIDTH;
    let mut packed = vec![T::ZERO; extents.outputs.div_ceil(T::WIDTH) * per_panel];
    vectorised(Pack {
        extents,
        taps,
        met: &met,
        packed: &mut packed,
    });
    packed
}

/// Channels whose taps are turned around together.
const CHANNELS: usize = 8;

struct Pack<'a, T> {
    extents: &'a Extents,
    taps: Taps<'a, T>,
    met: &'a [usize],
    packed: &'a mut [T],
}

impl<T: Vectors> NullaryFnOnce for Pack<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (channels, taps) = (self.extents.channels, self.extents.taps());
        let per_panel = self.met.len() * channels * T::WIDTH;
        let mut gathered = vec![T::ZERO; CHANNELS * taps * T::WIDTH];
        let panels = self.packed.chunks_exact_mut(per_panel.max(1));
        for (panel, packed) in panels.enumerate() {
            let first = panel * T::WIDTH;
            let lanes = T::WIDTH.min(self.extents.outputs - first);
            if lanes < T::WIDTH {
                gathered.fill(T::ZERO);
            }
            for channel in (0..channels).step_by(CHANNELS) {
                let count = CHANNELS.min(channels - channel);
                let here = (channel, count);
                self.taps.gather((first, lanes), here, &mut gathered);
                for (index, gathered) in gathered
                    .chunks_exact(taps * T::WIDTH)
                    .take(count)
                    .enumerate()
                {
                    for (at, &tap) in self.met.iter().enumerate() {
                        let to = (at * channels + channel + index) * T::WIDTH;
                        packed[to..to + T::WIDTH]
                            .copy_from_slice(&gathered[tap * T::WIDTH..][..T::WIDTH]);
                    }
                }
            }
        }
    }
}

/// Applies a kernel to `range` of `images`, into `out`.
pub(super) struct Apply<'a, T> {
    pub(super) scratch: &'a mut Scratch<T>,
    pub(super) direct: &'a Direct<T>,
    pub(super) images: Images<'a, T>,
    pub(super) range: Range<usize>,
    /// What every output starts from, (panel, panel width).
    pub(super) start: &'a [T],
    pub(super) out: &'a mut [T],
    pub(super) store: Store,
}

impl<T: Vectors> WithSimd for Apply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (image, phases) = (&self.direct.image, &self.direct.phases);
        let (outputs, pixels) = (self.direct.outputs, self.direct.pixels);
        let scratch = self.scratch;
        let bordered = room(&mut scratch.image, image.length());
        bordered.fill(T::ZERO);
        let result = room(&mut scratch.result, pixels * T::WIDTH);
        let planes = self.out.chunks_exact_mut(outputs * pixels);
        for (index, planes) in self.range.zip(planes) {
            image.fill(self.images.get(index), bordered);
            let starts = self.start.chunks_exact(T::WIDTH);
            for (panel, start) in starts.enumerate() {
                for phase in phases {
                    phase.apply(simd, panel, bordered, start, result);
                }
                let first = panel * T::WIDTH;
                transpose(
                    (pixels, T::WIDTH.min(outputs - first)),
                    result,
                    T::WIDTH,
                    &mut planes[first * pixels..],
                    pixels,
                    self.store,
                );
            }
        }
    }
}

impl<T: Vectors> Phase<T> {
    #[inline(always)]
    fn apply<S: Simd>(&self, simd: S, panel: usize, image: &[T], start: &[T], result: &mut [T]) {
        let size = self.rows.len() * self.length * T::WIDTH;
        let packed = &self.packed[panel * size..][..size];
        let blocks = self.starts.chunks(ROWS).zip(self.places.chunks(ROWS));
        for (starts, places) in blocks {
            dot(
                simd,
                (starts.len(), self.rows.len()),
                |row, index| &image[starts[index] + self.rows[row]..][..self.length],
                packed,
                start,
                result,
                |index| places[index] * T::WIDTH,
            );
        }
    }
}
