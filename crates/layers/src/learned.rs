//! Parameters that meet a value element by element, and parameters that are a value.
//!
//! ```text
//! learned   y = θ                      the same for every example
//! offset    y = x + θ                  θ̄ += Σ ȳ over the examples and over the axes along which θ is spread
//! scale     y = θ ⊙ x                  θ̄ += Σ ȳ ⊙ x;    second order   θ̄ += Σ ȳ ⊙ ẋ,   x̄ += ȳ ⊙ θ̇
//! ```
//!
//! θ is spread as in NumPy: its axes are the last ones of an example, those of one element are repeated, and first ones of one
//! element are left out where there are too many.

use candle_core::{DType, Tensor};
use flatness_kernels::{add, add_in_place, broadcast};

use crate::layer::only;
use crate::{
    Cotangent, Error, Initializer, Layer, Parameter, Point, SecondOrder, SecondOrderRule, Tangent,
};

/// A parameter as the value of every example, such as the token of a class; what comes in is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned(Vec<usize>);

/// A parameter added to each example, such as an embedding of positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offset(Vec<usize>);

/// A parameter that multiplies the elements of each example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale(Vec<usize>);

impl Learned {
    /// A value of `shape`, zero at first.
    #[must_use]
    pub fn new(shape: &[usize]) -> Self {
        Self(shape.to_vec())
    }
}

impl Offset {
    /// An offset of `shape`, zero at first.
    #[must_use]
    pub fn new(shape: &[usize]) -> Self {
        Self(shape.to_vec())
    }
}

impl Scale {
    /// Factors of `shape`, one at first.
    #[must_use]
    pub fn new(shape: &[usize]) -> Self {
        Self(shape.to_vec())
    }
}

fn parameter(name: &str, shape: &[usize], value: f64) -> Vec<Parameter> {
    vec![Parameter {
        name: name.to_owned(),
        shape: shape.to_vec(),
        initializer: Initializer::Constant { value },
    }]
}

/// The shape of the input, along which `shape` can be spread.
fn spread_along(shape: &[usize], inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
    let input = only(inputs)?;
    let spread = broadcast::broadcast_shape(input, last(shape, input.len()));
    match spread.filter(|spread| spread == input && !shape.contains(&0)) {
        Some(spread) => Ok(spread),
        None => Err("its parameter cannot be spread over an example"),
    }
}

/// `shape` without the first axes of one element that it has beyond `axes`.
fn last(shape: &[usize], axes: usize) -> &[usize] {
    let beyond = shape.len().saturating_sub(axes);
    let ones = shape.iter().take(beyond).take_while(|extent| **extent == 1);
    &shape[ones.count()..]
}

/// A parameter as it is broadcast with `x` (B, ...).
fn beside(parameter: &Tensor, x: &Tensor) -> Result<Tensor, Error> {
    Ok(parameter.reshape(last(parameter.dims(), x.rank() - 1))?)
}

/// A small tensor that says how many examples there are, as the first extent of `x` does.
fn counted(x: &Tensor) -> Result<Tensor, Error> {
    Ok(Tensor::zeros(x.dim(0)?, DType::U8, x.device())?)
}

/// (V, shape) to (1, V, 1, ..., shape) as one block of examples of `axes` axes.
fn as_block(pieces: &Tensor, axes: usize) -> Result<Tensor, Error> {
    let (vectors, shape) = (pieces.dim(0)?, last(&pieces.dims()[1..], axes));
    let ones = vec![1; axes - shape.len()];
    Ok(pieces.reshape([&[1, vectors], ones.as_slice(), shape].concat())?)
}

/// Adds a block (B, V, ...) to `sum` (V, shape), over the examples and what `sum` is spread along.
fn add_spread(sum: &Tensor, block: &Tensor) -> Result<(), Error> {
    let axes = block.rank() - 2;
    let shape = last(&sum.dims()[1..], axes);
    let missing = axes - shape.len();
    let spread = (0..axes).filter(|&axis| axis < missing || shape[axis - missing] == 1);
    let spread: Vec<usize> = std::iter::once(0)
        .chain(spread.map(|axis| axis + 2))
        .collect();
    let total = block.sum_keepdim(spread)?.reshape(sum.shape())?;
    Ok(add_in_place(sum, &total)?)
}

impl Layer for Learned {
    fn parameters(&self) -> Vec<Parameter> {
        parameter("value", &self.0, 0.0)
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        only(inputs)?;
        Ok(self.0.clone())
    }

    fn forward(
        &self,
        parameters: &[Tensor],
        inputs: &[&Tensor],
    ) -> Result<(Tensor, Vec<Tensor>), Error> {
        let value = parameters[0].unsqueeze(0)?;
        let y = value.repeat([&[inputs[0].dim(0)?], vec![1; self.0.len()].as_slice()].concat())?;
        Ok((y, vec![counted(inputs[0])?]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let block = as_block(&tangent.parameters[0], self.0.len())?;
        let mut times = vec![1; block.rank()];
        times[0] = at.saved[0].dim(0)?;
        Ok(Some(block.repeat(times)?))
    }

    /// Zero.
    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        Cotangent::zero(&at.input_shapes[0], cotangent)
    }

    fn vjp_parameters(
        &self,
        _: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error> {
        add_spread(&sums[0], cotangent)
    }

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Zero
    }
}

impl Layer for Offset {
    fn parameters(&self) -> Vec<Parameter> {
        parameter("bias", &self.0, 0.0)
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        spread_along(&self.0, inputs)
    }

    fn forward(
        &self,
        parameters: &[Tensor],
        inputs: &[&Tensor],
    ) -> Result<(Tensor, Vec<Tensor>), Error> {
        let y = inputs[0].broadcast_add(&beside(&parameters[0], inputs[0])?)?;
        Ok((y, vec![counted(inputs[0])?]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let own = as_block(&tangent.parameters[0], at.input_shapes[0].len())?;
        if let Some(dx) = tangent.input() {
            return Ok(Some(dx.broadcast_add(&own)?));
        }
        let shape = [
            &[at.saved[0].dim(0)?, own.dim(1)?],
            at.input_shapes[0].as_slice(),
        ]
        .concat();
        Ok(Some(own.broadcast_as(shape)?.contiguous()?))
    }

    fn vjp_input(&self, _: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        Ok(Cotangent::Shared(cotangent.clone()))
    }

    fn vjp_parameters(
        &self,
        _: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error> {
        add_spread(&sums[0], cotangent)
    }

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Zero
    }
}

impl Layer for Scale {
    fn parameters(&self) -> Vec<Parameter> {
        parameter("weight", &self.0, 1.0)
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        spread_along(&self.0, inputs)
    }

    fn forward(
        &self,
        parameters: &[Tensor],
        inputs: &[&Tensor],
    ) -> Result<(Tensor, Vec<Tensor>), Error> {
        let x = inputs[0];
        let y = x.broadcast_mul(&beside(&parameters[0], x)?)?;
        Ok((y, vec![x.clone()]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let own = as_block(&tangent.parameters[0], at.input_shapes[0].len())?;
        let moved = at.saved[0].unsqueeze(1)?.broadcast_mul(&own)?;
        Ok(Some(match tangent.input() {
            Some(dx) => add(
                &moved,
                &dx.broadcast_mul(&beside(&at.parameters[0], &at.saved[0])?)?,
            )?,
            None => moved,
        }))
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let input = cotangent.broadcast_mul(&beside(&at.parameters[0], &at.saved[0])?)?;
        Ok(Cotangent::Fresh(input))
    }

    fn vjp_parameters(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error> {
        let products = cotangent.broadcast_mul(&at.saved[0].unsqueeze(1)?)?;
        add_spread(&sums[0], &products)
    }

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Terms(self)
    }
}

impl SecondOrderRule for Scale {
    fn add_terms(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        sums: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        let cotangent = cotangent.unsqueeze(1)?;
        if let Some(dx) = tangent.input() {
            add_spread(&sums[0], &dx.broadcast_mul(&cotangent)?)?;
        }
        if let Some(input_sum) = input_sums[0] {
            let own = as_block(&tangent.parameters[0], at.input_shapes[0].len())?;
            add_in_place(input_sum, &cotangent.broadcast_mul(&own)?)?;
        }
        Ok(())
    }
}
