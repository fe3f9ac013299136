//! Pooling of images: each maximum is a choice and each average a sum, so none has second-order
//! terms.
//!
//! Windows do not overlap the border (no padding); what they do not cover is left out, as in
//! PyTorch. The first maximum in row-major order wins a tie.

use candle_core::Tensor;
use flatness_kernels::pool::{self, Pooling};

use crate::layer::linear;
use crate::{Cotangent, Error, Layer, LinearMap, Point, Tangent};

/// Largest element of each window.
#[derive(Debug, Clone, Copy)]
pub struct MaxPool(Pooling);

/// Mean of each window.
#[derive(Debug, Clone, Copy)]
pub struct AveragePool(Pooling);

/// Mean of each channel: (C, H, W) to (C).
#[derive(Debug, Clone, Copy)]
pub struct GlobalAveragePool;

impl MaxPool {
    /// Square windows of `kernel` elements a side, `stride` apart.
    #[must_use]
    pub fn new(kernel: usize, stride: usize) -> Self {
        Self(Pooling { kernel, stride })
    }
}

impl AveragePool {
    /// Square windows of `kernel` elements a side, `stride` apart.
    #[must_use]
    pub fn new(kernel: usize, stride: usize) -> Self {
        Self(Pooling { kernel, stride })
    }
}

const IMAGE: &str = "it needs (channels, height, width)";

fn pooled(pooling: Pooling, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
    let &[&[channels, height, width]] = inputs else {
        return Err(IMAGE);
    };
    let (height, width) = pooling
        .output(height)
        .zip(pooling.output(width))
        .ok_or("its window is larger than the image")?;
    Ok(vec![channels, height, width])
}

fn image(at: Point<'_>) -> (usize, usize) {
    (at.input_shapes[0][1], at.input_shapes[0][2])
}

impl Layer for MaxPool {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        pooled(self.0, inputs)
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let x = inputs[0];
        let (y, argmax) = pool::max_forward(x, self.0)?;
        Ok((y, vec![argmax]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let gather = |dx| pool::max_gather(&at.saved[0], dx);
        Ok(tangent.input().map(gather).transpose()?)
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let input = pool::max_scatter(&at.saved[0], cotangent, image(at), Some(self.0))?;
        Ok(Cotangent::Fresh(input))
    }

    linear!();
}

impl LinearMap for AveragePool {
    fn image(&self, input: &[usize]) -> Result<Vec<usize>, &'static str> {
        pooled(self.0, &[input])
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(pool::average(x, self.0)?)
    }

    fn apply_transposed(&self, cotangent: &Tensor, input: &[usize]) -> Result<Tensor, Error> {
        let one = cotangent.unsqueeze(1)?;
        Ok(pool::average_transposed(&one, (input[1], input[2]), self.0)?.squeeze(1)?)
    }
}

impl LinearMap for GlobalAveragePool {
    fn image(&self, input: &[usize]) -> Result<Vec<usize>, &'static str> {
        match *input {
            [channels, height, width] if height * width > 0 => Ok(vec![channels]),
            _ => Err(IMAGE),
        }
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(pool::global_average(x)?)
    }

    fn apply_transposed(&self, cotangent: &Tensor, input: &[usize]) -> Result<Tensor, Error> {
        let one = cotangent.unsqueeze(1)?;
        Ok(pool::global_average_transposed(&one, (input[1], input[2]))?.squeeze(1)?)
    }
}
