//! y = x Wᵀ + b along the last axis, with PyTorch's names and initial values.
//!
//! Bilinear in x and W: its second-order terms are x̄ += ȳ Ẇ and W̄ += ȳᵀ ẋ.

use candle_core::Tensor;
use flatness_kernels::affine::{self, Order, Weight};

use crate::layer::only;
use crate::{
    Cotangent, Error, Homogeneity, Initializer, Layer, Parameter, Point, SecondOrder,
    SecondOrderRule, Tangent,
};

/// Affine map of vectors of `inputs` elements to vectors of `outputs` elements: (..., I) to (..., O), at every place of
/// the axes before the last.
#[derive(Debug, Clone, Copy)]
pub struct Affine {
    inputs: usize,
    outputs: usize,
    bias: bool,
    order: Order,
}

impl Affine {
    /// Initial weights and biases are uniform on ±1/√inputs, as in `torch.nn.Linear`.
    #[must_use]
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Self {
            inputs,
            outputs,
            bias: true,
            order: Order::OutputsFirst,
        }
    }

    /// The same without a bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self {
            bias: false,
            ..self
        }
    }

    /// The same with a weight stored as (I, O), the other way round than PyTorch's.
    #[must_use]
    pub fn with_inputs_first(self) -> Self {
        Self {
            order: Order::InputsFirst,
            ..self
        }
    }

    fn weight<'a>(&self, parameters: &'a [Tensor]) -> Weight<'a> {
        Weight {
            tensor: &parameters[0],
            order: self.order,
        }
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
        let weight = parameter("weight", &self.order.shape(self.outputs, self.inputs));
        let bias = self.bias.then(|| parameter("bias", &[self.outputs]));
        [weight].into_iter().chain(bias).collect()
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        match only(inputs)?.split_last() {
            _ if self.inputs == 0 || self.outputs == 0 => Err("its weight has no elements"),
            Some((&last, between)) if last == self.inputs && !between.contains(&0) => {
                Ok([between, &[self.outputs]].concat())
            }
            _ => Err("it needs a last axis of as many elements as its weight has inputs"),
        }
    }

    fn multiply_adds(&self, inputs: &[&[usize]]) -> u64 {
        let between = inputs[0]
            .split_last()
            .map_or(&[][..], |(_, between)| between);
        (between.iter().product::<usize>() * self.inputs * self.outputs) as u64
    }

    fn forward(
        &self,
        parameters: &[Tensor],
        inputs: &[&Tensor],
    ) -> Result<(Tensor, Vec<Tensor>), Error> {
        let x = inputs[0];
        let y = affine::forward(x, self.weight(parameters), parameters.get(1))?;
        Ok((y, vec![x.clone()]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let (dweight, dbias) = (&tangent.parameters[0], tangent.parameters.get(1));
        let (x, weight) = (&at.saved[0], self.weight(at.parameters));
        let dy = affine::tangent(x, weight, tangent.input(), dweight, dbias)?;
        Ok(Some(dy))
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let input = affine::input_cotangent(self.weight(at.parameters), cotangent)?;
        Ok(Cotangent::Fresh(input))
    }

    fn vjp_parameters(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error> {
        let (x, weight_sum, bias_sum) = (&at.saved[0], &sums[0], sums.get(1));
        let order = self.order;
        Ok(affine::accumulate_cotangent(
            x, cotangent, order, weight_sum, bias_sum,
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
            affine::accumulate_second_order(cotangent, dx, self.order, &sums[0])?;
        }
        if let Some(input_sum) = input_sums[0] {
            affine::add_second_order(cotangent, &tangent.parameters[0], self.order, input_sum)?;
        }
        Ok(())
    }
}
