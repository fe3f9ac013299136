//! A convolution by a kernel that is no parameter: linear.

use candle_core::Tensor;

use crate::{Convolution, Error, Layer, LinearMap, Point};

/// A convolution by a kernel of constants, such as a blur, without a bias.
#[derive(Debug, Clone)]
pub struct Filter {
    convolution: Convolution,
    kernel: Tensor,
}

impl Filter {
    /// By `kernel`, in the shape of the weight of `convolution`; it is brought to the number type and device of the value.
    #[must_use]
    pub fn new(convolution: Convolution, kernel: Tensor) -> Self {
        Self {
            convolution: convolution.without_bias(),
            kernel,
        }
    }

    fn kernel(&self, like: &Tensor) -> Result<[Tensor; 1], Error> {
        let kernel = self.kernel.to_device(like.device())?;
        Ok([kernel.to_dtype(like.dtype())?])
    }
}

impl LinearMap for Filter {
    fn image(&self, input: &[usize]) -> Result<Vec<usize>, &'static str> {
        if self.convolution.weight().as_deref() != Some(self.kernel.dims()) {
            return Err("its kernel has another shape than the weight of its convolution");
        }
        self.convolution.output_shape(&[input])
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor, Error> {
        let (y, _) = self
            .convolution
            .forward(&self.kernel(x)?, &[&x.contiguous()?])?;
        Ok(y)
    }

    fn apply_transposed(&self, cotangent: &Tensor, input: &[usize]) -> Result<Tensor, Error> {
        let at = Point {
            parameters: &self.kernel(cotangent)?,
            saved: &[],
            input_shapes: &[input.to_vec()],
        };
        let cotangent = cotangent.contiguous()?.unsqueeze(1)?;
        let input = self.convolution.vjp_input(at, 0, &cotangent)?;
        Ok(input.into_tensor().squeeze(1)?)
    }
}
