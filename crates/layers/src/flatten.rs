//! All axes of an example become one. Linear: no second-order terms.

use candle_core::Tensor;

use crate::layer::{linear, only};
use crate::{Cotangent, Error, Layer, Point, Tangent};

/// Flattening of each example, in row-major order.
#[derive(Debug, Clone, Copy)]
pub struct Flatten;

impl Layer for Flatten {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        Ok(vec![only(inputs)?.iter().product()])
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let x = inputs[0];
        Ok((x.flatten_from(1)?, Vec::new()))
    }

    fn jvp(&self, _: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        Ok(tangent.input().map(|dx| dx.flatten_from(2)).transpose()?)
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let (batch, vectors, _) = cotangent.dims3()?;
        let shape: Vec<usize> = [batch, vectors]
            .into_iter()
            .chain(at.input_shapes[0].iter().copied())
            .collect();
        Ok(Cotangent::Shared(cotangent.reshape(shape)?))
    }

    linear!();
}
