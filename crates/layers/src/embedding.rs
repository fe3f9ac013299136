//! y = rows of W: each input element is the number of a row. Linear in W.
//!
//! Numbers of rows come as floating-point numbers, like every input, so that f32 holds those below 2²⁴; nothing is
//! differentiated by them.

use candle_core::{DType, Tensor};

use crate::layer::only;
use crate::{Cotangent, Error, Initializer, Layer, Parameter, Point, SecondOrder, Tangent};

/// Vectors of `width` elements for `rows` symbols, with PyTorch's name and initial values.
#[derive(Debug, Clone, Copy)]
pub struct Embedding {
    rows: usize,
    width: usize,
}

impl Embedding {
    /// Initial values are Gaussian with variance 1, as in `torch.nn.Embedding`.
    #[must_use]
    pub fn new(rows: usize, width: usize) -> Self {
        Self { rows, width }
    }

    /// Numbers of rows (B · T), of inputs (B, ...).
    fn numbers(&self, x: &Tensor) -> Result<Tensor, Error> {
        let numbers = x.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let mut rows = Vec::with_capacity(numbers.len());
        for number in numbers {
            if number.fract() != 0.0 || !(0.0..self.rows as f64).contains(&number) {
                return Err(Error::Row {
                    got: number,
                    rows: self.rows,
                });
            }
            rows.push(number as u32);
        }
        Ok(Tensor::from_vec(rows, x.elem_count(), x.device())?)
    }
}

impl Layer for Embedding {
    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter {
            name: "weight".to_owned(),
            shape: vec![self.rows, self.width],
            initializer: Initializer::Normal {
                standard_deviation: 1.0,
            },
        }]
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        if self.rows * self.width == 0 {
            return Err("its weight has no elements");
        }
        Ok([only(inputs)?, &[self.width]].concat())
    }

    fn forward(
        &self,
        parameters: &[Tensor],
        inputs: &[&Tensor],
    ) -> Result<(Tensor, Vec<Tensor>), Error> {
        let (x, numbers) = (inputs[0], self.numbers(inputs[0])?);
        let rows = parameters[0].contiguous()?.index_select(&numbers, 0)?;
        let y = rows.reshape([x.dims(), &[self.width]].concat())?;
        Ok((y, vec![numbers]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let (numbers, dweight) = (&at.saved[0], &tangent.parameters[0]);
        let (vectors, shape) = (dweight.dim(0)?, &at.input_shapes[0]);
        let examples = numbers.elem_count() / shape.iter().product::<usize>().max(1);
        // (V, B, T · width), and the axis of vectors behind that of examples.
        let rows = dweight.index_select(numbers, 1)?;
        let rows = rows.reshape((vectors, examples, ()))?.transpose(0, 1)?;
        let shape = [&[examples, vectors], shape.as_slice(), &[self.width]].concat();
        Ok(Some(rows.contiguous()?.reshape(shape)?))
    }

    /// Zero: nothing stands before the numbers of rows.
    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        Cotangent::zero(&at.input_shapes[0], cotangent)
    }

    fn vjp_parameters(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error> {
        let (numbers, vectors) = (&at.saved[0], cotangent.dim(1)?);
        let cotangent = cotangent.transpose(0, 1)?.contiguous()?;
        let rows = cotangent.reshape((vectors, numbers.elem_count(), self.width))?;
        let sum = sums[0].zeros_like()?.index_add(numbers, &rows, 1)?;
        Ok(flatness_kernels::add_in_place(&sums[0], &sum)?)
    }

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Zero
    }
}
