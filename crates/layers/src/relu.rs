//! y = max(x, 0), with derivative 0 at 0 as in PyTorch. Piecewise linear: no second-order terms.

use candle_core::Tensor;
use flatness_kernels::activation;

use crate::{Error, Homogeneity, Layer, Point, SecondOrder, Tangent};

/// Rectified linear unit, elementwise.
#[derive(Debug, Clone, Copy)]
pub struct Relu;

impl Layer for Relu {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, &'static str> {
        Ok(input.to_vec())
    }

    fn forward(&self, _: &[Tensor], x: &Tensor) -> Result<(Tensor, Vec<Tensor>), Error> {
        let y = activation::relu(x)?;
        Ok((y.clone(), vec![y]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        Ok(tangent
            .input
            .map(|dx| activation::relu_gate(&at.saved[0], dx))
            .transpose()?)
    }

    fn vjp_input(&self, at: Point<'_>, cotangent: &Tensor) -> Result<Tensor, Error> {
        Ok(activation::relu_gate(&at.saved[0], cotangent)?)
    }

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Zero
    }

    fn homogeneity(&self) -> Homogeneity {
        Homogeneity::Input
    }
}
