//! Maps that move elements: linear, each output element is one input element or zero.

use candle_core::Tensor;

use crate::{Error, LinearMap};

/// Another shape of each example with as many elements, in row-major order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reshape(Vec<usize>);

impl Reshape {
    /// To examples of `shape`.
    #[must_use]
    pub fn new(shape: &[usize]) -> Self {
        Self(shape.to_vec())
    }
}

impl LinearMap for Reshape {
    fn image(&self, input: &[usize]) -> Result<Vec<usize>, &'static str> {
        let elements = |shape: &[usize]| shape.iter().product::<usize>();
        if elements(input) != elements(&self.0) {
            return Err("its new shape has another number of elements");
        }
        Ok(self.0.clone())
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor, Error> {
        reshaped(x, &self.0)
    }

    fn apply_transposed(&self, cotangent: &Tensor, input: &[usize]) -> Result<Tensor, Error> {
        reshaped(cotangent, input)
    }
}

/// All axes of each example become one, in row-major order.
#[derive(Debug, Clone, Copy)]
pub struct Flatten;

impl LinearMap for Flatten {
    fn image(&self, input: &[usize]) -> Result<Vec<usize>, &'static str> {
        Ok(vec![input.iter().product()])
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(x.flatten_from(1)?)
    }

    fn apply_transposed(&self, cotangent: &Tensor, input: &[usize]) -> Result<Tensor, Error> {
        reshaped(cotangent, input)
    }
}

/// Axes of each example in another order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transpose(Vec<usize>);

impl Transpose {
    /// Axis k of the output is axis `order[k]` of the input; axes of an example are counted from 0, without the batch.
    #[must_use]
    pub fn new(order: &[usize]) -> Self {
        Self(order.to_vec())
    }
}

impl LinearMap for Transpose {
    fn image(&self, input: &[usize]) -> Result<Vec<usize>, &'static str> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..input.len()) {
            return Err("its order must name every axis once");
        }
        Ok(self.0.iter().map(|&axis| input[axis]).collect())
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor, Error> {
        permuted(x, self.0.iter().copied())
    }

    fn apply_transposed(&self, cotangent: &Tensor, _: &[usize]) -> Result<Tensor, Error> {
        let place = |axis| self.0.iter().position(|&from| from == axis);
        permuted(cotangent, (0..self.0.len()).filter_map(place))
    }
}

/// Elements along one axis at given places: slices, reversals, repetitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    axis: usize,
    places: Vec<u32>,
}

impl Select {
    /// Element k along `axis` of an example (counted from 0, without the batch) of the output is element `places[k]` of the
    /// input's.
    #[must_use]
    pub fn new(axis: usize, places: &[u32]) -> Self {
        Self {
            axis,
            places: places.to_vec(),
        }
    }

    fn places(&self, like: &Tensor) -> Result<Tensor, Error> {
        Ok(Tensor::new(self.places.as_slice(), like.device())?)
    }
}

impl LinearMap for Select {
    fn image(&self, input: &[usize]) -> Result<Vec<usize>, &'static str> {
        let extent = *input.get(self.axis).ok_or("it has no such axis")?;
        if self.places.is_empty() || self.places.iter().any(|&place| place as usize >= extent) {
            return Err("it needs places within the extent of its axis, at least one");
        }
        let mut image = input.to_vec();
        image[self.axis] = self.places.len();
        Ok(image)
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(x.contiguous()?
            .index_select(&self.places(x)?, self.axis + 1)?)
    }

    fn apply_transposed(&self, cotangent: &Tensor, input: &[usize]) -> Result<Tensor, Error> {
        let shape = [&[cotangent.dim(0)?], input].concat();
        let zeros = Tensor::zeros(shape, cotangent.dtype(), cotangent.device())?;
        let (places, cotangent) = (self.places(cotangent)?, cotangent.contiguous()?);
        Ok(zeros.index_add(&places, &cotangent, self.axis + 1)?)
    }
}

/// Zeros before and behind the elements of one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pad {
    /// Axis of an example, counted from 0, without the batch.
    pub axis: usize,
    /// Zeros before the first element.
    pub before: usize,
    /// Zeros behind the last.
    pub behind: usize,
}

impl LinearMap for Pad {
    fn image(&self, input: &[usize]) -> Result<Vec<usize>, &'static str> {
        let mut image = input.to_vec();
        *image.get_mut(self.axis).ok_or("it has no such axis")? += self.before + self.behind;
        Ok(image)
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(x.pad_with_zeros(self.axis + 1, self.before, self.behind)?)
    }

    fn apply_transposed(&self, cotangent: &Tensor, input: &[usize]) -> Result<Tensor, Error> {
        let inner = cotangent.narrow(self.axis + 1, self.before, input[self.axis])?;
        Ok(inner.contiguous()?)
    }
}

fn reshaped(x: &Tensor, shape: &[usize]) -> Result<Tensor, Error> {
    Ok(x.reshape([&[x.dim(0)?], shape].concat())?)
}

/// With the axes of an example in this order.
fn permuted(x: &Tensor, order: impl Iterator<Item = usize>) -> Result<Tensor, Error> {
    let order: Vec<usize> = std::iter::once(0)
        .chain(order.map(|axis| axis + 1))
        .collect();
    Ok(x.permute(order)?.contiguous()?)
}
