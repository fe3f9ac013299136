//! y = x₁ + x₂: a skip connection. Linear: no second-order terms.

use candle_core::Tensor;
use flatness_kernels::add;

use crate::layer::parameterless;
use crate::{Cotangent, Error, Layer, Point, SecondOrder, Tangent};

/// Sum of two values of one shape.
#[derive(Debug, Clone, Copy)]
pub struct Sum;

impl Layer for Sum {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        match inputs {
            [left, right] if left == right => Ok(left.to_vec()),
            _ => Err("both sides of a sum must have one shape"),
        }
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        Ok((add(inputs[0], inputs[1])?, Vec::new()))
    }

    fn jvp(&self, _: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        Ok(match (tangent.inputs[0], tangent.inputs[1]) {
            (Some(left), Some(right)) => Some(add(left, right)?),
            (one, other) => one.or(other).cloned(),
        })
    }

    fn vjp_input(&self, _: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        Ok(Cotangent::Shared(cotangent.clone()))
    }

    parameterless!();

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Zero
    }
}
