//! The rules of y = f(x), elementwise. The second-order term is x̄ += ȳ ⊙ f'' ⊙ ẋ.

use candle_core::Tensor;
use flatness_kernels::{Activation, add_in_place};

use crate::layer::{only, parameterless};
use crate::{Cotangent, Error, Homogeneity, Layer, Point, SecondOrder, SecondOrderRule, Tangent};

impl Layer for Activation {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        Ok(only(inputs)?.to_vec())
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let x = inputs[0];
        let (y, kept) = self.evaluate(x)?;
        Ok((y, vec![kept]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let product = |dx| self.slope_product(&at.saved[0], dx);
        Ok(tangent.input().map(product).transpose()?)
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let product = self.slope_product(&at.saved[0], cotangent)?;
        Ok(Cotangent::Fresh(product))
    }

    parameterless!();

    fn second_order(&self) -> SecondOrder<'_> {
        match self {
            Self::Relu => SecondOrder::Zero,
            Self::Tanh | Self::Softplus => SecondOrder::Terms(self),
        }
    }

    fn homogeneity(&self) -> Homogeneity {
        match self {
            Self::Relu => Homogeneity::Input,
            Self::Tanh | Self::Softplus => Homogeneity::Unknown,
        }
    }
}

impl SecondOrderRule for Activation {
    fn add_terms(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        _: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        if let (Some(dx), Some(input_sum)) = (tangent.input(), input_sums[0]) {
            let terms = self.curvature_product(&at.saved[0], cotangent, dx)?;
            if let Some(terms) = terms {
                add_in_place(input_sum, &terms)?;
            }
        }
        Ok(())
    }
}
