//! The measured network at the parameters, in their own number type or in double precision.
//!
//! Differences of losses cancel: the smallest rises that are looked at are 1e-9 of the loss, below the rounding of single
//! precision. Images stay as they are stored and become floats of either type batch by batch.

use candle_core::{DType, Tensor};
use flatness_curvature::{Curvature, MeanLoss, Retention, Settings};
use flatness_data::{Examples, Subset};
use flatness_layers::{Loss, Network};
use flatness_records::{BatchNorm, Request, Streams};

use crate::{Error, Resources, Subject};

/// Number type of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// That of the parameters.
    Own,
    /// float64.
    Double,
}

impl Precision {
    pub(crate) fn dtype(self, subject: &Subject<'_>) -> DType {
        match self {
            Self::Own => subject.weights.theta.dtype(),
            Self::Double => DType::F64,
        }
    }
}

/// The network whose curvature is measured, and θ (P).
#[derive(Debug)]
pub(crate) struct Point<'a> {
    pub(crate) network: Network,
    loss: Loss<'a>,
    pub(crate) theta: Tensor,
}

impl<'a> Point<'a> {
    pub(crate) fn new(
        subject: &Subject<'a>,
        batch_norm: BatchNorm,
        precision: Precision,
    ) -> Result<Self, Error> {
        let dtype = precision.dtype(subject);
        let network = match batch_norm {
            BatchNorm::Batch => subject.network.clone(),
            BatchNorm::Frozen => {
                let buffers = subject.weights.buffers.to_dtype(dtype)?;
                subject.network.freeze(&buffers)?
            }
        };
        let theta = subject.weights.theta.to_dtype(dtype)?;
        let loss = subject.loss;
        Ok(Self {
            network,
            loss,
            theta,
        })
    }

    pub(crate) fn mean_loss<'s>(
        &'s self,
        examples: &'s dyn Examples,
        batch_size: BatchSize,
        resources: &Resources<'s>,
    ) -> Result<MeanLoss<'s>, Error> {
        let of = |batch_size| {
            let settings = Settings {
                dtype: self.theta.dtype(),
                device: resources.device.clone(),
                batch_size,
            };
            let (network, workers) = (&self.network, resources.workers);
            MeanLoss::new(network, examples, self.loss, workers, settings)
        };
        match batch_size {
            BatchSize::Asked(size) => Ok(of(size)?),
            BatchSize::AtMost(most) => {
                let whole = of(most)?;
                let fits = whole.fitting_batch_size(&self.theta, most, resources.activations)?;
                Ok(if fits == most { whole } else { of(fits)? })
            }
        }
    }
}

/// The part of the split that is asked for, where it is not all of it.
///
/// # Errors
/// More examples than there are.
pub fn part<'a>(
    subject: &Subject<'a>,
    request: &Request,
    streams: Streams,
) -> Result<Option<Subset<'a>>, Error> {
    let all = subject.examples;
    Ok(match (request.sample, request.examples) {
        (Some(count), _) => Some(Subset::random(all, count, streams.seed("sample"))?),
        (None, Some(count)) => Some(Subset::first(all, count)?),
        (None, None) => None,
    })
}

/// Most examples per sweep where the request does not say.
const BATCH: usize = 1000;

/// Examples per sweep.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BatchSize {
    /// What the request says.
    Asked(usize),
    /// So many, or what fits the memory of a device.
    AtMost(usize),
}

/// What the request says of the examples per sweep.
pub(crate) fn batch_size(request: &Request, examples: &dyn Examples) -> Result<BatchSize, Error> {
    match request.batch_size {
        Some(got) if !(1..=examples.len()).contains(&got) => Err(Error::BatchSize {
            data: examples.name().to_owned(),
            examples: examples.len(),
            got,
        }),
        Some(size) => Ok(BatchSize::Asked(size)),
        None => Ok(BatchSize::AtMost(examples.len().min(BATCH))),
    }
}

/// What the memory for activations allows; refuses where it does not hold the sweeps that go on at a time.
pub(crate) fn retention(
    mean_loss: &MeanLoss<'_>,
    theta: &Tensor,
    allowed: usize,
) -> Result<Retention, Error> {
    let bytes = mean_loss.bytes_per_example(theta)?;
    let (batch, sweeps) = (mean_loss.examples_per_sweep(), mean_loss.sweeps_at_a_time());
    let needed = bytes * batch * sweeps;
    if needed > allowed {
        return Err(Error::Activations {
            sweeps,
            batch,
            needed,
            allowed,
            fits: allowed / (bytes * sweeps),
        });
    }
    Ok(Retention::within(
        allowed,
        bytes * mean_loss.examples_per_rank(),
    ))
}

/// The curvature at `theta` (P), with activations kept where they fit.
pub(crate) fn curvature<'a>(
    mean_loss: &'a MeanLoss<'a>,
    theta: &Tensor,
    resources: &Resources<'_>,
) -> Result<Curvature<'a>, Error> {
    let retention = retention(mean_loss, theta, resources.activations)?;
    Ok(mean_loss.curvature(theta, retention)?)
}
