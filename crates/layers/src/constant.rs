//! Constants that meet a value element by element, both spread as in NumPy: masks, scales, tables of positions.
//!
//! ```text
//! factors   y = c ⊙ x      linear          shift   y = x + c      ẏ = ẋ,   x̄ = ȳ
//! ```

use candle_core::Tensor;
use flatness_kernels::broadcast;

use crate::layer::{only, parameterless};
use crate::{Cotangent, Error, Layer, LinearMap, Point, SecondOrder, Tangent};

/// Multiplication by constants.
#[derive(Debug, Clone)]
pub struct Factors(Tensor);

/// Addition of constants.
#[derive(Debug, Clone)]
pub struct Shift(Tensor);

impl Factors {
    /// By `constants`, without a batch axis; they are brought to the number type and device of the value.
    #[must_use]
    pub fn new(constants: Tensor) -> Self {
        Self(constants)
    }
}

impl Shift {
    /// Of `constants`, without a batch axis; they are brought to the number type and device of the value.
    #[must_use]
    pub fn new(constants: Tensor) -> Self {
        Self(constants)
    }
}

fn like(constants: &Tensor, x: &Tensor) -> Result<Tensor, Error> {
    Ok(constants.to_device(x.device())?.to_dtype(x.dtype())?)
}

/// The shape of x ⊙ c (one example).
fn spread(input: &[usize], constants: &Tensor) -> Result<Vec<usize>, &'static str> {
    let shape = broadcast::broadcast_shape(input, constants.dims());
    shape.ok_or("its constants cannot be spread over an example")
}

impl LinearMap for Factors {
    fn image(&self, input: &[usize]) -> Result<Vec<usize>, &'static str> {
        spread(input, &self.0)
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor, Error> {
        // Axes of one element stand before those of an example where it has fewer than the constants.
        let missing = vec![1; self.0.rank().saturating_sub(x.rank() - 1)];
        let wide = x.reshape([&x.dims()[..1], &missing, &x.dims()[1..]].concat())?;
        Ok(wide.broadcast_mul(&like(&self.0, x)?)?)
    }

    fn apply_transposed(&self, cotangent: &Tensor, input: &[usize]) -> Result<Tensor, Error> {
        let products = cotangent.broadcast_mul(&like(&self.0, cotangent)?)?;
        Ok(broadcast::gathered(&products.unsqueeze(1)?, input)?.squeeze(1)?)
    }
}

impl Layer for Shift {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        let input = only(inputs)?;
        let spread = spread(input, &self.0)?;
        if spread != input {
            return Err("its constants are larger than an example");
        }
        Ok(spread)
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let x = inputs[0];
        Ok((x.broadcast_add(&like(&self.0, x)?)?, Vec::new()))
    }

    fn jvp(&self, _: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        Ok(tangent.input().cloned())
    }

    fn vjp_input(&self, _: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        Ok(Cotangent::Shared(cotangent.clone()))
    }

    parameterless!();

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Zero
    }
}
