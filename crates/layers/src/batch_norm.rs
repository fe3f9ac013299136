//! Batch normalisation (Ioffe and Szegedy 2015): y = γ x̂ + β, x̂ = (x - mean) r, r = (var + ε)^(-1/2),
//! per channel, with PyTorch's names and ε.
//!
//! Two layers, two Hessians: [`BatchNorm`] takes mean and variance of the batch, so that its
//! examples depend on each other; [`FrozenBatchNorm`] takes constants, an affine map of each channel.

use candle_core::Tensor;
use flatness_kernels::batch_norm::{self, Moments, batch, frozen};

use crate::expect::{expect_float, expect_number_type};
use crate::layer::one_by_one;
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
    has_parameters: bool,
}

/// Normalisation by fixed statistics: what a trained network does.
#[derive(Debug, Clone)]
pub struct FrozenBatchNorm {
    channels: usize,
    has_parameters: bool,
    /// (C)
    mean: Tensor,
    /// r, (C)
    reciprocal_deviation: Tensor,
}

fn parameters(channels: usize, are_there: bool) -> Vec<Parameter> {
    if !are_there {
        return Vec::new();
    }
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
            has_parameters: true,
        }
    }

    /// The same with another ε, which is 1e-5 unless said otherwise.
    #[must_use]
    pub fn with_epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// The same without scale and shift, which are 1 and 0.
    #[must_use]
    pub fn without_parameters(self) -> Self {
        Self {
            has_parameters: false,
            ..self
        }
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
            has_parameters: self.has_parameters,
            mean,
            reciprocal_deviation: batch_norm::reciprocal_deviation(variance, self.epsilon)?,
        })
    }

    /// Adds `weight` times mean and unbiased variance of the batch that `saved` is of to the `sums` of both; false for a batch
    /// with one value per channel, which has none.
    pub(crate) fn add_batch_statistics(
        &self,
        saved: &[Tensor],
        sums: [&Tensor; 2],
        weight: f64,
    ) -> Result<bool, Error> {
        let [x, mean, _, variance] = saved else {
            return Ok(false);
        };
        let values = x.elem_count() / self.channels.max(1);
        if values < 2 {
            return Ok(false);
        }
        batch_norm::add_statistics(sums, [mean, variance], values, weight)?;
        Ok(true)
    }
}

impl Layer for BatchNorm {
    fn parameters(&self) -> Vec<Parameter> {
        parameters(self.channels, self.has_parameters)
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
        let Moments { mean, variance, r } = batch_norm::moments(x, self.epsilon)?;
        let [gamma, beta] = scaling(parameters, &r)?;
        let y = batch_norm::forward(point(x, &mean, &r, &gamma), &beta)?;
        Ok((y, vec![x.clone(), mean, r, variance]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let [x, mean, r] = saved(at)?;
        let Some([dgamma, dbeta]) = pieces(tangent.parameters, tangent.input(), r)? else {
            return Ok(None);
        };
        let [gamma, _] = scaling(at.parameters, r)?;
        let at = point(x, mean, r, &gamma);
        Ok(Some(batch::tangent(at, tangent.input(), &dgamma, &dbeta)?))
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let ([x, mean, r], [gamma, _]) = (saved(at)?, scaling(at.parameters, &at.saved[2])?);
        let input = batch::input_cotangent(point(x, mean, r, &gamma), cotangent)?;
        Ok(Cotangent::Fresh(input))
    }

    fn vjp_parameters(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error> {
        let ([x, mean, r], [gamma, beta]) = (saved(at)?, sums) else {
            return Ok(());
        };
        let at = point(x, mean, r, &at.parameters[0]);
        Ok(frozen::accumulate_cotangent(at, cotangent, gamma, beta)?)
    }

    fn vjp(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
        wanted: &[bool],
    ) -> Result<Vec<Option<Cotangent>>, Error> {
        let ([true], [gamma, beta]) = (wanted, sums) else {
            return one_by_one(self, at, cotangent, sums, wanted);
        };
        let [x, mean, r] = saved(at)?;
        let at = point(x, mean, r, &at.parameters[0]);
        let input = batch::vjp(at, cotangent, gamma, beta)?;
        Ok(vec![Some(Cotangent::Fresh(input))])
    }

    fn second_order(&self) -> SecondOrder<'_> {
        SecondOrder::Terms(self)
    }

    fn normalizes(&self) -> bool {
        true
    }

    fn batch_norm(&self) -> Option<&BatchNorm> {
        Some(self)
    }
}

fn point<'a>(
    x: &'a Tensor,
    mean: &'a Tensor,
    r: &'a Tensor,
    gamma: &'a Tensor,
) -> batch_norm::Point<'a> {
    batch_norm::Point { x, mean, r, gamma }
}

/// γ and β, (C): ones and zeros where there are none; `like` is (C).
fn scaling(parameters: &[Tensor], like: &Tensor) -> Result<[Tensor; 2], Error> {
    Ok(match parameters {
        [gamma, beta] => [gamma.clone(), beta.clone()],
        _ => [like.ones_like()?, like.zeros_like()?],
    })
}

/// Tangents of γ and β, (V, C): zeros where there are no parameters, and none where there is no `block` (B, V, ...) either.
fn pieces(
    parameters: &[Tensor],
    block: Option<&Tensor>,
    like: &Tensor,
) -> Result<Option<[Tensor; 2]>, Error> {
    if let [gamma, beta] = parameters {
        return Ok(Some([gamma.clone(), beta.clone()]));
    }
    let zeros = |block: &Tensor| {
        let shape = (block.dim(1)?, like.dim(0)?);
        let zeros = Tensor::zeros(shape, like.dtype(), like.device())?;
        Ok([zeros.clone(), zeros])
    };
    block.map(zeros).transpose()
}

/// Where the forward rule kept x, mean and r, before the variance.
fn saved(at: Point<'_>) -> Result<[&Tensor; 3], Error> {
    match at.saved {
        [x, mean, r, _] => Ok([x, mean, r]),
        _ => Err(Error::Value),
    }
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
        let ([x, mean, r], dx) = (saved(at)?, tangent.input());
        let Some([dgamma, _]) = pieces(tangent.parameters, dx.or(input_sums[0]), r)? else {
            return Ok(());
        };
        let [gamma, _] = scaling(at.parameters, r)?;
        // Without parameters their sum is of no use.
        let sum = match sums {
            [sum, _] => sum.clone(),
            _ => dgamma.zeros_like()?,
        };
        let at = point(x, mean, r, &gamma);
        let input_sum = input_sums[0];
        Ok(batch::add_second_order(
            at, cotangent, dx, &dgamma, &sum, input_sum,
        )?)
    }
}

impl FrozenBatchNorm {
    fn point<'a>(&'a self, x: &'a Tensor, gamma: &'a Tensor) -> batch_norm::Point<'a> {
        point(x, &self.mean, &self.reciprocal_deviation, gamma)
    }
}

impl Layer for FrozenBatchNorm {
    fn parameters(&self) -> Vec<Parameter> {
        parameters(self.channels, self.has_parameters)
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
        let [gamma, beta] = scaling(parameters, &self.mean)?;
        let y = batch_norm::forward(self.point(x, &gamma), &beta)?;
        Ok((y, vec![x.clone()]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let dx = tangent.input();
        let Some([dgamma, dbeta]) = pieces(tangent.parameters, dx, &self.mean)? else {
            return Ok(None);
        };
        let [gamma, _] = scaling(at.parameters, &self.mean)?;
        let at = self.point(&at.saved[0], &gamma);
        Ok(Some(frozen::tangent(at, dx, &dgamma, &dbeta)?))
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let [gamma, _] = scaling(at.parameters, &self.mean)?;
        let r = &self.reciprocal_deviation;
        let input = frozen::input_cotangent(r, &gamma, cotangent)?;
        Ok(Cotangent::Fresh(input))
    }

    fn vjp_parameters(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error> {
        let [gamma, beta] = sums else {
            return Ok(());
        };
        let at = self.point(&at.saved[0], &at.parameters[0]);
        Ok(frozen::accumulate_cotangent(at, cotangent, gamma, beta)?)
    }

    fn vjp(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
        wanted: &[bool],
    ) -> Result<Vec<Option<Cotangent>>, Error> {
        let ([true], [gamma, beta]) = (wanted, sums) else {
            return one_by_one(self, at, cotangent, sums, wanted);
        };
        let at = self.point(&at.saved[0], &at.parameters[0]);
        let input = frozen::vjp(at, cotangent, gamma, beta)?;
        Ok(vec![Some(Cotangent::Fresh(input))])
    }

    fn second_order(&self) -> SecondOrder<'_> {
        match self.has_parameters {
            true => SecondOrder::Terms(self),
            false => SecondOrder::Zero,
        }
    }

    fn normalizes(&self) -> bool {
        true
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
