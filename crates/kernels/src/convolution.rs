//! Convolutions of one to three axes, with groups, and a stride, dilation and paddings of each axis of their own, as one
//! trilinear form.
//!
//! ```text
//! T(y, W, x) = Σ y[o, p] W[o, i, k] x[i, s p + d k - before]       i runs over the channels of the group of o
//! output     y += ∂T/∂y       input     x += ∂T/∂x       weight     W += ∂T/∂W
//! ```
//!
//! The passes of a convolution are these with values, tangents and cotangents in the places of y, W and x; those of a
//! transposed convolution are the same with x and y in each other's. Activations are blocks: x (B, V, I, D, H, W), y
//! (B, V, O, D', H', W'), and weights (V, O, I / groups, kd, kh, kw); images and signals have first axes of one element. A
//! factor whose V is 1 serves all vectors. All are added to the sum in place. [`conv2d`](crate::conv2d) is faster where it
//! applies.

mod cpu;
mod plain;
#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor, bail};

use crate::real::{by_candle_or_cpu, expect_shape};

/// Where the kernel is laid over the input along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    /// Steps between places of the kernel, s.
    pub stride: usize,
    /// Steps between elements of the kernel, d.
    pub dilation: usize,
    /// Zeros before the input.
    pub before: usize,
    /// Zeros behind the input.
    pub behind: usize,
}

impl Axis {
    /// Every place without padding.
    pub const PLAIN: Self = Self {
        stride: 1,
        dilation: 1,
        before: 0,
        behind: 0,
    };

    /// Places of a kernel of this extent over an input of that; none where it has no place or no element.
    #[must_use]
    pub fn output(self, input: usize, kernel: usize) -> Option<usize> {
        let reach = self.dilation.checked_mul(kernel.checked_sub(1)?)?;
        let padded = input.checked_add(self.before)?.checked_add(self.behind)?;
        let free = padded.checked_sub(reach)?.checked_sub(1)?;
        (self.dilation > 0).then_some(free.checked_div(self.stride)? + 1)
    }
}

/// Where the kernel is laid over the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Groups of channels that know nothing of each other.
    pub groups: usize,
    /// Along each axis, that of the columns last.
    pub axes: [Axis; 3],
}

impl Grid {
    /// Of these last axes, at most three; those before them have one element.
    #[must_use]
    pub fn new(groups: usize, axes: &[Axis]) -> Self {
        Self {
            groups,
            axes: last_three(axes, Axis::PLAIN),
        }
    }

    /// Places of a kernel of these extents over an input of those; none where it has no place or no element.
    #[must_use]
    pub fn output(&self, input: [usize; 3], kernel: [usize; 3]) -> Option<[usize; 3]> {
        let [depth, rows, columns] =
            [0, 1, 2].map(|axis: usize| self.axes[axis].output(input[axis], kernel[axis]));
        Some([depth?, rows?, columns?])
    }
}

/// The last of `numbers`, at most three, behind as many of `missing` as there are not.
pub fn last_three<N: Copy>(numbers: &[N], missing: N) -> [N; 3] {
    let mut three = [missing; 3];
    for (place, &number) in three.iter_mut().rev().zip(numbers.iter().rev()) {
        *place = number;
    }
    three
}

/// Extents of the three factors.
#[derive(Debug, Clone, Copy)]
struct Extents {
    grid: Grid,
    batch: usize,
    vectors: usize,
    /// O and I of all groups together.
    channels: [usize; 2],
    kernel: [usize; 3],
    input: [usize; 3],
    output: [usize; 3],
}

impl Extents {
    /// Of factors that fit each other.
    fn of(y: &Tensor, weight: &Tensor, x: &Tensor, grid: Grid) -> Result<Self> {
        let (
            &[batch, x_vectors, inputs, ref input @ ..],
            &[_, y_vectors, outputs, ..],
            &[weight_vectors, _, _, ref kernel @ ..],
        ) = (x.dims(), y.dims(), weight.dims())
        else {
            bail!("expected blocks of images and kernels");
        };
        let (Ok(kernel), Ok(input)) = (kernel.try_into(), input.try_into()) else {
            bail!("expected three axes of images and kernels, got {input:?} and {kernel:?}");
        };
        let groups = grid.groups;
        let fits =
            groups > 0 && inputs * outputs > 0 && inputs % groups == 0 && outputs % groups == 0;
        let Some(output) = grid.output(input, kernel).filter(|_| fits) else {
            bail!(
                "a kernel {kernel:?} with {grid:?} does not fit {inputs} to {outputs} channels of {input:?}"
            );
        };
        let vectors = x_vectors.max(y_vectors).max(weight_vectors);
        for (name, own) in [
            ("input", x_vectors),
            ("output", y_vectors),
            ("weight", weight_vectors),
        ] {
            if own != vectors && own != 1 {
                bail!("expected {vectors} vectors of the {name} or one, got {own}");
            }
        }
        let shape = [&[batch, y_vectors, outputs], &output[..]].concat();
        expect_shape("output of a convolution", y, &shape)?;
        let shape = [&[weight_vectors, outputs, inputs / groups], &kernel[..]].concat();
        expect_shape("weight of a convolution", weight, &shape)?;
        Ok(Self {
            grid,
            batch,
            vectors,
            channels: [outputs, inputs],
            kernel,
            input,
            output,
        })
    }

    /// Channels of one group: of the output, of the input.
    fn of_group(&self) -> [usize; 2] {
        self.channels.map(|channels| channels / self.grid.groups)
    }
}

/// y += ∂T/∂y; `y` (B, V, O, D', H', W') has all vectors.
///
/// # Errors
/// Extents that do not fit, tensors that are not contiguous, or a device error.
pub fn add_output(y: &Tensor, weight: &Tensor, x: &Tensor, grid: Grid) -> Result<()> {
    let extents = Extents::of(y, weight, x, grid)?;
    by_candle_or_cpu!(y, add_output(y, weight, x, extents))
}

/// x += ∂T/∂x; `x` (B, V, I, D, H, W) has all vectors.
///
/// # Errors
/// As [`add_output`].
pub fn add_input(y: &Tensor, weight: &Tensor, x: &Tensor, grid: Grid) -> Result<()> {
    let extents = Extents::of(y, weight, x, grid)?;
    by_candle_or_cpu!(y, add_input(y, weight, x, extents))
}

/// W += ∂T/∂W, summed over the batch; `weight` (V, O, I / groups, kd, kh, kw) has all vectors.
///
/// # Errors
/// As [`add_output`].
pub fn add_weight(y: &Tensor, weight: &Tensor, x: &Tensor, grid: Grid) -> Result<()> {
    let extents = Extents::of(y, weight, x, grid)?;
    by_candle_or_cpu!(y, add_weight(y, weight, x, extents))
}
