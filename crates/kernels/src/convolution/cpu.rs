//! The passes as loops over runs: the elements of one row of the output that one element of the kernel meets.

use candle_core::{Result, Tensor};
use pulp::NullaryFnOnce;

use super::{Axis, Extents};
use crate::elementwise::update_with;
use crate::parallel::fill_parts;
use crate::real::{Real, elements};
use crate::vectorised::{reduce, terms, vectorised};

/// `count` elements of a row of the output, from `y` on, and those of the input that they meet, from `x` on and `stride`
/// apart, through the element `weight` of a kernel of one output channel.
struct Run {
    weight: usize,
    y: usize,
    x: usize,
    stride: usize,
    count: usize,
}

impl Extents {
    /// Calls `visit` with every run of output channel `channel`: y within that channel, x within the example.
    fn runs(&self, channel: usize, mut visit: impl FnMut(Run)) {
        let [outputs, inputs] = self.of_group();
        let first = channel / outputs * inputs;
        let ([depth, rows, columns], [deep, height, width]) = (self.kernel, self.input);
        let [inward, down, across] = self.grid.axes;
        // The element of an input of `extent` that element `k` of the kernel meets at `place`.
        let meets = |axis: Axis, place: usize, k: usize, extent: usize| {
            let from = place * axis.stride + k * axis.dilation;
            from.checked_sub(axis.before).filter(|&from| from < extent)
        };
        let planes = (0..inputs).flat_map(|i| (0..depth).map(move |l| (i, l)));
        for ((i, l), k) in planes.flat_map(|plane| (0..rows).map(move |k| (plane, k))) {
            for column in 0..columns {
                // Outputs q with 0 <= s q + shift - before < width.
                let shift = column * across.dilation;
                let start = across.before.saturating_sub(shift).div_ceil(across.stride);
                let end = (width + across.before)
                    .saturating_sub(shift)
                    .div_ceil(across.stride);
                let end = end.min(self.output[2]);
                if start >= end {
                    continue;
                }
                for plane in 0..self.output[0] {
                    let Some(x_plane) = meets(inward, plane, l, deep) else {
                        continue;
                    };
                    for row in 0..self.output[1] {
                        let Some(x_row) = meets(down, row, k, height) else {
                            continue;
                        };
                        let x_row = ((first + i) * deep + x_plane) * height + x_row;
                        visit(Run {
                            weight: ((i * depth + l) * rows + k) * columns + column,
                            y: (plane * self.output[1] + row) * self.output[2] + start,
                            x: x_row * width + start * across.stride + shift - across.before,
                            stride: across.stride,
                            count: end - start,
                        });
                    }
                }
            }
        }
    }

    /// Elements of one example and vector of y and x, and of one vector of the weight.
    fn sizes(&self) -> [usize; 3] {
        let [outputs, inputs] = self.channels;
        let area = |extents: [usize; 3]| extents.iter().product::<usize>();
        let weight = outputs * self.of_group()[1] * area(self.kernel);
        [
            outputs * area(self.output),
            inputs * area(self.input),
            weight,
        ]
    }

    /// Where the part of example `b` and vector `v` begins in a factor of `vectors`, of this size each.
    fn start(vectors: usize, size: usize, b: usize, v: usize) -> usize {
        (b * vectors + if vectors == 1 { 0 } else { v }) * size
    }
}

/// Adds `factor` times the elements of `from`, of which every `stride`-th or of which one in `stride` is meant.
struct Axpy<'a, T> {
    to: &'a mut [T],
    to_stride: usize,
    from: &'a [T],
    from_stride: usize,
    factor: T,
}

impl<T: Real> NullaryFnOnce for Axpy<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let factor = self.factor;
        if self.to_stride == 1 && self.from_stride == 1 {
            for (to, &from) in self.to.iter_mut().zip(self.from) {
                *to += factor * from;
            }
            return;
        }
        let to = self.to.iter_mut().step_by(self.to_stride);
        for (to, &from) in to.zip(self.from.iter().step_by(self.from_stride)) {
            *to += factor * from;
        }
    }
}

/// Elements from the first to the last of `count`, `stride` apart.
fn span(start: usize, stride: usize, count: usize) -> std::ops::Range<usize> {
    start..start + (count - 1) * stride + 1
}

pub(super) fn add_output<T: Real>(
    y: &Tensor,
    weight: &Tensor,
    x: &Tensor,
    extents: Extents,
) -> Result<()> {
    let [y_size, x_size, weight_size] = extents.sizes();
    let [y_channel, kernel] = [y_size, weight_size].map(|size| size / extents.channels[0]);
    add_activations::<T>(
        (y, y_size),
        weight,
        (x, x_size),
        extents,
        |channel, w, y, x| {
            let (plane, w) = (
                &mut y[channel * y_channel..][..y_channel],
                &w[channel * kernel..],
            );
            extents.runs(channel, |run| {
                vectorised(Axpy {
                    to: &mut plane[run.y..][..run.count],
                    to_stride: 1,
                    from: &x[span(run.x, run.stride, run.count)],
                    from_stride: run.stride,
                    factor: w[run.weight],
                });
            });
        },
    )
}

pub(super) fn add_input<T: Real>(
    y: &Tensor,
    weight: &Tensor,
    x: &Tensor,
    extents: Extents,
) -> Result<()> {
    let [y_size, x_size, weight_size] = extents.sizes();
    let [y_channel, kernel] = [y_size, weight_size].map(|size| size / extents.channels[0]);
    add_activations::<T>(
        (x, x_size),
        weight,
        (y, y_size),
        extents,
        |channel, w, x, y| {
            let (plane, w) = (
                &y[channel * y_channel..][..y_channel],
                &w[channel * kernel..],
            );
            extents.runs(channel, |run| {
                vectorised(Axpy {
                    to: &mut x[span(run.x, run.stride, run.count)],
                    to_stride: run.stride,
                    from: &plane[run.y..][..run.count],
                    from_stride: 1,
                    factor: w[run.weight],
                });
            });
        },
    )
}

/// Calls `add` for every output channel of every example and vector, with the weight, the part of `sum` and that of `from`,
/// each with the elements of an example and vector.
fn add_activations<T: Real>(
    (sum, sum_size): (&Tensor, usize),
    weight: &Tensor,
    (from, from_size): (&Tensor, usize),
    extents: Extents,
    add: impl Fn(usize, &[T], &mut [T], &[T]) + Sync,
) -> Result<()> {
    let ([.., weight_size], vectors) = (extents.sizes(), extents.vectors);
    let (w_vectors, from_vectors) = (weight.dim(0)?, from.dim(1)?);
    let (w, values) = (elements::<T>(weight)?, elements::<T>(from)?);
    let (w, values) = (w.slice()?, values.slice()?);
    update_with::<T>(sum, &[weight, from], |sums| {
        fill_parts(sums, extents.batch * vectors, |part, sums| {
            for (index, sum) in part.zip(sums.chunks_mut(sum_size)) {
                let (b, v) = (index / vectors, index % vectors);
                let from = &values[Extents::start(from_vectors, from_size, b, v)..][..from_size];
                let w = &w[Extents::start(w_vectors, weight_size, 0, v)..][..weight_size];
                (0..extents.channels[0]).for_each(|channel| add(channel, w, sum, from));
            }
            Ok(())
        })
    })
}

pub(super) fn add_weight<T: Real>(
    y: &Tensor,
    weight: &Tensor,
    x: &Tensor,
    extents: Extents,
) -> Result<()> {
    let [y_size, x_size, weight_size] = extents.sizes();
    let (y_vectors, x_vectors) = (y.dim(1)?, x.dim(1)?);
    let (ys, xs) = (elements::<T>(y)?, elements::<T>(x)?);
    let (ys, xs) = (ys.slice()?, xs.slice()?);
    let (channels, vectors) = (extents.channels[0], extents.vectors);
    update_with::<T>(weight, &[y, x], |sum| {
        fill_parts(sum, vectors * channels, |part, sums| {
            for (index, kernel) in part.zip(sums.chunks_mut(weight_size / channels)) {
                let (v, channel) = (index / channels, index % channels);
                for b in 0..extents.batch {
                    let y = &ys[Extents::start(y_vectors, y_size, b, v)..][..y_size];
                    let x = &xs[Extents::start(x_vectors, x_size, b, v)..][..x_size];
                    let plane = &y[channel * (y_size / channels)..][..y_size / channels];
                    extents.runs(channel, |run| {
                        let y = &plane[run.y..][..run.count];
                        let x = &x[span(run.x, run.stride, run.count)];
                        kernel[run.weight] += inner(y, x, run.stride);
                    });
                }
            }
            Ok(())
        })
    })
}

/// Σ y x over every `stride`-th element of `x`.
fn inner<T: Real>(y: &[T], x: &[T], stride: usize) -> T {
    if stride == 1 {
        let [sum] = reduce(y, x, T::ZERO, terms::product);
        return T::from_f64(sum);
    }
    let products = y.iter().zip(x.iter().step_by(stride));
    products.map(|(&y, &x)| y * x).sum()
}
