//! Batch normalisation (Ioffe and Szegedy 2015): y = γ x̂ + β, x̂ = (x - mean) r, r = (var + ε)^(-1/2),
//! per channel, with PyTorch's names and ε.
//!
//! Two layers, two Hessians: [`BatchNorm`] takes mean and variance of the batch, so that its
//! examples depend on each other; [`FrozenBatchNorm`] takes constants, an affine map of each channel.

use candle_core::Tensor;
use flatness_kernels::batch_norm::{self, batch, frozen};

use crate::expect::{expect_float, expect_number_type};
use crate::{
    Cotangent, Error, Initializer, Layer, Parameter, Point, SecondOrder, SecondOrderRule, Tangent,
};

/// ε of `torch.nn.BatchNorm2d`.
const EPSILON: f64 = 1e-5;

/// Normalisation by the statistics of the batch, as in training.
#[derive(Debug, Clone, Copy)]
pub struct BatchNorm {
    channels: usize,
    epsilon: f64,
}

/// Normalisation by fixed statistics: what a trained network does.
#[derive(Debug, Clone)]
pub struct FrozenBatchNorm {
    channels: usize,
    /// (C)
    mean: Tensor,
    /// r, (C)
    reciprocal_deviation: Tensor,
}

fn parameters(channels: usize) -> Vec<Parameter> {
    let parameter = |name: &str, value| Parameter {
        name: name.to_owned(),
        shape: vec![channels],
        initializer: Initializer::Constant { value },
    };
    vec![parameter("weight", 1.0), parameter("bias", 0.0)]
}

fn output_shape(channels: usize, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
    match *inputs {
        [input @ &[got, _, _]] if got == channels => Ok(input.to_vec()),
        _ => Err("it needs (channels, height, width) with as many channels as its weight has"),
    }
}

impl BatchNorm {
    /// Scale γ = 1 and shift β = 0 at first, as in `torch.nn.BatchNorm2d`.
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self {
            channels,
            epsilon: EPSILON,
        }
    }

    /// The same with another ε, which is 1e-5 unless said otherwise.
    #[must_use]
    pub fn with_epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// r of the biased `variance` (C).
    fn reciprocal_deviation(&self, variance: &Tensor) -> Result<Tensor, Error> {
        Ok(batch_norm::reciprocal_deviation(variance, self.epsilon)?)
    }

    /// Running mean and variance: zero and one before training.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = Parameter> {
        [("running_mean", 0.0), ("running_var", 1.0)]
            .map(|(name, value)| Parameter {
                name: name.to_owned(),
                shape: vec![self.channels],
                initializer: Initializer::Constant { value },
            })
            .into_iter()
    }

    /// The layer that normalises by `mean` and `variance`, (C) each, of f32 or f64.
    pub(crate) fn freeze(&self, mean: Tensor, variance: &Tensor) -> Result<FrozenBatchNorm, Error> {
        expect_float("running statistics", &mean)?;
        Ok(FrozenBatchNorm {
            channels: self.channels,
            mean,
            reciprocal_deviation: self.reciprocal_deviation(variance)?,
        })
    }

    /// Mean and unbiased variance of the batch that `saved` is of; none of a batch with one value
    /// per channel.
    pub(crate) fn batch_statistics(&self, saved: &[Tensor]) -> Result<Option<[Tensor; 2]>, Error> {
        let [x, mean, _, variance] = saved else {
            return Ok(None);
        };
        let values = x.elem_count() / self.channels.max(1);
        if values < 2 {
            return Ok(None);
        }
        let unbiased = (variance * (values as f64 / (values - 1) as f64))?;
        Ok(Some([mean.clone(), unbiased]))
    }
}

impl Layer for BatchNorm {
    fn parameters(&self) -> Vec<Parameter> {
        parameters(self.channels)
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        output_shape(self.channels, inputs)
    }

    fn forward(
        &self,
        parameters: &[Tensor],
        inputs: &[&Tensor],
    ) -> Result<(Tensor, Vec<Tensor>), Error> {
        let x = inputs[0];
        let moments = batch_norm::moments(x)?;
        let r = self.reciprocal_deviation(&moments.variance)?;
        let at = point(x, &moments.mean, &r, parameters);
        let y = batch_norm::forward(at, &parameters[1])?;
        Ok((y, vec![x.clone(), moments.mean, r, moments.variance]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let [dgamma, dbeta] = [&tangent.parameters[0], &tangent.parameters[1]];
        let dy = batch::tangent(saved(at)?, tangent.input(), dgamma, dbeta)?;
        Ok(Some(dy))
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        Ok(Cotangent::Fresh(batch::input_cotangent(
            saved(at)?,
            cotangent,
        )?))
    }

    fn vjp_parameters(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error> {
        let at = saved(at)?;
        Ok(frozen::accumulate_cotangent(
            at, cotangent, &sums[0], &sums[1],
        )?)
    }

    fn vjp(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
        wanted: &[bool],
    ) -> Result<Vec<Option<Cotangent>>, Error> {
        if wanted != [true] {
            self.vjp_parameters(at, cotangent, sums)?;
            return Ok(vec![None]);
        }
        let at = saved(at)?;
        let input = batch::vjp(at, cotangent, &sums[0], &sums[1])?;
        Ok(vec![Some(Cotangent::Fresh(input))])
    }

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Terms(self)
    }

    fn batch_norm(&self) -> Option<&BatchNorm> {
        Some(self)
    }
}

fn point<'a>(
    x: &'a Tensor,
    mean: &'a Tensor,
    r: &'a Tensor,
    parameters: &'a [Tensor],
) -> batch_norm::Point<'a> {
    let gamma = &parameters[0];
    batch_norm::Point { x, mean, r, gamma }
}

/// Where the forward rule kept x, mean, r and the variance.
fn saved(at: Point<'_>) -> Result<batch_norm::Point<'_>, Error> {
    let [x, mean, r, _] = at.saved else {
        return Err(Error::Value);
    };
    Ok(point(x, mean, r, at.parameters))
}

impl SecondOrderRule for BatchNorm {
    fn add_terms(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        sums: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        let (at, dgamma) = (saved(at)?, &tangent.parameters[0]);
        let (dx, sum) = (tangent.input(), &sums[0]);
        Ok(batch::add_second_order(
            at,
            cotangent,
            dx,
            dgamma,
            sum,
            input_sums[0],
        )?)
    }
}

impl FrozenBatchNorm {
    fn point<'a>(&'a self, x: &'a Tensor, parameters: &'a [Tensor]) -> batch_norm::Point<'a> {
        point(x, &self.mean, &self.reciprocal_deviation, parameters)
    }
}

impl Layer for FrozenBatchNorm {
    fn parameters(&self) -> Vec<Parameter> {
        parameters(self.channels)
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        output_shape(self.channels, inputs)
    }

    fn forward(
        &self,
        parameters: &[Tensor],
        inputs: &[&Tensor],
    ) -> Result<(Tensor, Vec<Tensor>), Error> {
        let x = inputs[0];
        let place = "running statistics given to `Network::freeze`";
        expect_number_type(place, &self.mean, x.dtype())?;
        let y = batch_norm::forward(self.point(x, parameters), &parameters[1])?;
        Ok((y, vec![x.clone()]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let [dgamma, dbeta] = [&tangent.parameters[0], &tangent.parameters[1]];
        let at = self.point(&at.saved[0], at.parameters);
        Ok(Some(frozen::tangent(at, tangent.input(), dgamma, dbeta)?))
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let r = &self.reciprocal_deviation;
        let input = frozen::input_cotangent(r, &at.parameters[0], cotangent)?;
        Ok(Cotangent::Fresh(input))
    }

    fn vjp_parameters(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error> {
        let at = self.point(&at.saved[0], at.parameters);
        Ok(frozen::accumulate_cotangent(
            at, cotangent, &sums[0], &sums[1],
        )?)
    }

    fn vjp(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
        wanted: &[bool],
    ) -> Result<Vec<Option<Cotangent>>, Error> {
        if wanted != [true] {
            self.vjp_parameters(at, cotangent, sums)?;
            return Ok(vec![None]);
        }
        let at = self.point(&at.saved[0], at.parameters);
        let input = frozen::vjp(at, cotangent, &sums[0], &sums[1])?;
        Ok(vec![Some(Cotangent::Fresh(input))])
    }

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Terms(self)
    }
}

impl SecondOrderRule for FrozenBatchNorm {
    fn add_terms(
        &self,
        _: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        sums: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error> {
        Ok(frozen::add_second_order(
            &self.reciprocal_deviation,
            cotangent,
            tangent.input(),
            &tangent.parameters[0],
            &sums[0],
            input_sums[0],
        )?)
    }
}
