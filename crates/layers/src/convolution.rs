//! Convolutions of signals, images and volumes, with groups, and a stride, dilation and paddings of each axis of their own, and
//! their transposes, with PyTorch's names and shapes. [`Conv2d`](crate::Conv2d) is faster where it applies.
//!
//! ```text
//! convolution   y[o, p] = Σ W[o, i, k] x[i, s p + d k - before] + b[o]
//! transposed    y[o, s p + d k - before] += W[i, o, k] x[i, p],  y[o, ·] += b[o]
//! ```
//!
//! Both are bilinear in x and W, with one trilinear form behind them ([`flatness_kernels::convolution`]): y and x change places.

use candle_core::Tensor;
use flatness_kernels::add_in_place;
use flatness_kernels::convolution::{Grid, add_input, add_output, add_weight, last_three};

use crate::{
    Cotangent, Error, Homogeneity, Initializer, Layer, Parameter, Point, SecondOrder,
    SecondOrderRule, Tangent,
};

/// Convolution or transposed convolution of one to three axes.
#[derive(Debug, Clone, Copy)]
pub struct Convolution {
    inputs: usize,
    outputs: usize,
    /// Axes of the image.
    rank: usize,
    kernel: [usize; 3],
    grid: Grid,
    has_bias: bool,
    /// Elements that a transposed convolution has more along each axis than its last place of the kernel needs.
    transposed: Option<[usize; 3]>,
}

impl Convolution {
    /// Convolution of `inputs` channels to `outputs` channels by a kernel of these extents, one for each axis of the image,
    /// with a bias.
    #[must_use]
    pub fn new(inputs: usize, outputs: usize, kernel: &[usize], grid: Grid) -> Self {
        Self {
            inputs,
            outputs,
            rank: kernel.len(),
            kernel: last_three(kernel, 1),
            grid,
            has_bias: true,
            transposed: None,
        }
    }

    /// The transposed convolution, as `torch.nn.ConvTranspose2d` and its relatives with `output_padding`.
    #[must_use]
    pub fn transposed(self, output_padding: &[usize]) -> Self {
        Self {
            transposed: Some(last_three(output_padding, 0)),
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

    /// Shape of the weight: outputs of the trilinear form, its inputs of one group, extents of the kernel.
    pub(crate) fn weight(&self) -> Option<Vec<usize>> {
        let [outer, inner] = match self.transposed {
            None => [self.outputs, self.inputs],
            Some(_) => [self.inputs, self.outputs],
        };
        let fits = outer % self.grid.groups.max(1) == 0 && self.grid.groups > 0;
        let inner = inner
            .checked_div(self.grid.groups)
            .filter(|of_group| fits && of_group * self.grid.groups == inner)?;
        let kernel = self.kernel.get(3usize.checked_sub(self.rank)?..)?;
        Some([&[outer, inner], kernel].concat())
    }

    /// Activations (B, V, C, ...) and weights (V, O, I, ...) with three axes behind the first three, in the same memory.
    fn volumes(tensors: [&Tensor; 3]) -> Result<[Tensor; 3], Error> {
        let volume = |tensor: &Tensor| {
            let (front, image) = tensor.dims().split_at(3);
            tensor.reshape([front, &last_three(image, 1)].concat())
        };
        let [y, weight, x] = tensors.map(volume);
        Ok([y?, weight?, x?])
    }

    /// y += ∂T/∂y of the layer's own y.
    pub(crate) fn add_output(&self, y: &Tensor, weight: &Tensor, x: &Tensor) -> Result<(), Error> {
        let [y, weight, x] = Self::volumes([y, weight, x])?;
        let added = match self.transposed {
            None => add_output(&y, &weight, &x, self.grid),
            Some(_) => add_input(&x, &weight, &y, self.grid),
        };
        Ok(added?)
    }

    /// x += ∂T/∂x of the layer's own x.
    pub(crate) fn add_input(&self, y: &Tensor, weight: &Tensor, x: &Tensor) -> Result<(), Error> {
        let [y, weight, x] = Self::volumes([y, weight, x])?;
        let added = match self.transposed {
            None => add_input(&y, &weight, &x, self.grid),
            Some(_) => add_output(&x, &weight, &y, self.grid),
        };
        Ok(added?)
    }

    pub(crate) fn add_weight(&self, y: &Tensor, weight: &Tensor, x: &Tensor) -> Result<(), Error> {
        let [y, weight, x] = Self::volumes([y, weight, x])?;
        let added = match self.transposed {
            None => add_weight(&y, &weight, &x, self.grid),
            Some(_) => add_weight(&x, &weight, &y, self.grid),
        };
        Ok(added?)
    }

    /// (B, V, O, ...) of the biases (V, O), or of zeros.
    fn start(
        &self,
        bias: Option<&Tensor>,
        [batch, vectors]: [usize; 2],
        at: &Tensor,
    ) -> Result<Tensor, Error> {
        let output = self.output_shape(&[&at.dims()[1..]]);
        let output = output.map_err(candle_core::Error::msg)?;
        let shape = [&[batch, vectors], output.as_slice()].concat();
        Ok(match bias {
            Some(bias) => {
                let ones = vec![1; self.rank];
                let bias = bias.reshape([&[1, vectors, self.outputs], &ones[..]].concat())?;
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
        let fan: usize = shape.iter().skip(1).product();
        let initializer = Initializer::Uniform {
            bound: 1.0 / (fan as f64).sqrt(),
        };
        let parameter = |name: &str, shape: Vec<usize>| Parameter {
            name: name.to_owned(),
            shape,
            initializer,
        };
        let bias = self.has_bias.then(|| parameter("bias", vec![self.outputs]));
        std::iter::once(parameter("weight", shape))
            .chain(bias)
            .collect()
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        if !(1..=3).contains(&self.rank) {
            return Err("it takes images of one to three axes");
        }
        let weight = self
            .weight()
            .ok_or("its groups must divide both numbers of channels")?;
        if weight.contains(&0) {
            return Err("its weight has no elements");
        }
        let &[&[channels, ref extents @ ..]] = inputs else {
            return Err("it needs channels and the axes of its kernel");
        };
        if extents.len() != self.rank {
            return Err("it needs channels and the axes of its kernel");
        }
        if channels != self.inputs {
            return Err("it needs as many channels as its weight has");
        }
        let extents = last_three(extents, 1);
        let image = match self.transposed {
            None => self
                .grid
                .output(extents, self.kernel)
                .ok_or("its kernel is larger than the padded image")?,
            Some(more) => {
                let along = |axis: usize| {
                    let grid = self.grid.axes[axis];
                    let places = extents[axis].checked_sub(1)?.checked_mul(grid.stride)?;
                    let reach = (self.kernel[axis] - 1).checked_mul(grid.dilation)?;
                    let padded = places.checked_add(reach)?.checked_add(1 + more[axis])?;
                    padded.checked_sub(grid.before + grid.behind)
                };
                let [Some(depth), Some(rows), Some(columns)] = [0, 1, 2].map(along) else {
                    return Err("its paddings are larger than its image");
                };
                let image = [depth, rows, columns];
                // The places of the kernel over the image must be the inputs again.
                if self.grid.output(image, self.kernel) != Some(extents) {
                    return Err("its output padding must be smaller than its stride");
                }
                image
            }
        };
        Ok([&[self.outputs], &image[3 - self.rank..]].concat())
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
        (weight * image[1..].iter().product::<usize>()) as u64
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
        from[0] * self.kernel.iter().chain(&to[1..]).product::<usize>()
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
            let axes: Vec<usize> = std::iter::once(0).chain(3..3 + self.rank).collect();
            add_in_place(bias_sum, &cotangent.sum(axes)?)?;
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
