//! y = tanh x; y' = 1 - y², y'' = -2 y (1 - y²). Its second-order term is x̄ += ȳ ⊙ y'' ⊙ ẋ.

use candle_core::Tensor;
use flatness_kernels::{activation, add_in_place};

use crate::{Error, Layer, Point, SecondOrder, SecondOrderRule, Tangent};

/// Hyperbolic tangent, elementwise.
#[derive(Debug, Clone, Copy)]
pub struct Tanh;

impl Layer for Tanh {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, &'static str> {
        Ok(input.to_vec())
    }

    fn forward(&self, _: &[Tensor], x: &Tensor) -> Result<(Tensor, Vec<Tensor>), Error> {
        let y = activation::tanh(x)?;
        Ok((y.clone(), vec![y]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        Ok(tangent
            .input
            .map(|dx| activation::tanh_gate(&at.saved[0], dx))
            .transpose()?)
    }

    fn vjp_input(&self, at: Point<'_>, cotangent: &Tensor) -> Result<Tensor, Error> {
        Ok(activation::tanh_gate(&at.saved[0], cotangent)?)
    }

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Terms(self)
    }
}

impl SecondOrderRule for Tanh {
    fn add_terms(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        _: &[Tensor],
        input_sum: Option<&Tensor>,
    ) -> Result<(), Error> {
        if let (Some(dx), Some(input_sum)) = (tangent.input, input_sum) {
            let term = activation::tanh_second_order(&at.saved[0], cotangent, dx)?;
            add_in_place(input_sum, &term)?;
        }
        Ok(())
    }
}
