//! Convolutions with groups, dilation, and a stride and paddings of each axis of their own, as one trilinear form.
//!
//! ```text
//! T(y, W, x) = Σ y[o, p] W[o, i, k] x[i, s p + d k - before]       i runs over the channels of the group of o
//! output     y += ∂T/∂y       input     x += ∂T/∂x       weight     W += ∂T/∂W
//! ```
//!
//! The passes of a convolution are these with values, tangents and cotangents in the places of y, W and x; those of a
//! transposed convolution are the same with x and y in each other's. Activations are blocks: x (B, V, I, H, W), y
//! (B, V, O, H', W'), and weights (V, O, I / groups, kh, kw). A factor whose V is 1 serves all vectors. All are added to the
//! sum in place. [`conv2d`](crate::conv2d) is faster where it applies.

mod cpu;
mod plain;
#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor, bail};

use crate::real::{by_candle_or_cpu, expect_shape};

/// Where the kernel is laid over the input: along each axis, rows first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Groups of channels that know nothing of each other.
    pub groups: usize,
    /// Steps between places of the kernel, s.
    pub stride: [usize; 2],
    /// Steps between elements of the kernel, d.
    pub dilation: [usize; 2],
    /// Zeros before the input.
    pub before: [usize; 2],
    /// Zeros behind the input.
    pub behind: [usize; 2],
}

impl Grid {
    /// Places of a kernel of these extents over an input of those; none where it has no place or no element.
    #[must_use]
    pub fn output(&self, input: [usize; 2], kernel: [usize; 2]) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let reach = self.dilation[axis].checked_mul(kernel[axis].checked_sub(1)?)?;
            let padded = input[axis]
                .checked_add(self.before[axis])?
                .checked_add(self.behind[axis])?;
            let free = padded.checked_sub(reach)?.checked_sub(1)?;
            (self.dilation[axis] > 0).then_some(free.checked_div(self.stride[axis])? + 1)
        };
        along(0)
            .zip(along(1))
            .map(|(rows, columns)| [rows, columns])
    }
}

/// Extents of the three factors.
#[derive(Debug, Clone, Copy)]
struct Extents {
    grid: Grid,
    batch: usize,
    vectors: usize,
    /// O and I of all groups together.
    channels: [usize; 2],
    kernel: [usize; 2],
    input: [usize; 2],
    output: [usize; 2],
}

impl Extents {
    /// Of factors that fit each other.
    fn of(y: &Tensor, weight: &Tensor, x: &Tensor, grid: Grid) -> Result<Self> {
        let (batch, x_vectors, inputs, height, width) = x.dims5()?;
        let (_, y_vectors, outputs, _, _) = y.dims5()?;
        let (weight_vectors, _, _, rows, columns) = weight.dims5()?;
        let (kernel, input) = ([rows, columns], [height, width]);
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
        let shape = [batch, y_vectors, outputs, output[0], output[1]];
        expect_shape("output of a convolution", y, &shape)?;
        let shape = [weight_vectors, outputs, inputs / groups, rows, columns];
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

/// y += ∂T/∂y; `y` (B, V, O, H', W') has all vectors.
///
/// # Errors
/// Extents that do not fit, tensors that are not contiguous, or a device error.
pub fn add_output(y: &Tensor, weight: &Tensor, x: &Tensor, grid: Grid) -> Result<()> {
    let extents = Extents::of(y, weight, x, grid)?;
    by_candle_or_cpu!(y, add_output(y, weight, x, extents))
}

/// x += ∂T/∂x; `x` (B, V, I, H, W) has all vectors.
///
/// # Errors
/// As [`add_output`].
pub fn add_input(y: &Tensor, weight: &Tensor, x: &Tensor, grid: Grid) -> Result<()> {
    let extents = Extents::of(y, weight, x, grid)?;
    by_candle_or_cpu!(y, add_input(y, weight, x, extents))
}

/// W += ∂T/∂W, summed over the batch; `weight` (V, O, I / groups, kh, kw) has all vectors.
///
/// # Errors
/// As [`add_output`].
pub fn add_weight(y: &Tensor, weight: &Tensor, x: &Tensor, grid: Grid) -> Result<()> {
    let extents = Extents::of(y, weight, x, grid)?;
    by_candle_or_cpu!(y, add_weight(y, weight, x, extents))
}
