//! What a spec asks to be measured, at given parameters.

mod double;
mod exact;
mod keskar;
mod perturbation;
mod rescaling;
mod scaling;
mod spectrum;

use std::time::Instant;

use anyhow::{Result, bail};
use candle_core::Tensor;
use flatness_curvature::{Curvature, MeanLoss, Retention};
use flatness_kernels::norm;
use flatness_layers::Network;
use flatness_measures::{adaptive, fisher_rao};
use flatness_records::{
    EpochEvaluation, Iterate, Matrix, MatrixRecord, MeasureSpec, Measurement, Quantity,
    Retention as RecordedRetention, Streams,
};

use crate::evaluation::evaluate;
use crate::progress::{Progress, Watched};
use crate::setting::{Machine, Model, Weights};
use crate::source::Splits;

pub(crate) use exact::exact_spectrum;
pub(crate) use keskar::keskar;
pub(crate) use perturbation::{mean, perturbations};
pub(crate) use rescaling::rescaling;
pub(crate) use scaling::scaling;
pub(crate) use spectrum::{extremes, matrix_record, stochastic};

/// Measures networks at the points of one run.
pub(crate) struct Instrument<'a> {
    pub(crate) model: &'a Model,
    pub(crate) splits: &'a Splits,
    pub(crate) machine: &'a Machine,
    pub(crate) spec: &'a MeasureSpec,
    pub(crate) streams: Streams,
    pub(crate) progress: Progress,
    /// Initial parameters.
    pub(crate) initial: &'a Weights,
}

/// How much of the spectrum a measurement holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Along training: no density.
    Path,
    /// At the end: all that the spec asks for.
    Full,
}

impl Instrument<'_> {
    /// Refuses what cannot be measured, before anything is trained.
    pub(crate) fn check(&self) -> Result<()> {
        let network = self.network(self.initial)?;
        retention(
            &self.mean_loss(&network)?,
            &self.initial.theta,
            self.machine,
        )?;
        let (model, parameters) = (&self.model.name, network.layout().dim());
        if self.spec.exact_spectrum.is_some() && parameters > exact::LARGEST {
            bail!(
                "measure.exact_spectrum takes at most {} parameters, {model} has {parameters}; leave it out",
                exact::LARGEST
            );
        }
        if self.spec.rescaling.is_some() {
            rescaling::first_pair(&network, model)?;
        }
        Ok(())
    }

    /// The network whose curvature is measured.
    pub(crate) fn network(&self, weights: &Weights) -> Result<Network> {
        self.model.measured(self.spec.batch_norm, &weights.buffers)
    }

    /// The mean loss of `network` over the curvature split.
    pub(crate) fn mean_loss<'a>(&'a self, network: &'a Network) -> Result<MeanLoss<'a>> {
        let split = self.splits.get(self.spec.split)?;
        self.model
            .mean_loss(network, split, self.machine, self.spec.batch_size)
    }

    /// Everything but scaling and perturbations, after `epoch` epochs, at the `weights` of `iterate`. Loss and accuracy are those of
    /// the frozen network, whichever the matrices are of.
    pub(crate) fn measure(
        &self,
        epoch: u32,
        iterate: Iterate,
        weights: &Weights,
        detail: Detail,
    ) -> Result<Measurement> {
        let started = Instant::now();
        let theta = &weights.theta;
        let batch_size = self.spec.batch_size;
        let (model, machine) = (self.model, self.machine);
        let EpochEvaluation {
            train,
            validation,
            test,
        } = evaluate(model, self.splits, machine, batch_size, weights)?;
        let network = self.network(weights)?;
        let mean_loss = self.mean_loss(&network)?;
        let (_, gradient) = mean_loss.gradient(theta, flatness_curvature::Selection::All)?;
        let curvature = curvature(&mean_loss, theta, self.machine)?;
        let retention = retained(&curvature);
        let stage = self.progress.stage(
            &format!(
                "measuring epoch {epoch}, activations {}",
                describe(retention)
            ),
            "products",
            self.products(detail),
        );
        let hessian = Watched {
            operator: curvature.hessian(),
            stage: &stage,
        };
        let gauss_newton = Watched {
            operator: curvature.gauss_newton(),
            stage: &stage,
        };
        let fisher_rao = fisher_rao(&gauss_newton, theta)?;
        let adaptive = adaptive(&hessian, theta, 0.0)?;
        let seed = self.streams.seed("adaptive");
        let (adaptive_lambda_max, _) = extremes(&adaptive, &self.spec.lanczos, seed)?;
        let matrices = self.spec.matrices.iter().map(|&matrix| {
            let operator = Watched {
                operator: curvature.operator(curvature_matrix(matrix))?,
                stage: &stage,
            };
            matrix_record(&operator, matrix, self.spec, self.streams, detail)
        });
        let matrices: Vec<MatrixRecord> = matrices.collect::<Result<_>>()?;
        Ok(Measurement {
            epoch,
            weights: iterate,
            train_loss: train.loss,
            train_accuracy: train.accuracy,
            train_top5_accuracy: Some(train.top5_accuracy),
            test_loss: test.loss,
            test_accuracy: test.accuracy,
            test_top5_accuracy: Some(test.top5_accuracy),
            validation_loss: validation.map(|split| split.loss),
            validation_accuracy: validation.map(|split| split.accuracy),
            validation_top5_accuracy: validation.map(|split| split.top5_accuracy),
            gradient_norm: norm(&gradient)?,
            parameter_norm: norm(theta)?,
            distance_from_initialization: norm(&(theta - &self.initial.theta)?)?,
            fisher_rao: Quantity::exact(fisher_rao, 1),
            adaptive_lambda_max,
            retention,
            matrices,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Products of one measurement, for the progress bar.
    fn products(&self, detail: Detail) -> u64 {
        let spec = self.spec;
        let density = match (&spec.density, detail) {
            (Some(density), Detail::Full) => density.probes * density.steps,
            _ => 0,
        };
        let per_matrix = spec.lanczos.steps + spec.trace.probes;
        (1 + spec.lanczos.steps + spec.matrices.len() * per_matrix + density) as u64
    }
}

/// The curvature at `theta`, with activations kept where the memory budget allows it.
pub(crate) fn curvature<'a>(
    mean_loss: &'a MeanLoss<'a>,
    theta: &Tensor,
    machine: &Machine,
) -> Result<Curvature<'a>> {
    let retention = retention(mean_loss, theta, machine)?;
    Ok(mean_loss.curvature(theta, retention)?)
}

/// The curvature matrix that a record calls `matrix`.
pub(crate) fn curvature_matrix(matrix: Matrix) -> flatness_curvature::Matrix {
    use flatness_curvature::Matrix as Curved;
    match matrix {
        Matrix::Hessian => Curved::Hessian,
        Matrix::GaussNewton => Curved::GaussNewton,
        Matrix::Residual => Curved::Residual,
        Matrix::EmpiricalFisher => Curved::EmpiricalFisher,
        Matrix::GradientCovariance => Curved::GradientCovariance,
    }
}

/// What the memory budget allows; an error where it holds not even one sweep.
pub(crate) fn retention(
    mean_loss: &MeanLoss<'_>,
    theta: &Tensor,
    machine: &Machine,
) -> Result<Retention> {
    let bytes = mean_loss.bytes_per_example(theta)?;
    let budget = machine.memory_budget;
    let (examples, batch) = (mean_loss.data().len(), mean_loss.examples_per_sweep());
    let sweeps = mean_loss.sweeps_at_a_time();
    let mebibytes = |bytes: usize| bytes.div_ceil(1 << 20);
    if bytes * batch * sweeps > budget {
        let fits = match budget / (bytes * sweeps) {
            0 => String::new(),
            fits => format!(" or batches of {fits} examples"),
        };
        bail!(
            "--memory-budget must be at least {} MiB for {sweeps} batches of {batch} examples at a \
             time, got {} MiB; give more memory{fits}",
            mebibytes(bytes * batch * sweeps),
            mebibytes(budget)
        );
    }
    Ok(Retention::within(budget, bytes * examples))
}

/// What happens to the activations of `curvature`, as a record says it.
pub(crate) fn retained(curvature: &Curvature<'_>) -> RecordedRetention {
    match curvature.retention() {
        Retention::Retain => RecordedRetention::Retain,
        Retention::Recompute => RecordedRetention::Recompute,
    }
}

/// The same in words.
pub(crate) fn describe(retention: RecordedRetention) -> &'static str {
    match retention {
        RecordedRetention::Retain => "kept",
        RecordedRetention::Recompute => "computed anew",
    }
}
