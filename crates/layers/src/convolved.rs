//! A convolution of one value by another: kernels that are computed, such as normalised weights. Bilinear in both.
//!
//! ```text
//! jvp            ẏ = W * ẋ + Ẇ * x
//! second order   x̄ += ∂(Ẇ * x)ᵀ ȳ,   W̄ += ∂(W * ẋ)ᵀ ȳ
//! ```
//!
//! Each example has its kernel, so that examples and vectors together are the vectors of
//! [`flatness_kernels::convolution`], and its batch is one.

use candle_core::Tensor;

use crate::layer::parameterless;
use crate::{Convolution, Cotangent, Error, Layer, Point, SecondOrder, SecondOrderRule, Tangent};

/// Convolution of an image (channels, ...) by a kernel in the shape of the weight of a [`Convolution`].
#[derive(Debug, Clone, Copy)]
pub struct Convolved(Convolution);

/// A value (B, ...) or block (B, V, ...) of examples of `shape` for each of V vectors: (B V, shape).
fn each(block: &Tensor, vectors: usize, shape: &[usize]) -> Result<Tensor, Error> {
    let batch = block.dim(0)?;
    let own = block.elem_count() / (batch * shape.iter().product::<usize>()).max(1);
    let block = block.reshape([&[batch, own], shape].concat())?;
    let block = block.broadcast_as([&[batch, vectors], shape].concat())?;
    Ok(block
        .contiguous()?
        .reshape([&[batch * vectors], shape].concat())?)
}

impl Convolved {
    /// As `convolution`, whose bias is left out.
    #[must_use]
    pub fn new(convolution: Convolution) -> Self {
        Self(convolution.without_bias())
    }

    fn output(&self, at: Point<'_>) -> Result<Vec<usize>, Error> {
        let output = self.0.output_shape(&[&at.input_shapes[0]]);
        Ok(output.map_err(candle_core::Error::msg)?)
    }

    /// (B, V, `shape`) of zeros.
    fn zeros(block: &Tensor, vectors: usize, shape: &[usize]) -> Result<Tensor, Error> {
        let shape = [&[block.dim(0)?, vectors], shape].concat();
        Ok(Tensor::zeros(shape, block.dtype(), block.device())?)
    }

    /// y += w * x, of (B, V, ...) and of a kernel and an image that may serve all vectors.
    fn add_output(
        &self,
        y: &Tensor,
        [x, w]: [&Tensor; 2],
        shapes: [&[usize]; 2],
    ) -> Result<(), Error> {
        let vectors = y.dim(1)?;
        let (x, w) = (each(x, vectors, shapes[0])?, each(w, vectors, shapes[1])?);
        let y = each(y, vectors, &y.dims()[2..])?;
        self.0.add_output(&y.unsqueeze(0)?, &w, &x.unsqueeze(0)?)
    }

    /// What ȳ makes of input number `input`, added to `sum` (B, V, ...), with the `other` input.
    fn add_cotangent(
        &self,
        input: usize,
        cotangent: &Tensor,
        other: &Tensor,
        sum: &Tensor,
        [output, of_other]: [&[usize]; 2],
    ) -> Result<(), Error> {
        let vectors = sum.dim(1)?;
        let cotangent = each(cotangent, vectors, output)?.unsqueeze(0)?;
        let other = each(other, vectors, of_other)?;
        let sum = each(sum, vectors, &sum.dims()[2..])?;
        match input {
            0 => self.0.add_input(&cotangent, &other, &sum.unsqueeze(0)?),
            _ => self.0.add_weight(&cotangent, &sum, &other.unsqueeze(0)?),
        }
    }
}

impl Layer for Convolved {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        let &[image, kernel] = inputs else {
            return Err("it needs an image and a kernel");
        };
        if self.0.weight().as_deref() != Some(kernel) {
            return Err("its kernel has another shape than the weight of its convolution");
        }
        self.0.output_shape(&[image])
    }

    fn multiply_adds(&self, inputs: &[&[usize]]) -> u64 {
        self.0.multiply_adds(&inputs[..1])
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let (x, w) = (inputs[0], inputs[1]);
        let shapes = [&x.dims()[1..], &w.dims()[1..]];
        let output = self
            .output_shape(&shapes)
            .map_err(candle_core::Error::msg)?;
        let y = Self::zeros(x, 1, &output)?;
        self.add_output(&y, [x, w], shapes)?;
        Ok((y.squeeze(1)?, vec![x.clone(), w.clone()]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let Some(block) = tangent.inputs[0].or(tangent.inputs[1]) else {
            return Ok(None);
        };
        let dy = Self::zeros(block, block.dim(1)?, &self.output(at)?)?;
        let shapes = [&at.input_shapes[0][..], &at.input_shapes[1]];
        if let Some(dx) = tangent.inputs[0] {
            self.add_output(&dy, [dx, &at.saved[1]], shapes)?;
        }
        if let Some(dw) = tangent.inputs[1] {
            self.add_output(&dy, [&at.saved[0], dw], shapes)?;
        }
        Ok(Some(dy))
    }

    fn vjp_input(
        &self,
        at: Point<'_>,
        input: usize,
        cotangent: &Tensor,
    ) -> Result<Cotangent, Error> {
        let (own, other) = (&at.input_shapes[input], 1 - input);
        let sum = Self::zeros(cotangent, cotangent.dim(1)?, own)?;
        let shapes = [&cotangent.dims()[2..], &at.input_shapes[other]];
        self.add_cotangent(input, cotangent, &at.saved[other], &sum, shapes)?;
        Ok(Cotangent::Fresh(sum))
    }

    parameterless!();

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Terms(self)
    }
}

impl SecondOrderRule for Convolved {
    fn add_terms(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        _: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        for (input, other) in [(0, 1), (1, 0)] {
            if let (Some(sum), Some(moved)) = (input_sums[input], tangent.inputs[other]) {
                let shapes = [&cotangent.dims()[1..], &at.input_shapes[other]];
                self.add_cotangent(input, cotangent, moved, sum, shapes)?;
            }
        }
        Ok(())
    }
}
