//! What is measured, and whether it can be.

use anyhow::{Result, bail};
use candle_core::{DType, Tensor};
use flatness_records::{DataSpec, Matrix, Split, Streams, SubsetSpec};
use sha2::{Digest, Sha256};

use super::Subject;
use crate::arguments::{MatrixName, MeasureOptions, NormalizationOptions, SplitName};
use crate::setting::Machine;
use crate::source::{self, Splits};

/// Refuses options that contradict themselves, before anything is read.
pub(super) fn check(options: &MeasureOptions) -> Result<()> {
    let positive = [
        ("--relative-error", Some(options.relative_error)),
        ("--tolerance", Some(options.tolerance)),
        ("--time-limit", options.time_limit),
    ];
    for (option, value) in positive {
        if let Some(value) = value.filter(|value| !(value.is_finite() && *value > 0.0)) {
            bail!("{option} must be a positive number, got {value}");
        }
    }
    if !(options.l2.is_finite() && options.l2 >= 0.0) {
        bail!("--l2 must be a number of at least 0, got {}", options.l2);
    }
    for (option, value) in [
        ("--budget", options.budget),
        ("--block", options.block),
        ("--steps", options.steps),
    ] {
        if value == 0 {
            bail!("{option} must be at least 1, got 0");
        }
    }
    if let Some(sample) = options.sample.filter(|sample| *sample < 2) {
        bail!("--sample must be at least 2, whose error takes two parts to compare, got {sample}");
    }
    if matches!(options.split, SplitName::Validation) && options.train_size.is_none() {
        bail!("--split validation needs --train-size, which says how many examples are not in it");
    }
    Ok(())
}

/// The splits, with the training examples after `--train-size` held out.
pub(super) fn load(options: &MeasureOptions, model: &str) -> Result<Splits> {
    let NormalizationOptions { mean, deviation } = options.normalization.clone();
    let mut spec = DataSpec {
        set: options.data_set.clone(),
        train_examples: None,
        subset: SubsetSpec::First,
        validation_examples: 0,
        mean,
        deviation,
    };
    let loaded = source::read(&spec, options.data.as_deref(), model)?;
    if let Some(size) = options.train_size {
        let all = loaded.train.len();
        if !(1..all).contains(&size) {
            bail!(
                "--train-size must be in 1..{all}, the training examples of {}, got {size}",
                spec.set
            );
        }
        spec.validation_examples = all - size;
    }
    source::split(loaded, &spec, Streams::new(options.seed))
}

/// What products belong to: the operator, down to every bit of the parameters.
pub(super) fn identity(
    subject: &Subject<'_>,
    buffers: &Tensor,
    digest: &str,
    machine: &Machine,
) -> Result<String> {
    let MeasureOptions {
        split,
        train_size,
        examples,
        sample,
        matrix,
        batch_norm,
        parameters,
        l2,
        seed,
        ..
    } = subject.options;
    let mut hash = Sha256::new();
    for tensor in [subject.theta, buffers] {
        hash.update(bytes(tensor)?);
    }
    let weights = hash.finalize();
    let settings = subject.mean_loss.settings();
    let shapes: Vec<_> = subject.network.layout().parameters().iter().collect();
    Ok(format!(
        "{} {weights:x} {shapes:?} {digest} {split:?} {train_size:?} {examples:?} {sample:?} {seed} \
         {matrix:?} {batch_norm:?} {parameters:?} {l2} {:?} {} {:?} {}",
        env!("CARGO_PKG_VERSION"),
        settings.dtype,
        settings.batch_size,
        settings.device.location(),
        machine.workers.threads(),
    ))
}

fn bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let values = tensor.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    Ok(values.into_iter().flat_map(f64::to_le_bytes).collect())
}

impl From<SplitName> for Split {
    fn from(name: SplitName) -> Self {
        match name {
            SplitName::Train => Self::Train,
            SplitName::Validation => Self::Validation,
            SplitName::Test => Self::Test,
        }
    }
}

impl From<MatrixName> for Matrix {
    fn from(name: MatrixName) -> Self {
        match name {
            MatrixName::Hessian => Self::Hessian,
            MatrixName::GaussNewton => Self::GaussNewton,
            MatrixName::Residual => Self::Residual,
            MatrixName::EmpiricalFisher => Self::EmpiricalFisher,
            MatrixName::GradientCovariance => Self::GradientCovariance,
        }
    }
}
