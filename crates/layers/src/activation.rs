//! The rules of y = f(x), elementwise. The second-order term is x̄ += ȳ ⊙ f'' ⊙ ẋ.

use candle_core::Tensor;
use flatness_kernels::{Activation, add_in_place};

use crate::{Error, Homogeneity, Layer, Point, SecondOrder, SecondOrderRule, Tangent};

impl Layer for Activation {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, &'static str> {
        Ok(input.to_vec())
    }

    fn forward(&self, _: &[Tensor], x: &Tensor) -> Result<(Tensor, Vec<Tensor>), Error> {
        let (y, kept) = self.evaluate(x)?;
        Ok((y, vec![kept]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let product = |dx| self.slope_product(&at.saved[0], dx);
        Ok(tangent.input.map(product).transpose()?)
    }

    fn vjp_input(&self, at: Point<'_>, cotangent: &Tensor) -> Result<Tensor, Error> {
        Ok(self.slope_product(&at.saved[0], cotangent)?)
    }

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
        input_sum: Option<&Tensor>,
    ) -> Result<(), Error> {
        if let (Some(dx), Some(input_sum)) = (tangent.input, input_sum) {
            let terms = self.curvature_product(&at.saved[0], cotangent, dx)?;
            if let Some(terms) = terms {
                add_in_place(input_sum, &terms)?;
            }
        }
        Ok(())
    }
}
