//! Sums and means over axes of an example, which stay with one element. Linear.

use candle_core::Tensor;

use crate::{Error, LinearMap};

/// Sum or mean over axes of each example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduce {
    axes: Vec<usize>,
    is_mean: bool,
}

impl Reduce {
    /// Sum over these axes of an example, counted from 0, without the batch.
    #[must_use]
    pub fn sum(axes: &[usize]) -> Self {
        Self {
            axes: axes.to_vec(),
            is_mean: false,
        }
    }

    /// Mean over these axes.
    #[must_use]
    pub fn mean(axes: &[usize]) -> Self {
        Self {
            is_mean: true,
            ..Self::sum(axes)
        }
    }

    /// 1, or one over the number of elements of a mean of examples of `input`.
    fn weight(&self, input: &[usize]) -> f64 {
        let elements = self.axes.iter().map(|&axis| input[axis]);
        if self.is_mean {
            1.0 / elements.product::<usize>() as f64
        } else {
            1.0
        }
    }
}

impl LinearMap for Reduce {
    fn image(&self, input: &[usize]) -> Result<Vec<usize>, &'static str> {
        let mut image = input.to_vec();
        for &axis in &self.axes {
            match image.get_mut(axis) {
                Some(extent) if *extent > 0 => *extent = 1,
                Some(_) => return Err("it needs at least one element along its axes"),
                None => return Err("it has no such axis"),
            }
        }
        Ok(image)
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor, Error> {
        let axes: Vec<usize> = self.axes.iter().map(|axis| axis + 1).collect();
        Ok((x.sum_keepdim(axes)? * self.weight(&x.dims()[1..]))?)
    }

    fn apply_transposed(&self, cotangent: &Tensor, input: &[usize]) -> Result<Tensor, Error> {
        let shape = [&[cotangent.dim(0)?], input].concat();
        let weighted = (cotangent * self.weight(input))?;
        Ok(weighted.broadcast_as(shape)?.contiguous()?)
    }
}
