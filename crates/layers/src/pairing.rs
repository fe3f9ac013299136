//! The rules of y = a ∘ b, bilinear in two values: products of elements, and of matrices along the last two axes.
//!
//! ```text
//! jvp            ẏ = ȧ ∘ b + a ∘ ḃ
//! vjp            ā = ȳ ∘ b,   b̄ = a ∘ ȳ       with bᵀ and aᵀ in matrix products
//! second order   ā += ȳ ∘ ḃ,  b̄ += ȧ ∘ ȳ
//! ```
//!
//! Shapes of examples are aligned at the last axis and repeated where they have one element, as in NumPy.

use candle_core::Tensor;
use flatness_kernels::{Pairing, Side};

use crate::layer::parameterless;
use crate::{Cotangent, Error, Layer, Point, SecondOrder, SecondOrderRule, Tangent};

const SIDES: [Side; 2] = [Side::Left, Side::Right];

impl Layer for Pairing {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        let &[left, right] = inputs else {
            return Err("it needs two inputs");
        };
        let shape = self.result_shape(left, right);
        shape.ok_or(match self {
            Self::Product => "both factors must have one shape, but for axes of one element",
            Self::MatMul => {
                "it needs matrices (rows, inner) and (inner, columns) behind equal axes"
            }
        })
    }

    fn multiply_adds(&self, inputs: &[&[usize]]) -> u64 {
        match (self, inputs) {
            (Self::MatMul, &[[.., inner], _]) => {
                let results = self.output_shape(inputs).unwrap_or_default();
                (results.iter().product::<usize>() * inner) as u64
            }
            _ => 0,
        }
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let y = self.evaluate(inputs[0], inputs[1])?;
        Ok((y, vec![inputs[0].clone(), inputs[1].clone()]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let tangents = [tangent.inputs[0], tangent.inputs[1]];
        if tangents.iter().all(Option::is_none) {
            return Ok(None);
        }
        Ok(Some(self.tangent([&at.saved[0], &at.saved[1]], tangents)?))
    }

    fn vjp_input(
        &self,
        at: Point<'_>,
        input: usize,
        cotangent: &Tensor,
    ) -> Result<Cotangent, Error> {
        let (other, shape) = (&at.saved[1 - input], &at.input_shapes[input]);
        let product = self.input_cotangent(SIDES[input], other, cotangent, shape)?;
        Ok(Cotangent::Fresh(product))
    }

    parameterless!();

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Terms(self)
    }
}

impl SecondOrderRule for Pairing {
    fn add_terms(
        &self,
        _: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        _: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        for (side, (sum, other)) in SIDES.into_iter().zip([(0, 1), (1, 0)]) {
            if let (Some(sum), Some(other)) = (input_sums[sum], tangent.inputs[other]) {
                self.add_second_order(side, other, cotangent, sum)?;
            }
        }
        Ok(())
    }
}
