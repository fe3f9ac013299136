//! Loss and curvature where the first of two layers is multiplied by α and the second divided (claim C7):
//! the function stays the same, its sharpness does not. In double precision.

use anyhow::{Result, bail};
use flatness_kernels::norm;
use flatness_layers::Network;
use flatness_measures::{Rescaling, adaptive};
use flatness_records::{RescalingPoint, RescalingSpec};

use super::spectrum::{estimate, extremes, iterate, spectral_norm, stochastic};
use super::{Instrument, curvature};
use crate::progress::Watched;
use crate::setting::Weights;

/// The first two layers that can be rescaled.
pub(super) fn first_pair(network: &Network, model: &str) -> Result<Rescaling> {
    match Rescaling::pairs(network).into_iter().next() {
        Some(pair) => Ok(pair),
        None => bail!(
            "measure.rescaling: {model} has no two layers with nothing but ReLU, pooling or flattening \
             between them; leave it out"
        ),
    }
}

/// One point for each factor.
pub(crate) fn rescaling(
    instrument: &Instrument<'_>,
    spec: &RescalingSpec,
    weights: &Weights,
) -> Result<Vec<RescalingPoint>> {
    let Instrument {
        machine,
        streams,
        progress,
        spec: measure,
        ..
    } = instrument;
    let double = instrument.double(weights)?;
    let network = double.network()?;
    let mean_loss = double.mean_loss(&network, instrument)?;
    let pair = first_pair(&network, &instrument.model.name)?;
    let products = spec.alphas.len() * (2 * measure.lanczos.steps + measure.trace.probes);
    let stage = progress.stage("rescaling layers", "products", products as u64);
    let point = |&alpha: &f64| {
        let theta = pair.apply(&double.weights.theta, alpha)?;
        let loss = mean_loss.evaluate(&theta)?.loss;
        let curvature = curvature(&mean_loss, &theta, machine)?;
        let hessian = Watched {
            operator: curvature.hessian(),
            stage: &stage,
        };
        let krylov = iterate(&hessian, &measure.lanczos, streams.seed("lanczos"))?;
        let moments = estimate(&hessian, &measure.trace, *streams)?;
        let adaptive = adaptive(&hessian, &theta, 0.0)?;
        let seed = streams.seed("adaptive");
        let (adaptive_lambda_max, _) = extremes(&adaptive, &measure.lanczos, seed)?;
        Ok(RescalingPoint {
            layers: [pair.first().to_owned(), pair.second().to_owned()],
            alpha,
            loss,
            parameter_norm: norm(&theta)?,
            spectral_norm: spectral_norm(&krylov),
            trace: stochastic(moments.trace),
            frobenius: stochastic(moments.frobenius_squared.sqrt()?),
            adaptive_lambda_max,
        })
    };
    spec.alphas.iter().map(point).collect()
}
