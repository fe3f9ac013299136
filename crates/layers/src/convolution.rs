//! Convolutions with groups, dilation, and a stride and paddings of each axis of their own, and their transposes, with
//! PyTorch's names and shapes. [`Conv2d`](crate::Conv2d) is faster where it applies.
//!
//! ```text
//! convolution   y[o, p] = Σ W[o, i, k] x[i, s p + d k - before] + b[o]
//! transposed    y[o, s p + d k - before] += W[i, o, k] x[i, p],  y[o, ·] += b[o]
//! ```
//!
//! Both are bilinear in x and W, with one trilinear form behind them ([`flatness_kernels::convolution`]): y and x change places.

use candle_core::Tensor;
use flatness_kernels::add_in_place;
use flatness_kernels::convolution::{Grid, add_input, add_output, add_weight};

use crate::{
    Cotangent, Error, Homogeneity, Initializer, Layer, Parameter, Point, SecondOrder,
    SecondOrderRule, Tangent,
};

/// Convolution or transposed convolution of images.
#[derive(Debug, Clone, Copy)]
pub struct Convolution {
    inputs: usize,
    outputs: usize,
    kernel: [usize; 2],
    grid: Grid,
    has_bias: bool,
    /// Rows and columns that a transposed convolution has more than its last place of the kernel needs.
    transposed: Option<[usize; 2]>,
}

impl Convolution {
    /// Convolution of `inputs` channels to `outputs` channels by a kernel of rows and columns, with a bias.
    #[must_use]
    pub fn new(inputs: usize, outputs: usize, kernel: [usize; 2], grid: Grid) -> Self {
        Self {
            inputs,
            outputs,
            kernel,
            grid,
            has_bias: true,
            transposed: None,
        }
    }

    /// The transposed convolution, as `torch.nn.ConvTranspose2d` with `output_padding`.
    #[must_use]
    pub fn transposed(self, output_padding: [usize; 2]) -> Self {
        Self {
            transposed: Some(output_padding),
            ..self
        }
    }

    /// Without a bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self {
            has_bias: false,
            ..self
        }
    }

    /// Shape of the weight: outputs of the trilinear form, its inputs of one group, rows, columns.
    fn weight(&self) -> Option<[usize; 4]> {
        let [outer, inner] = match self.transposed {
            None => [self.outputs, self.inputs],
            Some(_) => [self.inputs, self.outputs],
        };
        let fits = outer % self.grid.groups.max(1) == 0 && self.grid.groups > 0;
        let inner = inner
            .checked_div(self.grid.groups)
            .filter(|of_group| fits && of_group * self.grid.groups == inner)?;
        Some([outer, inner, self.kernel[0], self.kernel[1]])
    }

    /// y += ∂T/∂y of the layer's own y.
    fn add_output(&self, y: &Tensor, weight: &Tensor, x: &Tensor) -> Result<(), Error> {
        let added = match self.transposed {
            None => add_output(y, weight, x, self.grid),
            Some(_) => add_input(x, weight, y, self.grid),
        };
        Ok(added?)
    }

    /// x += ∂T/∂x of the layer's own x.
    fn add_input(&self, y: &Tensor, weight: &Tensor, x: &Tensor) -> Result<(), Error> {
        let added = match self.transposed {
            None => add_input(y, weight, x, self.grid),
            Some(_) => add_output(x, weight, y, self.grid),
        };
        Ok(added?)
    }

    fn add_weight(&self, y: &Tensor, weight: &Tensor, x: &Tensor) -> Result<(), Error> {
        let added = match self.transposed {
            None => add_weight(y, weight, x, self.grid),
            Some(_) => add_weight(x, weight, y, self.grid),
        };
        Ok(added?)
    }

    /// (B, V, O, H', W') of the biases (V, O), or of zeros.
    fn start(
        &self,
        bias: Option<&Tensor>,
        [batch, vectors]: [usize; 2],
        at: &Tensor,
    ) -> Result<Tensor, Error> {
        let input = at.dims();
        let output = self.output_shape(&[&input[input.len() - 3..]]);
        let output = output.map_err(candle_core::Error::msg)?;
        let shape = [&[batch, vectors], output.as_slice()].concat();
        Ok(match bias {
            Some(bias) => {
                let bias = bias.reshape((1, vectors, self.outputs, 1, 1))?;
                bias.broadcast_as(shape)?.force_contiguous()?
            }
            None => Tensor::zeros(shape, at.dtype(), at.device())?,
        })
    }
}

impl Layer for Convolution {
    fn parameters(&self) -> Vec<Parameter> {
        let shape = self.weight().unwrap_or_default();
        // As PyTorch's: the fan of a transposed convolution's weight is that of its second axis, too.
        let fan = shape[1] * shape[2] * shape[3];
        let initializer = Initializer::Uniform {
            bound: 1.0 / (fan as f64).sqrt(),
        };
        let parameter = |name: &str, shape: Vec<usize>| Parameter {
            name: name.to_owned(),
            shape,
            initializer,
        };
        let bias = self.has_bias.then(|| parameter("bias", vec![self.outputs]));
        let weight = parameter("weight", shape.to_vec());
        std::iter::once(weight).chain(bias).collect()
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        let weight = self
            .weight()
            .ok_or("its groups must divide both numbers of channels")?;
        if weight.contains(&0) {
            return Err("its weight has no elements");
        }
        let &[&[channels, height, width]] = inputs else {
            return Err("it needs (channels, height, width)");
        };
        if channels != self.inputs {
            return Err("it needs as many channels as its weight has");
        }
        let [height, width] = match self.transposed {
            None => self
                .grid
                .output([height, width], self.kernel)
                .ok_or("its kernel is larger than the padded image")?,
            Some(more) => {
                let along = |axis: usize, extent: usize| {
                    let grid = &self.grid;
                    let places = extent.checked_sub(1)?.checked_mul(grid.stride[axis])?;
                    let reach = (self.kernel[axis] - 1).checked_mul(grid.dilation[axis])?;
                    let padded = places.checked_add(reach)?.checked_add(1 + more[axis])?;
                    padded.checked_sub(grid.before[axis] + grid.behind[axis])
                };
                let image = along(0, height).zip(along(1, width));
                let (rows, columns) = image.ok_or("its paddings are larger than its image")?;
                // The places of the kernel over the image must be the inputs again.
                let again = self.grid.output([rows, columns], self.kernel);
                if again != Some([height, width]) {
                    return Err("its output padding must be smaller than its stride");
                }
                [rows, columns]
            }
        };
        Ok(vec![self.outputs, height, width])
    }

    fn multiply_adds(&self, inputs: &[&[usize]]) -> u64 {
        let (Ok(output), &[input]) = (self.output_shape(inputs), inputs) else {
            return 0;
        };
        let image = if self.transposed.is_some() {
            input
        } else {
            &output
        };
        let weight: usize = self.weight().unwrap_or_default().iter().product();
        (weight * image[1] * image[2]) as u64
    }

    fn patches(&self, inputs: &[&[usize]]) -> usize {
        let (Ok(output), &[input]) = (self.output_shape(inputs), inputs) else {
            return 0;
        };
        let (from, to) = if self.transposed.is_some() {
            (&*output, input)
        } else {
            (input, &*output)
        };
        from[0] * self.kernel[0] * self.kernel[1] * to[1] * to[2]
    }

    fn forward(
        &self,
        parameters: &[Tensor],
        inputs: &[&Tensor],
    ) -> Result<(Tensor, Vec<Tensor>), Error> {
        let x = inputs[0];
        let y = self.start(parameters.get(1), [x.dim(0)?, 1], x)?;
        self.add_output(&y, &parameters[0].unsqueeze(0)?, &x.unsqueeze(1)?)?;
        Ok((y.squeeze(1)?, vec![x.clone()]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let (x, dweight) = (&at.saved[0], &tangent.parameters[0]);
        let extents = [x.dim(0)?, dweight.dim(0)?];
        let dy = self.start(tangent.parameters.get(1), extents, x)?;
        self.add_output(&dy, dweight, &x.unsqueeze(1)?)?;
        if let Some(dx) = tangent.input() {
            self.add_output(&dy, &at.parameters[0].unsqueeze(0)?, dx)?;
        }
        Ok(Some(dy))
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let zero = Cotangent::zero(&at.input_shapes[0], cotangent)?;
        let input = zero.into_tensor();
        self.add_input(cotangent, &at.parameters[0].unsqueeze(0)?, &input)?;
        Ok(Cotangent::Fresh(input))
    }

    fn vjp_parameters(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error> {
        self.add_weight(cotangent, &sums[0], &at.saved[0].unsqueeze(1)?)?;
        if let Some(bias_sum) = sums.get(1) {
            add_in_place(bias_sum, &cotangent.sum((0, 3, 4))?)?;
        }
        Ok(())
    }

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Terms(self)
    }

    fn homogeneity(&self) -> Homogeneity {
        Homogeneity::Affine
    }
}

impl SecondOrderRule for Convolution {
    fn add_terms(
        &self,
        _: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        sums: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        let cotangent = cotangent.unsqueeze(1)?;
        if let Some(dx) = tangent.input() {
            self.add_weight(&cotangent, &sums[0], dx)?;
        }
        if let Some(input_sum) = input_sums[0] {
            self.add_input(&cotangent, &tangent.parameters[0], input_sum)?;
        }
        Ok(())
    }
}
