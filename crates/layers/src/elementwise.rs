//! The rules of y = f(x), elementwise, for a function of one's own. The second-order term is x̄ += ȳ ⊙ f'' ⊙ ẋ.

use std::fmt::Debug;

use candle_core::Tensor;
use flatness_kernels::{Function, add_curvature_product, evaluate, slope_product};

use crate::layer::{only, parameterless};
use crate::{Cotangent, Error, Layer, Point, SecondOrder, SecondOrderRule, Tangent};

/// A function of one variable, applied to every element; [`Activation`](crate::Activation) has the usual ones.
#[derive(Debug, Clone, Copy)]
pub struct Elementwise<F>(pub F);

impl<F: Function + Debug + Send + Sync> Layer for Elementwise<F> {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        Ok(only(inputs)?.to_vec())
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        Ok(evaluate(&self.0, inputs[0])?)
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let product = |dx| slope_product(&at.saved[0], dx);
        Ok(tangent.input().map(product).transpose()?)
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let product = slope_product(&at.saved[0], cotangent)?;
        Ok(Cotangent::Fresh(product))
    }

    parameterless!();

    fn second_order(&self) -> SecondOrder<'_> {
        match self.0.is_piecewise_linear() {
            true => SecondOrder::Zero,
            false => SecondOrder::Terms(self),
        }
    }
}

impl<F: Function + Debug + Send + Sync> SecondOrderRule for Elementwise<F> {
    fn add_terms(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        _: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        if let (Some(dx), Some(input_sum)) = (tangent.input(), input_sums[0]) {
            add_curvature_product(&at.saved[1], cotangent, dx, input_sum)?;
        }
        Ok(())
    }
}
