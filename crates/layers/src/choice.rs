//! y = a where c is not zero and b elsewhere, of three values c, a and b: masks that the data make. Linear in a and b, and of
//! derivative zero in c, which changes nothing but where it crosses zero.
//!
//! Shapes of examples are aligned at the last axis and repeated where they have one element, as in NumPy.

use candle_core::Tensor;
use flatness_kernels::broadcast::{broadcast_shape, gathered, repeated};

use crate::layer::parameterless;
use crate::{Cotangent, Error, Layer, Point, SecondOrder, Tangent};

/// One of two values, by a third.
#[derive(Debug, Clone, Copy)]
pub struct Choice;

/// What of `blocks`, each (B, V, shape) of its own, `condition` (B, ...) chooses; (B, V, shape).
fn chosen(condition: &Tensor, blocks: [&Tensor; 2], shape: &[usize]) -> Result<Tensor, Error> {
    let leading = [blocks[0].dim(0)?, blocks[0].dim(1)?];
    let condition = repeated(&condition.unsqueeze(1)?, shape)?;
    let condition = condition.broadcast_as([&leading, shape].concat())?;
    let [yes, no] = blocks.map(|block| repeated(block, shape));
    Ok(condition.contiguous()?.where_cond(&yes?, &no?)?)
}

impl Layer for Choice {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        let &[condition, yes, no] = inputs else {
            return Err("it needs a condition and two values");
        };
        let shape = broadcast_shape(yes, no).and_then(|shape| broadcast_shape(condition, &shape));
        shape.ok_or("its inputs must have one shape, but for axes of one element")
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| &input.dims()[1..]).collect();
        let shape = self
            .output_shape(&shapes)
            .map_err(candle_core::Error::msg)?;
        let condition = inputs[0].ne(0.0)?;
        let (yes, no) = (inputs[1].unsqueeze(1)?, inputs[2].unsqueeze(1)?);
        let y = chosen(&condition, [&yes, &no], &shape)?.squeeze(1)?;
        Ok((y, vec![condition]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let (yes, no) = match (tangent.inputs[1], tangent.inputs[2]) {
            (Some(yes), Some(no)) => (yes.clone(), no.clone()),
            (Some(one), None) => (one.clone(), one.zeros_like()?),
            (None, Some(other)) => (other.zeros_like()?, other.clone()),
            (None, None) => return Ok(None),
        };
        let shapes: Vec<&[usize]> = at.input_shapes.iter().map(Vec::as_slice).collect();
        let shape = self
            .output_shape(&shapes)
            .map_err(candle_core::Error::msg)?;
        Ok(Some(chosen(&at.saved[0], [&yes, &no], &shape)?))
    }

    fn vjp_input(
        &self,
        at: Point<'_>,
        input: usize,
        cotangent: &Tensor,
    ) -> Result<Cotangent, Error> {
        let (own, zeros) = (&at.input_shapes[input], cotangent.zeros_like()?);
        let blocks = match input {
            0 => return Cotangent::zero(own, cotangent),
            1 => [cotangent, &zeros],
            _ => [&zeros, cotangent],
        };
        let chosen = chosen(&at.saved[0], blocks, &cotangent.dims()[2..])?;
        Ok(Cotangent::Fresh(match own[..] == cotangent.dims()[2..] {
            true => chosen,
            false => gathered(&chosen, own)?,
        }))
    }

    parameterless!();

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Zero
    }
}
