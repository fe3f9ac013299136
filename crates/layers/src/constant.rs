//! Constants that meet a value element by element, both spread as in NumPy: masks, scales, tables of positions.
//!
//! ```text
//! factors   y = c ⊙ x      linear          shift   y = x + c      ẏ = ẋ,   x̄ = ȳ
//! ```

use candle_core::Tensor;

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
    let all = input.len().max(constants.rank());
    let extent = |shape: &[usize], axis: usize| {
        let missing = all - shape.len();
        if axis < missing {
            1
        } else {
            shape[axis - missing]
        }
    };
    let spread = (0..all).map(
        |axis| match (extent(input, axis), extent(constants.dims(), axis)) {
            (one, other) if one == other || other == 1 => Ok(one),
            (1, other) => Ok(other),
            _ => Err("its constants cannot be spread over an example"),
        },
    );
    spread.collect()
}

/// `x` (N, input shape) with axes of one element put before those of an example, so that it has `axes` of them.
fn widened(x: &Tensor, axes: usize) -> Result<Tensor, Error> {
    let shape = &x.dims()[1..];
    let ones = vec![1; axes.saturating_sub(shape.len())];
    Ok(x.reshape([&[x.dim(0)?], ones.as_slice(), shape].concat())?)
}

/// Sum of `block` (N, ...) over the axes along which `input` was spread.
fn gathered(block: &Tensor, input: &[usize]) -> Result<Tensor, Error> {
    let (axes, missing) = (block.rank() - 1, block.rank() - 1 - input.len());
    let is_spread = |&axis: &usize| {
        axis < missing || (input[axis - missing] == 1 && block.dims()[axis + 1] != 1)
    };
    let spread: Vec<usize> = (0..axes).filter(is_spread).map(|axis| axis + 1).collect();
    let sum = if spread.is_empty() {
        block.clone()
    } else {
        block.sum_keepdim(spread)?
    };
    Ok(sum.reshape([&[block.dim(0)?], input].concat())?)
}

impl LinearMap for Factors {
    fn image(&self, input: &[usize]) -> Result<Vec<usize>, &'static str> {
        spread(input, &self.0)
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor, Error> {
        let x = widened(x, self.0.rank())?;
        Ok(x.broadcast_mul(&like(&self.0, &x)?)?)
    }

    fn apply_transposed(&self, cotangent: &Tensor, input: &[usize]) -> Result<Tensor, Error> {
        let products = cotangent.broadcast_mul(&like(&self.0, cotangent)?)?;
        gathered(&products, input)
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
