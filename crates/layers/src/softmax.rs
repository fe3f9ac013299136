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

/// A function of the elements along the last axis: (..., C) to (..., C).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlongLast {
    /// The softmax.
    Softmax,
    /// Its logarithm.
    LogSoftmax,
}

impl Layer for AlongLast {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        match only(inputs)? {
            shape @ [.., last] if *last > 0 => Ok(shape.to_vec()),
            _ => Err("it needs elements along the last axis"),
        }
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let (y, kept) = match self {
            Self::Softmax => {
                let y = softmax::forward(inputs[0])?;
                (y.clone(), y)
            }
            Self::LogSoftmax => softmax::log_forward(inputs[0])?,
        };
        Ok((y, vec![kept]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let product = match self {
            Self::Softmax => softmax::product,
            Self::LogSoftmax => softmax::log_tangent,
        };
        let product = |dx| product(&at.saved[0], dx);
        Ok(tangent.input().map(product).transpose()?)
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let product = match self {
            Self::Softmax => softmax::product,
            Self::LogSoftmax => softmax::log_input_cotangent,
        };
        Ok(Cotangent::Fresh(product(&at.saved[0], cotangent)?))
    }

    parameterless!();

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Terms(self)
    }
}

impl SecondOrderRule for AlongLast {
    fn add_terms(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        _: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        let add = match self {
            Self::Softmax => softmax::add_second_order,
            Self::LogSoftmax => softmax::log_add_second_order,
        };
        if let (Some(dx), Some(input_sum)) = (tangent.input(), input_sums[0]) {
            add(&at.saved[0], cotangent, dx, input_sum)?;
        }
        Ok(())
    }
}
