//! y = W ⋆ x + b, a two-dimensional convolution (cross-correlation) with PyTorch's names and shapes.
//!
//! x (I, H, W), W (O, I, k, k), b (O), y (O, H', W'). Bilinear in x and W: its second-order terms are
//! the two cotangent passes with one side replaced by its tangent.

use candle_core::Tensor;
use flatness_kernels::conv2d::{self, Window};

use crate::{
    Cotangent, Error, Homogeneity, Initializer, Layer, Parameter, Point, SecondOrder,
    SecondOrderRule, Tangent,
};

/// Convolution of `inputs` channels to `outputs` channels by a square kernel.
#[derive(Debug, Clone, Copy)]
pub struct Conv2d {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    window: Window,
    weight: Initializer,
    bias: Option<Initializer>,
}

impl Conv2d {
    /// With a bias; initial weights and biases are uniform on ±1/√(inputs · kernel²), as in
    /// `torch.nn.Conv2d`.
    #[must_use]
    pub fn new(inputs: usize, outputs: usize, kernel: usize, window: Window) -> Self {
        let uniform = Initializer::Uniform {
            bound: 1.0 / ((inputs * kernel * kernel) as f64).sqrt(),
        };
        Self {
            inputs,
            outputs,
            kernel,
            window,
            weight: uniform,
            bias: Some(uniform),
        }
    }

    /// Without a bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// Initial weights Gaussian with variance 2 / (outputs · kernel²) (He et al. 2015, fan-out).
    #[must_use]
    pub fn he_normal(self) -> Self {
        let fan_out = self.outputs * self.kernel * self.kernel;
        let weight = Initializer::Normal {
            standard_deviation: (2.0 / fan_out as f64).sqrt(),
        };
        Self { weight, ..self }
    }

    /// Initial weights Gaussian with variance 2 / ((inputs + outputs) · kernel²) (Glorot and Bengio
    /// 2010).
    #[must_use]
    pub fn xavier_normal(self) -> Self {
        let fans = (self.inputs + self.outputs) * self.kernel * self.kernel;
        let weight = Initializer::Normal {
            standard_deviation: (2.0 / fans as f64).sqrt(),
        };
        Self { weight, ..self }
    }

    /// Initial biases all of one value.
    #[must_use]
    pub fn constant_bias(self, value: f64) -> Self {
        Self {
            bias: Some(Initializer::Constant { value }),
            ..self
        }
    }
}

impl Layer for Conv2d {
    fn parameters(&self) -> Vec<Parameter> {
        let weight = Parameter {
            name: "weight".to_owned(),
            shape: vec![self.outputs, self.inputs, self.kernel, self.kernel],
            initializer: self.weight,
        };
        let bias = self.bias.map(|initializer| Parameter {
            name: "bias".to_owned(),
            shape: vec![self.outputs],
            initializer,
        });
        std::iter::once(weight).chain(bias).collect()
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        match *inputs {
            _ if self.inputs * self.outputs * self.kernel == 0 => Err("its weight has no elements"),
            [&[inputs, height, width]] if inputs == self.inputs => {
                let output = |extent| self.window.output(extent, self.kernel);
                let (height, width) = output(height)
                    .zip(output(width))
                    .ok_or("its kernel is larger than the padded image")?;
                Ok(vec![self.outputs, height, width])
            }
            _ => Err("it needs (channels, height, width) with as many channels as its weight has"),
        }
    }

    fn multiply_adds(&self, inputs: &[&[usize]]) -> u64 {
        let pixels = self
            .output_shape(inputs)
            .map_or(0, |shape| shape[1] * shape[2]);
        (self.outputs * self.inputs * self.kernel * self.kernel * pixels) as u64
    }

    fn patches(&self, inputs: &[&[usize]]) -> usize {
        let (Ok(output), &[input]) = (self.output_shape(inputs), inputs) else {
            return 0;
        };
        let pixels = |shape: &[usize]| shape[1] * shape[2];
        // The kernel's gradient is a correlation of all offsets up to the stride, of which those of the kernel are kept.
        let taps = [self.kernel, self.kernel + self.window.stride - 1].map(|taps| taps * taps);
        let of_cotangents = self.outputs * taps[0] * pixels(input);
        of_cotangents.max(self.inputs * taps[1] * pixels(&output))
    }

    fn forward(
        &self,
        parameters: &[Tensor],
        inputs: &[&Tensor],
    ) -> Result<(Tensor, Vec<Tensor>), Error> {
        let x = inputs[0];
        let y = conv2d::forward(x, &parameters[0], parameters.get(1), self.window)?;
        Ok((y, vec![x.clone()]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let (x, weight, dx) = (&at.saved[0], &at.parameters[0], tangent.input());
        let (dweight, dbias) = (&tangent.parameters[0], tangent.parameters.get(1));
        let dy = conv2d::tangent(x, weight, dx, dweight, dbias, self.window)?;
        Ok(Some(dy))
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let input = (at.input_shapes[0][1], at.input_shapes[0][2]);
        let weight = &at.parameters[0];
        let input = conv2d::input_cotangent(weight, cotangent, input, self.window)?;
        Ok(Cotangent::Fresh(input))
    }

    fn vjp_parameters(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error> {
        let (x, weight_sum, bias_sum) = (&at.saved[0], &sums[0], sums.get(1));
        let window = self.window;
        Ok(conv2d::accumulate_cotangent(
            x, cotangent, weight_sum, bias_sum, window,
        )?)
    }

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Terms(self)
    }

    fn homogeneity(&self) -> Homogeneity {
        Homogeneity::Affine
    }
}

impl SecondOrderRule for Conv2d {
    fn add_terms(
        &self,
        _: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        sums: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        if let Some(dx) = tangent.input() {
            conv2d::accumulate_second_order(cotangent, dx, &sums[0], self.window)?;
        }
        if let Some(input_sum) = input_sums[0] {
            conv2d::add_second_order(cotangent, &tangent.parameters[0], input_sum, self.window)?;
        }
        Ok(())
    }
}
