//! y = eˣ / Σ eˣ along the last axis, and its logarithm.
//!
//! ```text
//! softmax        jvp and vjp     y ⊙ (b - ⟨y, b⟩)
//!                second order    x̄ += g ⊙ (ẋ - ⟨y, ẋ⟩) - ⟨g, ẋ⟩ y,      g = y ⊙ (ȳ - ⟨y, ȳ⟩)
//! logarithm      jvp             ẏ = ẋ - ⟨p, ẋ⟩                          p = eʸ
//!                vjp             x̄ = ȳ - p Σ ȳ
//!                second order    x̄ -= p ⊙ (ẋ - ⟨p, ẋ⟩) Σ ȳ
//! ```

use candle_core::Tensor;
use flatness_kernels::softmax;

use crate::layer::{only, parameterless};
use crate::{Cotangent, Error, Layer, Point, SecondOrder, SecondOrderRule, Tangent};

/// Softmax along the last axis: (..., C) to (..., C).
#[derive(Debug, Clone, Copy)]
pub struct Softmax;

/// Logarithm of the softmax along the last axis: (..., C) to (..., C).
#[derive(Debug, Clone, Copy)]
pub struct LogSoftmax;

fn output_shape(inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
    match only(inputs)? {
        shape @ [.., last] if *last > 0 => Ok(shape.to_vec()),
        _ => Err("it needs elements along the last axis"),
    }
}

impl Layer for Softmax {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        output_shape(inputs)
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let y = softmax::forward(inputs[0])?;
        Ok((y.clone(), vec![y]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let product = |dx| softmax::product(&at.saved[0], dx);
        Ok(tangent.input().map(product).transpose()?)
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let product = softmax::product(&at.saved[0], cotangent)?;
        Ok(Cotangent::Fresh(product))
    }

    parameterless!();

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Terms(self)
    }
}

impl SecondOrderRule for Softmax {
    fn add_terms(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        _: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        if let (Some(dx), Some(input_sum)) = (tangent.input(), input_sums[0]) {
            softmax::add_second_order(&at.saved[0], cotangent, dx, input_sum)?;
        }
        Ok(())
    }
}

impl Layer for LogSoftmax {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        output_shape(inputs)
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let (y, p) = softmax::log_forward(inputs[0])?;
        Ok((y, vec![p]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let product = |dx| softmax::log_tangent(&at.saved[0], dx);
        Ok(tangent.input().map(product).transpose()?)
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let product = softmax::log_input_cotangent(&at.saved[0], cotangent)?;
        Ok(Cotangent::Fresh(product))
    }

    parameterless!();

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Terms(self)
    }
}

impl SecondOrderRule for LogSoftmax {
    fn add_terms(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        _: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        if let (Some(dx), Some(input_sum)) = (tangent.input(), input_sums[0]) {
            softmax::log_add_second_order(&at.saved[0], cotangent, dx, input_sum)?;
        }
        Ok(())
    }
}
