//! All eigenvalues of the Hessian (claim C4), from its dense matrix in double precision.

use anyhow::Result;
use flatness_records::{ExactSpectrum, ExactSpectrumSpec};
use flatness_spectrum::{Budget, dense_spectrum};

use super::{Instrument, curvature};
use crate::progress::Watched;
use crate::setting::Weights;

/// Vectors per product.
const BLOCK: usize = 64;

/// Parameters beyond which the dense matrix and its copies take more than 4 GiB.
pub(super) const LARGEST: usize = 12_000;

pub(crate) fn exact_spectrum(
    instrument: &Instrument<'_>,
    spec: &ExactSpectrumSpec,
    weights: &Weights,
) -> Result<ExactSpectrum> {
    let parameters = weights.theta.elem_count();
    let double = instrument.double(weights)?;
    let network = double.network()?;
    let mean_loss = double.mean_loss(&network, instrument)?;
    let curvature = curvature(&mean_loss, &double.weights.theta, instrument.machine)?;
    let stage = instrument
        .progress
        .stage("dense Hessian", "products", parameters as u64);
    let hessian = Watched {
        operator: curvature.hessian(),
        stage: &stage,
    };
    let spectrum = dense_spectrum(&hessian, BLOCK, &Budget::UNLIMITED)?;
    let biases = network.layout().parameters().iter();
    let biases = biases.filter(|parameter| parameter.shape.len() == 1);
    Ok(ExactSpectrum {
        examples: mean_loss.data().len(),
        classes: mean_loss.data().classes(),
        neurons: biases.map(|bias| bias.len()).sum(),
        rank: spectrum.rank(spec.relative_threshold),
        relative_threshold: spec.relative_threshold,
        products: spectrum.products as u64,
        eigenvalues: spectrum.eigenvalues,
    })
}
