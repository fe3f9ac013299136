//! Loss and curvature at a·θ (claim C2): scaling θ up makes a fitted network confident and flat.

use anyhow::Result;
use flatness_records::{Quantity, ScalePoint};

use super::spectrum::{estimate, iterate, spectral_norm, stochastic};
use super::{Instrument, curvature};
use crate::progress::Watched;
use crate::setting::Weights;

/// One point for each scale a of the spec.
pub(crate) fn scaling(instrument: &Instrument<'_>, weights: &Weights) -> Result<Vec<ScalePoint>> {
    let Instrument {
        spec,
        machine,
        streams,
        progress,
        ..
    } = instrument;
    let network = instrument.network(weights)?;
    let mean_loss = instrument.mean_loss(&network)?;
    let products = spec.scales.len() * (spec.lanczos.steps + spec.trace.probes);
    let stage = progress.stage("scaling theta", "products", products as u64);
    spec.scales
        .iter()
        .map(|&scale| {
            let theta = (&weights.theta * scale)?;
            let evaluation = mean_loss.evaluate(&theta)?;
            let curvature = curvature(&mean_loss, &theta, machine)?;
            let hessian = Watched {
                operator: curvature.hessian(),
                stage: &stage,
            };
            let krylov = iterate(&hessian, &spec.lanczos, streams.seed("lanczos"))?;
            let moments = estimate(&hessian, &spec.trace, *streams)?;
            let frobenius: Quantity = stochastic(moments.frobenius_squared.sqrt()?);
            Ok(ScalePoint {
                scale,
                loss: evaluation.loss,
                accuracy: evaluation.accuracy,
                spectral_norm: spectral_norm(&krylov),
                trace: stochastic(moments.trace),
                frobenius,
            })
        })
        .collect()
}
