//! Loss rise at θ + d against its quadratic prediction (claim C5), as a record holds it:
//!
//! ```text
//! random d, uniform on the sphere:    E ½ dᵀ H d = Tr H / P · ‖d‖² / 2
//! d along the top eigenvector:          ½ dᵀ H d = λ · ‖d‖² / 2
//! ```
//!
//! All of it is in double precision, whatever the run's own: the smallest rises are 1e-9 of the loss.

use anyhow::Result;
use candle_core::Tensor;
use flatness_curvature::MeanLoss;
use flatness_data::LabelledTensors;
use flatness_kernels::norm;
use flatness_measures::{LossRise, loss_rises, quadratic_form, unit};
use flatness_records::{Perturbation, PerturbationSpec, Quantity, Uncertainty};
use flatness_spectrum::Probe;

use super::spectrum::{estimate, iterate, iterative, stochastic};
use super::{Instrument, curvature};
use crate::progress::Watched;
use crate::setting::Weights;

/// Directions of one kind, with what the spectrum says of them.
struct Directions {
    name: &'static str,
    /// Unit vectors (P).
    units: Vec<Tensor>,
    /// uᵀ H u of each.
    curvatures: Vec<f64>,
    /// Prediction of the mean uᵀ H u from the spectrum alone.
    predicted: Quantity,
    seed: u64,
}

/// One line for each kind of direction and each radius of the spec.
pub(crate) fn perturbations(
    instrument: &Instrument<'_>,
    spec: &PerturbationSpec,
    weights: &Weights,
) -> Result<Vec<Perturbation>> {
    let split = instrument.splits.get(instrument.spec.split)?;
    let double = instrument.double(weights)?;
    // Hundreds of losses of the same examples: made floats once.
    let theta = &double.weights.theta;
    let batch = split.batch(0..split.len(), theta.dtype(), theta.device())?;
    let examples =
        LabelledTensors::new(split.name(), &batch.images, &batch.labels, split.classes())?;
    let network = double.network()?;
    let mean_loss = double.mean_loss(&network, instrument)?;
    let mean_loss = mean_loss.over(&examples)?;
    let theta_norm = norm(theta)?;
    let kinds = directions(instrument, &mean_loss, spec, theta)?;
    let units: Vec<Tensor> = kinds.iter().flat_map(|kind| kind.units.clone()).collect();
    let radii: Vec<f64> = spec.relative_radii.iter().map(|r| r * theta_norm).collect();
    let evaluations = 1 + 2 * radii.len() * units.len();
    let stage = instrument
        .progress
        .stage("perturbing theta", "losses", evaluations as u64);
    let advance = &mut |losses| stage.advance(losses, "");
    let mut rises = loss_rises(&mean_loss, theta, &units, &radii, advance)?
        .rises
        .into_iter();
    let mut lines = Vec::new();
    for kind in &kinds {
        let rises: Vec<Vec<LossRise>> = rises.by_ref().take(kind.units.len()).collect();
        for (index, &relative_radius) in spec.relative_radii.iter().enumerate() {
            let radius = radii[index];
            let at = |value: fn(&LossRise) -> f64| -> Vec<f64> {
                rises.iter().map(|along| value(&along[index])).collect()
            };
            let quadratic: Vec<f64> = rises
                .iter()
                .zip(&kind.curvatures)
                .map(|(along, &curvature)| along[index].quadratic(curvature))
                .collect();
            lines.push(Perturbation {
                direction: kind.name.to_owned(),
                relative_radius,
                radius,
                rise: mean(&at(LossRise::even), 0, kind.seed),
                one_sided_rise: mean(&at(|rise| rise.up), 0, kind.seed),
                quadratic: mean(&quadratic, kind.units.len(), kind.seed),
                predicted: scaled(kind.predicted, 0.5 * radius * radius),
            });
        }
    }
    Ok(lines)
}

fn directions(
    instrument: &Instrument<'_>,
    mean_loss: &MeanLoss<'_>,
    spec: &PerturbationSpec,
    theta: &Tensor,
) -> Result<[Directions; 2]> {
    let Instrument {
        spec: measure,
        machine,
        streams,
        progress,
        ..
    } = instrument;
    let curvature = curvature(mean_loss, theta, machine)?;
    let products = measure.lanczos.steps + measure.trace.probes + spec.directions + 1;
    let stage = progress.stage("predicting loss rises", "products", products as u64);
    let hessian = Watched {
        operator: curvature.hessian(),
        stage: &stage,
    };
    let krylov = iterate(&hessian, &measure.lanczos, streams.seed("lanczos"))?;
    let trace = stochastic(estimate(&hessian, &measure.trace, *streams)?.trace);
    let top = krylov.ritz_vectors(&[0])?.squeeze(0)?;
    let dim = theta.elem_count();
    let seed = streams.seed("perturbation");
    let rows = Probe::Gaussian.rows(&hessian, 0..spec.directions, seed)?;
    let random = (0..spec.directions).map(|index| Ok(unit(&rows.get(index)?)?));
    let curvatures = |units: &[Tensor]| {
        units
            .iter()
            .map(|unit| quadratic_form(&hessian, unit))
            .collect::<Result<Vec<f64>, _>>()
    };
    let random = random.collect::<Result<Vec<_>>>()?;
    let top = vec![unit(&top)?];
    Ok([
        Directions {
            name: "random",
            curvatures: curvatures(&random)?,
            units: random,
            predicted: scaled(trace, 1.0 / dim as f64),
            seed,
        },
        Directions {
            name: "top-eigenvector",
            curvatures: curvatures(&top)?,
            units: top,
            predicted: iterative(krylov.lambda_max(), &krylov),
            seed: krylov.seed,
        },
    ])
}

/// Mean over directions; a single direction is exact.
pub(crate) fn mean(values: &[f64], products: usize, seed: u64) -> Quantity {
    let count = values.len() as f64;
    let value = values.iter().sum::<f64>() / count;
    if values.len() < 2 {
        return Quantity::exact(value, products as u64);
    }
    let variance = values.iter().map(|x| (x - value).powi(2)).sum::<f64>() / (count - 1.0);
    Quantity {
        value,
        products: products as u64,
        uncertainty: Uncertainty::Stochastic {
            standard_error: (variance / count).sqrt(),
            probes: values.len() as u64,
            seed,
        },
    }
}

pub(super) fn scaled(quantity: Quantity, factor: f64) -> Quantity {
    let uncertainty = match quantity.uncertainty {
        Uncertainty::Exact => Uncertainty::Exact,
        Uncertainty::Stochastic {
            standard_error,
            probes,
            seed,
        } => Uncertainty::Stochastic {
            standard_error: standard_error * factor,
            probes,
            seed,
        },
        Uncertainty::Iterative {
            residual,
            steps,
            converged,
            seed,
        } => Uncertainty::Iterative {
            residual: residual * factor,
            steps,
            converged,
            seed,
        },
    };
    Quantity {
        value: quantity.value * factor,
        uncertainty,
        ..quantity
    }
}
