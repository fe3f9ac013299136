//! Windows along one axis of each example: weighted sums of their elements, and the largest of them.
//!
//! ```text
//! sums      y[.., k, ..] = Σₜ w[k, t] x[.., p[k, t], ..]       linear
//! largest   y[.., k, ..] = maxₜ x[.., p[k, t], ..]             linear but where the choice changes
//! ```
//!
//! Pooling and interpolation of images are one of these for each axis: a mean of means or a maximum of maxima. The first of
//! equal elements is the largest, as of PyTorch's `max` and pooling; the last axis first, that is the first in row-major order.

use candle_core::Tensor;
use flatness_kernels::pool;

use crate::layer::{linear, only};
use crate::{Cotangent, Error, Layer, LinearMap, Point, Tangent};

/// Weighted sums of a few elements of one axis.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedSums {
    axis: usize,
    windows: Vec<Vec<(u32, f64)>>,
}

/// The largest of a few elements of one axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Largest {
    axis: usize,
    windows: Vec<Vec<u32>>,
}

impl WeightedSums {
    /// Element k along `axis` of an example (counted from 0, without the batch) is the sum over `windows[k]`, places in the
    /// input with their weights.
    #[must_use]
    pub fn new(axis: usize, windows: Vec<Vec<(u32, f64)>>) -> Self {
        Self { axis, windows }
    }

    /// The t-th places of all windows, and their weights, along the axis of `x` (N, ...); of shorter windows the weight is zero.
    fn taps(&self, x: &Tensor) -> Result<Vec<(Tensor, Tensor)>, Error> {
        let longest = self.windows.iter().map(Vec::len).max().unwrap_or(0);
        let mut shape = vec![1; x.rank()];
        shape[self.axis + 1] = self.windows.len();
        let tap = |t: usize| {
            let taps = self.windows.iter();
            let taps = taps.map(|window| window.get(t).copied().unwrap_or((0, 0.0)));
            let (places, weights): (Vec<u32>, Vec<f64>) = taps.unzip();
            let weights = Tensor::new(weights, x.device())?.to_dtype(x.dtype())?;
            Ok((Tensor::new(places, x.device())?, weights.reshape(&*shape)?))
        };
        (0..longest).map(tap).collect()
    }
}

/// The shape of the image of `input`: `outputs` windows along `axis`, all of whose places are within.
fn image(
    axis: usize,
    outputs: usize,
    mut places: impl Iterator<Item = u32>,
    input: &[usize],
) -> Result<Vec<usize>, &'static str> {
    let extent = *input.get(axis).ok_or("it has no such axis")?;
    if outputs == 0 || places.any(|place| place as usize >= extent) {
        return Err("it needs windows within the extent of its axis, at least one");
    }
    let mut image = input.to_vec();
    image[axis] = outputs;
    Ok(image)
}

impl LinearMap for WeightedSums {
    fn image(&self, input: &[usize]) -> Result<Vec<usize>, &'static str> {
        let places = self.windows.iter().flatten().map(|&(place, _)| place);
        image(self.axis, self.windows.len(), places, input)
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor, Error> {
        let x = x.contiguous()?;
        let mut sum: Option<Tensor> = None;
        for (places, weights) in self.taps(&x)? {
            let term = x
                .index_select(&places, self.axis + 1)?
                .broadcast_mul(&weights)?;
            sum = Some(match sum {
                Some(sum) => (sum + term)?,
                None => term,
            });
        }
        sum.ok_or(Error::Value)
    }

    fn apply_transposed(&self, cotangent: &Tensor, input: &[usize]) -> Result<Tensor, Error> {
        let shape = [&[cotangent.dim(0)?], input].concat();
        let zeros = Tensor::zeros(shape, cotangent.dtype(), cotangent.device())?;
        let mut taps = self.taps(cotangent)?.into_iter();
        taps.try_fold(zeros, |sum, (places, weights)| {
            let term = cotangent.broadcast_mul(&weights)?;
            Ok(sum.index_add(&places, &term, self.axis + 1)?)
        })
    }
}

impl Largest {
    /// Element k along `axis` of an example (counted from 0, without the batch) is the largest at the places `windows[k]`.
    #[must_use]
    pub fn new(axis: usize, windows: Vec<Vec<u32>>) -> Self {
        Self { axis, windows }
    }

    /// Elements of an example of `shape` before, along and behind the axis.
    fn plane(&self, shape: &[usize]) -> [usize; 3] {
        let count = |axes: &[usize]| axes.iter().product();
        [
            count(&shape[..self.axis]),
            shape[self.axis],
            count(&shape[self.axis + 1..]),
        ]
    }
}

impl Layer for Largest {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        if self.windows.iter().any(Vec::is_empty) {
            return Err("its windows must have elements");
        }
        let places = self.windows.iter().flatten().copied();
        image(self.axis, self.windows.len(), places, only(inputs)?)
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let (x, outputs) = (inputs[0], self.windows.len());
        let (batch, mut shape) = (x.dim(0)?, x.dims().to_vec());
        let [before, extent, behind] = self.plane(&shape[1..]);
        shape[self.axis + 1] = outputs;
        let planes = x.reshape((batch, before, extent, behind))?.contiguous()?;
        let windows = (batch, before, outputs, behind);
        let longest = self.windows.iter().map(Vec::len).max().unwrap_or(0);
        let mut best: Option<(Tensor, Tensor)> = None;
        for t in 0..longest {
            let place = |window: &Vec<u32>| window[t.min(window.len() - 1)];
            let rows: Vec<u32> = self.windows.iter().map(place).collect();
            let columns = 0..behind as u32;
            let places = rows.iter().flat_map(|row| {
                let row = row * behind as u32;
                columns.clone().map(move |column| row + column)
            });
            let places = Tensor::from_iter(places, x.device())?;
            let places = places
                .reshape((1, 1, outputs, behind))?
                .broadcast_as(windows)?
                .contiguous()?;
            let values = planes.index_select(&Tensor::new(rows, x.device())?, 2)?;
            best = Some(match best {
                None => (values, places),
                Some((largest, argmax)) => {
                    let wins = (values.gt(&largest)? + values.ne(&values)?)?;
                    (
                        wins.where_cond(&values, &largest)?,
                        wins.where_cond(&places, &argmax)?,
                    )
                }
            });
        }
        let (y, argmax) = best.ok_or(Error::Value)?;
        Ok((y.reshape(shape)?, vec![argmax]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let Some(dx) = tangent.input() else {
            return Ok(None);
        };
        let [before, extent, behind] = self.plane(&at.input_shapes[0]);
        let mut shape = dx.dims().to_vec();
        let planes = dx.reshape((shape[0], shape[1], before, extent, behind))?;
        shape[self.axis + 2] = self.windows.len();
        let gathered = pool::max_gather(&at.saved[0], &planes)?;
        Ok(Some(gathered.reshape(shape)?))
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let [before, extent, behind] = self.plane(&at.input_shapes[0]);
        let leading = &cotangent.dims()[..2];
        let outputs = self.windows.len();
        let windows = cotangent.reshape((leading[0], leading[1], before, outputs, behind))?;
        let plane = (extent, behind);
        let scattered = pool::max_scatter(&at.saved[0], &windows, plane, None)?;
        let shape = [leading, &at.input_shapes[0]].concat();
        Ok(Cotangent::Fresh(scattered.reshape(shape)?))
    }

    linear!();
}
