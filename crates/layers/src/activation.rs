//! The rules of y = f(x), elementwise. The second-order term is x̄ += ȳ ⊙ f'' ⊙ ẋ.

use candle_core::Tensor;
use flatness_kernels::{Activation, Function};

use crate::layer::{only, parameterless};
use crate::{Cotangent, Error, Homogeneity, Layer, Point, SecondOrder, SecondOrderRule, Tangent};

impl Layer for Activation {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        Ok(only(inputs)?.to_vec())
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        Ok(self.evaluate(inputs[0])?)
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let product = |dx| self.slope_product(at.saved, dx);
        Ok(tangent.input().map(product).transpose()?)
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let product = self.slope_product(at.saved, cotangent)?;
        Ok(Cotangent::Fresh(product))
    }

    parameterless!();

    fn second_order(&self) -> SecondOrder<'_> {
        match self.is_piecewise_linear() {
            true => SecondOrder::Zero,
            false => SecondOrder::Terms(self),
        }
    }

    fn homogeneity(&self) -> Homogeneity {
        match *self {
            Self::Relu | Self::LeakyRelu { .. } | Self::Abs => Homogeneity::Input,
            Self::Linear { shift: 0.0, .. } => Homogeneity::Input,
            _ => Homogeneity::Unknown,
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
            self.add_curvature_product(at.saved, cotangent, dx, input_sum)?;
        }
        Ok(())
    }
}
