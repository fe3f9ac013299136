//! L(θ) = (1/N) Σᵢ lᵢ(θ): the mean loss over a data set, its value and gradient.
//!
//! Examples are cut into chunks, chunks into one contiguous share per worker. Every share sums in
//! order and the shares are added in order, so the bits depend on the number of workers alone. Where
//! batch-norm couples the examples of a batch, a chunk is a whole batch: the partition is part of
//! what L means.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use flatness_data::{Batch, Examples};
use flatness_layers::{Linearization, Loss, Network, Workers};

use crate::{Curvature, Error, Retention};

/// Bytes of one chunk's inputs and activations on the CPU: the fastest power of two for the products of
/// the small networks, by up to a tenth; wider ones do not care.
const CHUNK_BYTES: usize = 2 << 20;

/// Examples that a chunk holds even beyond [`CHUNK_BYTES`], to spread the work on the weights.
const CHUNK_EXAMPLES: usize = 64;

/// Bytes that a chunk of so many examples may have on the CPU; wide networks take fewer.
const CHUNK_BYTES_AT_MOST: usize = 128 << 20;

/// Number type, device and batch size of a [`MeanLoss`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// Number type of parameters and arithmetic.
    pub dtype: DType,
    /// Device of parameters and arithmetic.
    pub device: Device,
    /// Most examples in one sweep; changes memory and speed, and values by rounding only, unless the
    /// network normalises by its batches: then it is their size.
    pub batch_size: usize,
}

/// A network with a loss over a data set.
#[derive(Debug)]
pub struct MeanLoss<'a> {
    network: &'a Network,
    data: &'a dyn Examples,
    loss: Loss,
    workers: &'a Workers,
    settings: Settings,
}

/// Loss and accuracy over some examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Fraction classified correctly.
    pub accuracy: f64,
}

/// One step's worth of training: dropout switched on, statistics of the batch handed back.
#[derive(Debug, Clone)]
pub struct TrainingGradient {
    /// Loss and accuracy, with dropout.
    pub evaluation: Evaluation,
    /// Gradient of the mean loss, (P).
    pub gradient: Tensor,
    /// Means and unbiased variances in the layers that normalise by the batch, (Q) in the order of
    /// [`Network::buffers`].
    pub statistics: Tensor,
}

/// Examples of the data set.
#[derive(Debug, Clone, Copy)]
pub enum Selection<'i> {
    /// All of them.
    All,
    /// Those at these indices, repetitions counted.
    At(&'i [u32]),
}

impl<'a> MeanLoss<'a> {
    /// Puts a network, a data set and a loss together.
    ///
    /// # Errors
    /// [`Error::Fit`] when shapes or classes do not fit, [`Error::BatchSize`].
    pub fn new(
        network: &'a Network,
        data: &'a dyn Examples,
        loss: Loss,
        workers: &'a Workers,
        settings: Settings,
    ) -> Result<Self, Error> {
        let fit = |what, expected: &[usize], got: &[usize]| {
            let (expected, got) = (expected.to_vec(), got.to_vec());
            if expected == got {
                return Ok(());
            }
            Err(Error::Fit {
                data: data.name().to_owned(),
                what,
                expected,
                got,
            })
        };
        fit(
            "examples of shape",
            network.input_shape(),
            &data.example_shape(),
        )?;
        fit("classes", network.output_shape(), &[data.classes()])?;
        if !(1..=data.len()).contains(&settings.batch_size) {
            return Err(Error::BatchSize {
                data: data.name().to_owned(),
                examples: data.len(),
                got: settings.batch_size,
            });
        }
        Ok(Self {
            network,
            data,
            loss,
            workers,
            settings,
        })
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &'a Network {
        self.network
    }

    /// The data set.
    #[must_use]
    pub fn data(&self) -> &'a dyn Examples {
        self.data
    }

    /// The loss of one example.
    #[must_use]
    pub fn loss(&self) -> Loss {
        self.loss
    }

    /// Number type, device and batch size.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn workers(&self) -> &'a Workers {
        self.workers
    }

    /// Mean loss and accuracy at `theta` (P) over all examples.
    ///
    /// # Errors
    /// A `theta` of another length, or a device error.
    pub fn evaluate(&self, theta: &Tensor) -> Result<Evaluation, Error> {
        let parameters = self.network.layout().views(theta)?;
        let chunks = self.chunks(self.data.len());
        let shares = self.workers.shares(chunks.len(), |share| {
            chunks[share]
                .iter()
                .try_fold((0.0, 0), |(loss, correct), chunk| {
                    let batch = self.batch(Selection::All, chunk)?;
                    let logits = self.network.forward(&parameters, &batch.images)?;
                    let point = self.loss.evaluate(&logits, &batch.labels)?;
                    Ok::<_, Error>((loss + point.sum(), correct + point.correct()))
                })
        })?;
        Ok(evaluation(shares.iter().copied(), self.data.len()))
    }

    /// Mean loss, accuracy and gradient (P) at `theta` (P) over `examples`.
    ///
    /// # Errors
    /// A `theta` of another length, no index or one beyond the data, or a device error.
    pub fn gradient(
        &self,
        theta: &Tensor,
        examples: Selection<'_>,
    ) -> Result<(Evaluation, Tensor), Error> {
        let (evaluation, gradient, _) = self.differentiate(theta, examples, None)?;
        Ok((evaluation, gradient))
    }

    /// The gradient of a training step over the examples at `indices`, with dropout masks drawn
    /// from `dropout_seed`.
    ///
    /// # Errors
    /// As [`MeanLoss::gradient`], and a batch of one value per channel for a batch-norm.
    pub fn training_gradient(
        &self,
        theta: &Tensor,
        indices: &[u32],
        dropout_seed: u64,
    ) -> Result<TrainingGradient, Error> {
        let examples = Selection::At(indices);
        let (evaluation, gradient, statistics) =
            self.differentiate(theta, examples, Some(dropout_seed))?;
        Ok(TrainingGradient {
            evaluation,
            gradient,
            statistics,
        })
    }

    /// Loss, gradient and, with a seed for dropout, the statistics of the batches.
    fn differentiate(
        &self,
        theta: &Tensor,
        examples: Selection<'_>,
        dropout_seed: Option<u64>,
    ) -> Result<(Evaluation, Tensor, Tensor), Error> {
        let parameters = self.network.layout().views(theta)?;
        let count = match examples {
            Selection::All => self.data.len(),
            Selection::At(indices) => indices.len(),
        };
        if count == 0 {
            return Err(Error::NoExamples {
                data: self.data.name().to_owned(),
            });
        }
        let chunks = self.chunks(count);
        let shares = self.workers.shares(chunks.len(), |share| {
            let sums = self.zeros(1)?;
            let (mut loss, mut correct) = (0.0, 0);
            let mut statistics = self.zero_statistics()?;
            for chunk in &chunks[share] {
                let batch = self.batch(examples, chunk)?;
                let thinned = dropout_seed
                    .filter(|_| self.network.has_dropout())
                    .map(|seed| self.network.thin(seed, chunk.start))
                    .transpose()?;
                let network = thinned.as_ref().unwrap_or(self.network);
                let point =
                    network.linearize(&parameters, &batch.images, &batch.labels, self.loss)?;
                point.add_gradient(&sums)?;
                loss += point.loss().sum();
                correct += point.loss().correct();
                if dropout_seed.is_some() {
                    statistics = self.add_statistics(&statistics, &point, chunk.len(), count)?;
                }
            }
            Ok::<_, Error>(((loss, correct), sums, statistics))
        })?;
        let evaluation = evaluation(shares.iter().map(|share| share.0), count);
        let statistics = total(shares.iter().map(|share| &share.2))?;
        let gradient = self.mean(shares.into_iter().map(|share| share.1), count)?;
        Ok((evaluation, gradient.squeeze(0)?, statistics))
    }

    /// Means and unbiased variances in the layers that normalise by the batch, (Q), averaged over
    /// the batches of all examples: what [`Network::freeze`] takes after training.
    ///
    /// # Errors
    /// A `theta` of another length, a batch of one value per channel, or a device error.
    pub fn batch_statistics(&self, theta: &Tensor) -> Result<Tensor, Error> {
        let parameters = self.network.layout().views(theta)?;
        let chunks = self.chunks(self.data.len());
        let shares = self.workers.shares(chunks.len(), |share| {
            chunks[share]
                .iter()
                .try_fold(self.zero_statistics()?, |statistics, chunk| {
                    let Batch { images, labels } = self.batch(Selection::All, chunk)?;
                    let point = self
                        .network
                        .linearize(&parameters, &images, &labels, self.loss)?;
                    self.add_statistics(&statistics, &point, chunk.len(), self.data.len())
                })
        })?;
        total(shares.iter())
    }

    fn zero_statistics(&self) -> Result<Tensor, Error> {
        let Settings { dtype, device, .. } = &self.settings;
        Ok(Tensor::zeros(self.network.buffers().dim(), *dtype, device)?)
    }

    /// Adds the statistics of a batch of `examples` of `count` with their weight.
    fn add_statistics(
        &self,
        sum: &Tensor,
        point: &Linearization<'_>,
        examples: usize,
        count: usize,
    ) -> Result<Tensor, Error> {
        if self.network.buffers().dim() == 0 {
            return Ok(sum.clone());
        }
        let weight = examples as f64 / count as f64;
        Ok((sum + (point.batch_statistics()? * weight)?)?)
    }

    /// The curvature at `theta` (P) over all examples.
    ///
    /// # Errors
    /// A `theta` of another length, or a device error.
    pub fn curvature<'c>(
        &'c self,
        theta: &Tensor,
        retention: Retention,
    ) -> Result<Curvature<'c>, Error> {
        Curvature::new(self, theta, retention)
    }

    /// Bytes that a linearisation keeps for each example, measured on the first at `theta` (P).
    /// [`Retention::Retain`] keeps them for all examples, [`Retention::Recompute`] for
    /// [`MeanLoss::examples_per_sweep`] at a time and worker.
    ///
    /// # Errors
    /// A `theta` of another length, or a device error.
    pub fn bytes_per_example(&self, theta: &Tensor) -> Result<usize, Error> {
        let parameters = self.network.layout().views(theta)?;
        let batch = self.batch(Selection::All, &(0..1))?;
        let point = self
            .network
            .linearize(&parameters, &batch.images, &batch.labels, self.loss)?
            .with_cotangents()?;
        Ok(point.bytes())
    }

    /// Most examples in one sweep of one worker.
    #[must_use]
    pub fn examples_per_sweep(&self) -> usize {
        self.chunk_examples(self.data.len())
    }

    /// Contiguous chunks of `count` examples.
    pub(crate) fn chunks(&self, count: usize) -> Vec<Range<usize>> {
        let size = self.chunk_examples(count);
        (0..count)
            .step_by(size)
            .map(|start| start..(start + size).min(count))
            .collect()
    }

    pub(crate) fn batch(
        &self,
        examples: Selection<'_>,
        chunk: &Range<usize>,
    ) -> Result<Batch, Error> {
        let Settings { dtype, device, .. } = &self.settings;
        Ok(match examples {
            Selection::All => self.data.batch(chunk.clone(), *dtype, device)?,
            Selection::At(indices) => self.data.gather(&indices[chunk.clone()], *dtype, device)?,
        })
    }

    pub(crate) fn zeros(&self, vectors: usize) -> Result<Vec<Tensor>, Error> {
        let Settings { dtype, device, .. } = &self.settings;
        Ok(self.network.layout().zeros(vectors, *dtype, device)?)
    }

    /// Adds the sums of the shares in order, joins them to (V, P) and divides by the examples.
    pub(crate) fn mean(
        &self,
        shares: impl IntoIterator<Item = Vec<Tensor>>,
        examples: usize,
    ) -> Result<Tensor, Error> {
        let mut shares = shares.into_iter();
        let total = shares.next().map_or_else(|| self.zeros(1), Ok)?;
        for share in shares {
            self.network.layout().add(&total, &share)?;
        }
        Ok((self.network.layout().join(&total)? / examples as f64)?)
    }

    /// Examples per chunk: a whole batch where examples are coupled, else on the CPU small enough for
    /// the cache and for every worker to have one.
    fn chunk_examples(&self, count: usize) -> usize {
        let Settings {
            dtype,
            device,
            batch_size,
        } = &self.settings;
        if !device.is_cpu() || self.network.couples_examples() {
            return *batch_size;
        }
        let inputs: usize = self.network.input_shape().iter().product();
        let bytes = (inputs + self.network.activations()) * dtype.size_in_bytes();
        let spread = CHUNK_EXAMPLES.min(CHUNK_BYTES_AT_MOST / bytes);
        let cached = (CHUNK_BYTES / bytes).max(spread);
        cached
            .min(*batch_size)
            .min(count.div_ceil(self.workers.threads()))
            .max(1)
    }
}

/// The sum of at least one tensor, in order.
fn total<'t>(mut shares: impl Iterator<Item = &'t Tensor>) -> Result<Tensor, Error> {
    let first = shares
        .next()
        .cloned()
        .ok_or(flatness_layers::Error::Value)?;
    shares.try_fold(first, |sum, share| Ok((sum + share)?))
}

fn evaluation(shares: impl Iterator<Item = (f64, usize)>, examples: usize) -> Evaluation {
    let (loss, correct) = shares.fold((0.0, 0), |sum: (f64, usize), share| {
        (sum.0 + share.0, sum.1 + share.1)
    });
    Evaluation {
        loss: loss / examples as f64,
        accuracy: correct as f64 / examples as f64,
    }
}
