//! y = x Wᵀ + b, with PyTorch's names and initial values.
//!
//! Bilinear in x and W: its second-order terms are x̄ += ȳ Ẇ and W̄ += ȳᵀ ẋ.

use candle_core::Tensor;
use flatness_kernels::affine;

use crate::{
    Cotangent, Error, Homogeneity, Initializer, Layer, Parameter, Point, SecondOrder,
    SecondOrderRule, Tangent,
};

/// Affine map of vectors of `inputs` elements to vectors of `outputs` elements.
#[derive(Debug, Clone, Copy)]
pub struct Affine {
    inputs: usize,
    outputs: usize,
}

impl Affine {
    /// Initial weights and biases are uniform on ±1/√inputs, as in `torch.nn.Linear`.
    #[must_use]
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs }
    }
}

impl Layer for Affine {
    fn parameters(&self) -> Vec<Parameter> {
        let initializer = Initializer::Uniform {
            bound: 1.0 / (self.inputs as f64).sqrt(),
        };
        let parameter = |name: &str, shape: &[usize]| Parameter {
            name: name.to_owned(),
            shape: shape.to_vec(),
            initializer,
        };
        vec![
            parameter("weight", &[self.outputs, self.inputs]),
            parameter("bias", &[self.outputs]),
        ]
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        match *inputs {
            _ if self.inputs == 0 || self.outputs == 0 => Err("its weight has no elements"),
            [&[inputs]] if inputs == self.inputs => Ok(vec![self.outputs]),
            _ => Err("it needs one axis of as many elements as its weight has columns"),
        }
    }

    fn multiply_adds(&self, _: &[&[usize]]) -> u64 {
        (self.inputs * self.outputs) as u64
    }

    fn forward(
        &self,
        parameters: &[Tensor],
        inputs: &[&Tensor],
    ) -> Result<(Tensor, Vec<Tensor>), Error> {
        let x = inputs[0];
        let y = affine::forward(x, &parameters[0], &parameters[1])?;
        Ok((y, vec![x.clone()]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let [dweight, dbias] = [&tangent.parameters[0], &tangent.parameters[1]];
        let (x, weight) = (&at.saved[0], &at.parameters[0]);
        let dy = affine::tangent(x, weight, tangent.input(), dweight, dbias)?;
        Ok(Some(dy))
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let input = affine::input_cotangent(&at.parameters[0], cotangent)?;
        Ok(Cotangent::Fresh(input))
    }

    fn vjp_parameters(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error> {
        let (x, weight_sum, bias_sum) = (&at.saved[0], &sums[0], &sums[1]);
        Ok(affine::accumulate_cotangent(
            x, cotangent, weight_sum, bias_sum,
        )?)
    }

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Terms(self)
    }

    fn homogeneity(&self) -> Homogeneity {
        Homogeneity::Affine
    }
}

impl SecondOrderRule for Affine {
    fn add_terms(
        &self,
        _: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        sums: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        if let Some(dx) = tangent.input() {
            affine::accumulate_second_order(cotangent, dx, &sums[0])?;
        }
        if let Some(input_sum) = input_sums[0] {
            affine::add_second_order(cotangent, &tangent.parameters[0], input_sum)?;
        }
        Ok(())
    }
}
