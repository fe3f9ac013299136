//! Max and average pooling without padding, and global average pooling.
//!
//! ```text
//! max      y(h, w) = max over the kernel's window of x,   ẏ = ẋ(argmax),   x̄(argmax) += ȳ
//! average  y(h, w) = Σ over the window of x / kernel²,    linear
//! global   y = Σ x / (H W),                               linear
//! ```
//!
//! The window of output (h, w) begins at (h stride, w stride). Everything acts on the planes (H, W)
//! of tensors (B, C, H, W) and blocks (B, V, C, H, W) alike; only the argmax, which vectors share,
//! tells the two apart.
//!
//! Functions fail for planes that hold no window or are not the output of others, shapes and ranks that
//! do not fit, an argmax outside the plane, number types other than f32 and f64, tensors that are not
//! contiguous where they are read in place, or a device error.

mod cpu;
mod launched;
mod plain;
#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor, bail};

use crate::real::{by_path, expect_shape};

/// A square window and the step between windows, in entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooling {
    /// Height and width of a window.
    pub kernel: usize,
    /// From one window to the next, in either direction.
    pub stride: usize,
}

impl Pooling {
    /// Windows that lie within `input` entries, ⌊(input - kernel) / stride⌋ + 1 as in PyTorch; none
    /// for a kernel that is larger than the input, or a kernel or stride of 0.
    #[must_use]
    pub fn output(self, input: usize) -> Option<usize> {
        if self.kernel == 0 {
            return None;
        }
        let last = input.checked_sub(self.kernel)?;
        Some(last.checked_div(self.stride)? + 1)
    }

    fn output_plane(self, (height, width): (usize, usize)) -> Result<(usize, usize)> {
        match (self.output(height), self.output(width)) {
            (Some(height), Some(width)) => Ok((height, width)),
            _ => bail!("expected a plane that holds a window of {self:?}, got {height}x{width}"),
        }
    }
}

/// y (B, C, H', W') of x (B, C, H, W), and where in its plane each maximum stands, h W + w as u32.
///
/// The first of equal maxima in row-major order wins; of entries that are not a number, which win
/// over every number, the last one, both as in PyTorch.
pub fn max_forward(x: &Tensor, pooling: Pooling) -> Result<(Tensor, Tensor)> {
    let (_, _, height, width) = x.dims4()?;
    let output = pooling.output_plane((height, width))?;
    by_path!(x, max_forward(x, pooling, output))
}

/// ẋ(argmax), (B, V, C, H', W'), of `block` ẋ (B, V, C, H, W) and `argmax` (B, C, H', W').
pub fn max_gather(argmax: &Tensor, block: &Tensor) -> Result<Tensor> {
    let ((batch, channels, _, _), (_, vectors, _, height, width)) =
        (argmax.dims4()?, block.dims5()?);
    let expected = [batch, vectors, channels, height, width];
    expect_shape("input tangents", block, &expected)?;
    by_path!(block, max_gather(argmax, block))
}

/// x̄ (B, V, C, H, W), where every argmax gathers its ȳ, of `cotangent` ȳ (B, V, C, H', W') and
/// `argmax` (B, C, H', W'), of [`max_forward`] with this `pooling` or of other windows; `input` is (H, W).
pub fn max_scatter(
    argmax: &Tensor,
    cotangent: &Tensor,
    input: (usize, usize),
    pooling: Option<Pooling>,
) -> Result<Tensor> {
    let ((batch, channels, height, width), vectors) = (argmax.dims4()?, cotangent.dim(1)?);
    let expected = [batch, vectors, channels, height, width];
    expect_shape("cotangents", cotangent, &expected)?;
    by_path!(cotangent, max_scatter(argmax, cotangent, input, pooling))
}

/// Window means of the planes of `x` (..., H, W), a tensor or a block: (..., H', W').
pub fn average(x: &Tensor, pooling: Pooling) -> Result<Tensor> {
    let (planes, height, width) = planes(x)?;
    let output = pooling.output_plane((height, width))?;
    let folded = x.reshape((planes, height, width))?;
    let pooled = by_path!(x, average(&folded, pooling, output));
    pooled?.reshape(with_plane(x, &[output.0, output.1]))
}

/// The transpose of [`average`]: (..., H, W) of `cotangent` (..., H', W'); `input` is (H, W).
pub fn average_transposed(
    cotangent: &Tensor,
    input: (usize, usize),
    pooling: Pooling,
) -> Result<Tensor> {
    let (planes, height, width) = planes(cotangent)?;
    let output = pooling.output_plane(input)?;
    if (height, width) != output {
        bail!("cotangents: expected planes {output:?}, got {height}x{width}");
    }
    let folded = cotangent.reshape((planes, height, width))?;
    let spread = by_path!(cotangent, average_transposed(&folded, input, pooling));
    spread?.reshape(with_plane(cotangent, &[input.0, input.1]))
}

/// Means of whole planes: (..., C) of `x` (..., C, H, W), a tensor or a block.
pub fn global_average(x: &Tensor) -> Result<Tensor> {
    let (planes, height, width) = planes(x)?;
    if height * width == 0 {
        bail!("expected planes with entries, got {:?}", x.shape());
    }
    let folded = x.reshape((planes, height * width))?;
    let means = by_path!(x, global_average(&folded));
    means?.reshape(with_plane(x, &[]))
}

/// The transpose of [`global_average`]: (..., C, H, W) of `cotangent` (..., C); `input` is (H, W).
pub fn global_average_transposed(cotangent: &Tensor, input: (usize, usize)) -> Result<Tensor> {
    if !(2..=3).contains(&cotangent.rank()) || input.0 * input.1 == 0 {
        bail!(
            "expected a cotangent of rank 2 or 3 of planes with entries, got {:?} of {input:?}",
            cotangent.shape()
        );
    }
    let (folded, area) = (cotangent.flatten_all()?, input.0 * input.1);
    let spread = by_path!(cotangent, global_average_transposed(&folded, area));
    spread?.reshape([cotangent.dims(), &[input.0, input.1]].concat())
}

/// The planes of a tensor or block, and their height and width.
fn planes(x: &Tensor) -> Result<(usize, usize, usize)> {
    match *x.dims() {
        [batch, channels, height, width] => Ok((batch * channels, height, width)),
        [batch, vectors, channels, height, width] => {
            Ok((batch * vectors * channels, height, width))
        }
        _ => bail!("expected a tensor of rank 4 or 5, got {:?}", x.shape()),
    }
}

/// The shape of `x` with `plane` for its last two axes.
fn with_plane(x: &Tensor, plane: &[usize]) -> Vec<usize> {
    [&x.dims()[..x.rank() - 2], plane].concat()
}
