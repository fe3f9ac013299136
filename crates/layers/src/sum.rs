//! y = x₁ + x₂: a skip connection, or a constant for every place. Linear: no second-order terms.
//!
//! Shapes of examples are aligned at the last axis and repeated where they have one element, as in NumPy; cotangents are
//! added up there.

use candle_core::Tensor;
use flatness_kernels::{add, broadcast};

use crate::layer::parameterless;
use crate::{Cotangent, Error, Layer, Point, SecondOrder, Tangent};

/// Sum of two values.
#[derive(Debug, Clone, Copy)]
pub struct Sum;

impl Layer for Sum {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        let shape = match *inputs {
            [left, right] => broadcast::broadcast_shape(left, right),
            _ => None,
        };
        shape.ok_or("both sides of a sum must have one shape, but for axes of one element")
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let (left, right) = (inputs[0], inputs[1]);
        let y = match left.dims() == right.dims() {
            true => add(left, right)?,
            false => broadcast::sum(left, right)?,
        };
        Ok((y, Vec::new()))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let [left, right] = [0, 1].map(|input| &at.input_shapes[input]);
        let shape = broadcast::broadcast_shape(left, right).ok_or(Error::Value)?;
        let repeated = |input: usize| -> Result<Option<Tensor>, Error> {
            let block = tangent.inputs[input];
            let whole = at.input_shapes[input] == shape;
            let repeated = |block: &Tensor| match whole {
                true => Ok(block.clone()),
                false => broadcast::repeated(block, &shape),
            };
            Ok(block.map(repeated).transpose()?)
        };
        Ok(match (repeated(0)?, repeated(1)?) {
            (Some(left), Some(right)) => Some(add(&left, &right)?),
            (one, other) => one.or(other),
        })
    }

    fn vjp_input(
        &self,
        at: Point<'_>,
        input: usize,
        cotangent: &Tensor,
    ) -> Result<Cotangent, Error> {
        let shape = &at.input_shapes[input];
        if cotangent.dims()[2..] == shape[..] {
            return Ok(Cotangent::Shared(cotangent.clone()));
        }
        Ok(Cotangent::Fresh(broadcast::gathered(cotangent, shape)?))
    }

    parameterless!();

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Zero
    }
}
