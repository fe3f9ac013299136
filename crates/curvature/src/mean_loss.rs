//! L(θ) = (1/N) Σᵢ lᵢ(θ): the mean loss over a data set, its value and gradient.
//!
//! Examples are cut into chunks, chunks into one contiguous share per worker. Every share sums in
//! order and the shares are added in order, so the bits depend on the number of workers alone.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use flatness_data::{Batch, Examples};
use flatness_layers::{Loss, Network, Workers};

use crate::{Curvature, Error, Retention};

/// Bytes of one chunk's inputs and activations on the CPU: the fastest power of two for the products of
/// the small networks, by up to a tenth; wider ones do not care.
const CHUNK_BYTES: usize = 2 << 20;

/// Number type, device and batch size of a [`MeanLoss`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// Number type of parameters and arithmetic.
    pub dtype: DType,
    /// Device of parameters and arithmetic.
    pub device: Device,
    /// Most examples in one sweep; changes memory and speed, and values by rounding only.
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
        let layout = self.network.layout();
        let parameters = layout.views(theta)?;
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
            for chunk in &chunks[share] {
                let batch = self.batch(examples, chunk)?;
                let point =
                    self.network
                        .linearize(&parameters, &batch.images, &batch.labels, self.loss)?;
                point.add_gradient(&sums)?;
                loss += point.loss().sum();
                correct += point.loss().correct();
            }
            Ok::<_, Error>(((loss, correct), sums))
        })?;
        let evaluation = evaluation(shares.iter().map(|share| share.0), count);
        let gradient = self.mean(shares.into_iter().map(|share| share.1), count)?;
        Ok((evaluation, gradient.squeeze(0)?))
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

    /// Bytes that [`Retention::Retain`] keeps, from one chunk at `theta` (P).
    ///
    /// # Errors
    /// A `theta` of another length, or a device error.
    pub fn retained_bytes(&self, theta: &Tensor) -> Result<usize, Error> {
        let parameters = self.network.layout().views(theta)?;
        let chunk = self.chunk_examples(self.data.len()).min(self.data.len());
        let batch = self.batch(Selection::All, &(0..chunk))?;
        let point = self
            .network
            .linearize(&parameters, &batch.images, &batch.labels, self.loss)?
            .with_cotangents()?;
        Ok(point.bytes().div_ceil(chunk) * self.data.len())
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

    /// Examples per chunk: on the CPU small enough for the cache and for every worker to have one.
    fn chunk_examples(&self, count: usize) -> usize {
        let Settings {
            dtype,
            device,
            batch_size,
        } = &self.settings;
        if !device.is_cpu() {
            return *batch_size;
        }
        let inputs: usize = self.network.input_shape().iter().product();
        let bytes = (inputs + self.network.activations()) * dtype.size_in_bytes();
        let cached = (CHUNK_BYTES / bytes).max(64);
        cached
            .min(*batch_size)
            .min(count.div_ceil(self.workers.threads()))
            .max(1)
    }
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
