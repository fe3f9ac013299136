//! Loss rise at θ + d against its quadratic prediction (claim C5).
//!
//! With both signs of each d the gradient's share cancels:
//!
//! ```text
//! (L(θ + d) + L(θ - d)) / 2 - L(θ) = ½ dᵀ H d + O(‖d‖⁴)
//! random d, uniform on the sphere:    E ½ dᵀ H d = Tr H / P · ‖d‖² / 2
//! d along the top eigenvector:          ½ dᵀ H d = λ · ‖d‖² / 2
//! ```
//!
//! All of it is in double precision, whatever the run's own: the smallest rises are 1e-9 of the loss.

use anyhow::Result;
use candle_core::{DType, Tensor};
use flatness_curvature::MeanLoss;
use flatness_data::LabelledTensors;
use flatness_optim::norm;
use flatness_records::{Dtype, ModelSpec, Perturbation, PerturbationSpec, Quantity, Uncertainty};
use flatness_spectrum::Probe;

use super::spectrum::{estimate, iterate, iterative, stochastic};
use super::{Instrument, curvature, quadratic_form};
use crate::progress::Watched;
use crate::setting::{Model, Weights};

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
    let double = ModelSpec {
        name: instrument.model.name.clone(),
        dtype: Dtype::F64,
    };
    let model = Model::new(&double, split)?;
    // Hundreds of losses of the same examples: made floats once.
    let device = weights.theta.device();
    let batch = split.batch(0..split.len(), DType::F64, device)?;
    let examples =
        LabelledTensors::new(split.name(), &batch.images, &batch.labels, split.classes())?;
    let machine = instrument.machine;
    let Weights { theta, buffers } = &weights.to(DType::F64, device)?;
    let network = model.measured(instrument.spec.batch_norm, buffers)?;
    let batch_size = instrument.spec.batch_size;
    let mean_loss = model.mean_loss(&network, &examples, machine, batch_size)?;
    let theta_norm = norm(theta)?;
    let loss = mean_loss.evaluate(theta)?.loss;
    let kinds = directions(instrument, &mean_loss, spec, theta)?;
    let evaluations = 2 * spec.relative_radii.len() * (spec.directions + 1);
    let stage = instrument
        .progress
        .stage("perturbing theta", "losses", evaluations as u64);
    let mut lines = Vec::new();
    for kind in &kinds {
        for &relative_radius in &spec.relative_radii {
            let radius = relative_radius * theta_norm;
            let half_square = 0.5 * radius * radius;
            let mut rises = Vec::with_capacity(kind.units.len());
            let mut one_sided_rises = Vec::with_capacity(kind.units.len());
            for unit in &kind.units {
                let step = (unit * radius)?;
                let up = mean_loss.evaluate(&(theta + &step)?)?.loss - loss;
                let down = mean_loss.evaluate(&(theta - &step)?)?.loss - loss;
                rises.push(0.5 * (up + down));
                one_sided_rises.push(up);
                stage.advance(2, "");
            }
            let quadratic: Vec<f64> = kind.curvatures.iter().map(|c| half_square * c).collect();
            lines.push(Perturbation {
                direction: kind.name.to_owned(),
                relative_radius,
                radius,
                rise: mean(&rises, 0, kind.seed),
                one_sided_rise: mean(&one_sided_rises, 0, kind.seed),
                quadratic: mean(&quadratic, kind.units.len(), kind.seed),
                predicted: scaled(kind.predicted, half_square),
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
    let random = (0..spec.directions).map(|index| unit(&rows.get(index)?));
    let curvatures = |units: &[Tensor]| {
        units
            .iter()
            .map(|unit| quadratic_form(&hessian, unit))
            .collect::<Result<Vec<f64>>>()
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

fn unit(vector: &Tensor) -> Result<Tensor> {
    Ok((vector / norm(vector)?)?)
}

/// Mean over directions; a single direction is exact.
fn mean(values: &[f64], products: usize, seed: u64) -> Quantity {
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

fn scaled(quantity: Quantity, factor: f64) -> Quantity {
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
