//! L(θ) = (1/N) Σᵢ lᵢ(θ): the mean loss over a data set, its value and gradient.
//!
//! Every sweep takes one of the [`chunks`] of the examples.

mod agreement;
mod chunks;
mod evaluation;
mod statistics;

use candle_core::{DType, Device, Tensor};
use flatness_data::{Batch, Examples};
use flatness_kernels::takes_cpu_path;
use flatness_layers::{Loss, Network, Workers, count_correct};
use flatness_operator::check_like;

use crate::{Curvature, Error, Retention};
use evaluation::Tally;
pub use evaluation::{Confidence, Evaluation};

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
    loss: Loss<'a>,
    /// What the loss of an example is multiplied by.
    factor: f64,
    pub(crate) workers: &'a Workers,
    settings: Settings,
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
    /// Puts a network, a data set and a loss together. On a device other than the CPU one of the `workers` is at work, the
    /// caller's own thread: the device has one stream.
    ///
    /// # Errors
    /// [`Error::Fit`] when shapes or classes do not fit, [`Error::Data`] for class weights that do not, [`Error::BatchSize`],
    /// [`Error::SettingsType`] for a number type other than f32 and f64, and [`Error::Elements`] for a batch that is too
    /// large for the device.
    pub fn new(
        network: &'a Network,
        data: &'a dyn Examples,
        loss: Loss<'a>,
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
        let shape = data.example_shape();
        fit("examples of shape", network.input_shape(), &shape)?;
        fit("classes", network.output_shape(), &data.outputs())?;
        if !(1..=data.len()).contains(&settings.batch_size) {
            return Err(Error::BatchSize {
                data: data.name().to_owned(),
                examples: data.len(),
                got: settings.batch_size,
            });
        }
        if !matches!(settings.dtype, DType::F32 | DType::F64) {
            return Err(Error::SettingsType {
                got: settings.dtype.as_str(),
            });
        }
        if !takes_cpu_path(&settings.device) {
            let coupled = network.couples_examples();
            let examples = if coupled { settings.batch_size } else { 1 };
            chunks::check_elements(examples, network.largest_tensor())?;
        }
        Ok(Self {
            network,
            data,
            loss,
            factor: data.loss_factor(loss.class_weights())?,
            workers,
            settings,
        })
    }

    /// The same network, loss, threads and settings over other `data`, such as an epoch's augmented
    /// images.
    ///
    /// # Errors
    /// As [`MeanLoss::new`].
    pub fn over<'b>(&self, data: &'b dyn Examples) -> Result<MeanLoss<'b>, Error>
    where
        'a: 'b,
    {
        let settings = self.settings.clone();
        MeanLoss::new(self.network, data, self.loss, self.workers, settings)
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
    pub fn loss(&self) -> Loss<'a> {
        self.loss
    }

    /// What the loss of an example is multiplied by.
    pub(crate) fn factor(&self) -> f64 {
        self.factor
    }

    /// Number type, device and batch size.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Mean loss and gradient (P) at `theta` (P) over `examples`.
    ///
    /// # Errors
    /// A `theta` of another length, number type or device, no index or one beyond the data, or a
    /// device error.
    pub fn gradient(
        &self,
        theta: &Tensor,
        examples: Selection<'_>,
    ) -> Result<(f64, Tensor), Error> {
        let step = self.differentiate(theta, examples, None)?;
        Ok((step.evaluation.loss, step.gradient))
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
        self.differentiate(theta, Selection::At(indices), Some(dropout_seed))
    }

    /// Loss, gradient and, with a seed for dropout, the statistics of the batches.
    fn differentiate(
        &self,
        theta: &Tensor,
        examples: Selection<'_>,
        dropout_seed: Option<u64>,
    ) -> Result<TrainingGradient, Error> {
        let parameters = self.parameters(theta)?;
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
        let shares = self.shares(chunks.len(), |share| {
            let sums = self.zeros(1)?;
            let mut tally = Tally::default();
            let statistics = self.zero_statistics()?;
            for chunk in &chunks[share] {
                let Batch { inputs, labels } = self.batch(examples, chunk)?;
                let seed = dropout_seed.filter(|_| self.network.has_dropout());
                let thinned = seed.map(|seed| self.network.thin(seed, chunk.start));
                let thinned = thinned.transpose()?;
                let network = thinned.as_ref().unwrap_or(self.network);
                let mut correct = None;
                let see = |logits: &Tensor| {
                    // An epoch reports the accuracy of its steps; nobody else asks.
                    if dropout_seed.is_some() && self.data.is_classified() {
                        correct = Some(count_correct(logits, &labels)?);
                    }
                    Ok::<_, flatness_layers::Error>(())
                };
                let point = network.linearize_and_see(
                    &parameters,
                    &inputs,
                    &labels,
                    self.loss,
                    self.factor,
                    see,
                )?;
                point.add_gradient(sums.pieces())?;
                tally.add(point.loss(), correct);
                if dropout_seed.is_some() {
                    let weight = chunk.len() as f64 / count as f64;
                    point.add_batch_statistics(&statistics, weight)?;
                }
            }
            Ok::<_, Error>((tally.read()?, sums, statistics))
        })?;
        Ok(TrainingGradient {
            evaluation: self.mean_tally(shares.iter().map(|share| share.0), count)?,
            statistics: self.total(shares.iter().map(|share| &share.2))?,
            gradient: (self.mean(shares.into_iter().map(|share| share.1), count)?).squeeze(0)?,
        })
    }

    /// The curvature at `theta` (P) over all examples.
    ///
    /// # Errors
    /// A `theta` of another length, number type or device, or a device error.
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
    /// A `theta` of another length, number type or device, or a device error.
    pub fn bytes_per_example(&self, theta: &Tensor) -> Result<usize, Error> {
        let parameters = self.views(theta)?;
        let Batch { inputs, labels } = self.batch(Selection::All, &(0..1))?;
        let point = (self.network).linearize(&parameters, &inputs, &labels, self.loss)?;
        Ok(point.with_cotangents()?.bytes())
    }

    /// Views of `theta` (P), for a sum over all processes.
    pub(crate) fn parameters(&self, theta: &Tensor) -> Result<Vec<Tensor>, Error> {
        let views = self.views(theta)?;
        self.agree_on("the parameters", theta)?;
        Ok(views)
    }

    /// Views of `theta` (P), which is in the number type and on the device of the settings.
    fn views(&self, theta: &Tensor) -> Result<Vec<Tensor>, Error> {
        let Settings { dtype, device, .. } = &self.settings;
        check_like("theta", theta, *dtype, device)?;
        Ok(self.network.layout().views(theta)?)
    }
}
