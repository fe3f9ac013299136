//! Keskar's sharpness φ(ε) in a box, in a box of a random subspace, and in a ball, against
//! λ₁ ε² / (2 (1 + L)) (claim C6). In double precision, since the smallest rises are 1e-9 of the loss.

use anyhow::Result;
use flatness_measures::{
    Ascent, AscentSettings, BallSettings, BoxSpace, KeskarSettings, Objective, Stop, Watch,
    ball_rise, keskar_sharpness,
};
use flatness_records::{KeskarPoint, KeskarSpec, Region};

use super::perturbation::scaled;
use super::spectrum::{iterate, spectral_norm};
use super::{Instrument, curvature};
use crate::progress::Watched;
use crate::setting::Weights;

/// Gap, relative to the rise, at which an ascent has converged.
const TOLERANCE: f64 = 1e-2;

/// One point for each region and size.
pub(crate) fn keskar(
    instrument: &Instrument<'_>,
    spec: &KeskarSpec,
    weights: &Weights,
) -> Result<Vec<KeskarPoint>> {
    let Instrument {
        machine,
        streams,
        progress,
        ..
    } = instrument;
    let double = instrument.double(weights)?;
    let network = double.network()?;
    let mean_loss = double.mean_loss(&network, instrument)?;
    let theta = &double.weights.theta;
    let measure = instrument.spec;
    let (lambda, top) = {
        let curvature = curvature(&mean_loss, theta, machine)?;
        let stage = progress.stage("predicting phi", "products", measure.lanczos.steps as u64);
        let hessian = Watched {
            operator: curvature.hessian(),
            stage: &stage,
        };
        let krylov = iterate(&hessian, &measure.lanczos, streams.seed("lanczos"))?;
        let top = krylov.ritz_vectors(&[0])?.squeeze(0)?;
        (spectral_norm(&krylov), [top])
    };
    let ascent = AscentSettings {
        random_starts: spec.starts.saturating_sub(1),
        max_iterations: spec.steps,
        tolerance: TOLERANCE,
        seed: streams.seed("keskar"),
    };
    let starts = 2 * top.len() + spec.starts;
    let gradients = 3 * spec.epsilons.len() * starts * spec.steps;
    let stage = progress.stage("climbing", "sweeps", gradients as u64);
    let watch = Watch {
        advance: &|sweeps| stage.advance(sweeps, ""),
        ..Watch::NOBODY
    };
    let objective = Objective::new(&mean_loss, 0.0)?;
    let loss = mean_loss.evaluate(theta)?.loss;
    let point = |region, epsilon: f64, phi, ascent: &Ascent| KeskarPoint {
        region,
        epsilon,
        phi,
        loss,
        predicted: scaled(lambda, 0.5 * epsilon * epsilon / (1.0 + loss)),
        gradients: ascent.cost.gradients,
        converged: ascent.stop == Stop::Converged,
    };
    let subspace = BoxSpace::RandomColumns {
        dimension: spec.subspace.min(theta.elem_count()),
        seed: streams.seed("subspace"),
    };
    let mut points = Vec::new();
    for (region, space) in [(Region::Box, BoxSpace::Full), (Region::Subspace, subspace)] {
        let settings = KeskarSettings {
            epsilons: &spec.epsilons,
            space,
            directions: &top,
            ascent,
        };
        for found in keskar_sharpness(&objective, theta, &settings, watch)? {
            points.push(point(region, found.epsilon, found.phi, &found.ascent));
        }
    }
    for &epsilon in &spec.epsilons {
        let settings = BallSettings {
            radius: epsilon,
            directions: &top,
            ascent,
        };
        let found = ball_rise(&objective, theta, &settings, watch)?;
        points.push(point(
            Region::Ball,
            epsilon,
            found.rise / (1.0 + loss),
            &found,
        ));
    }
    Ok(points)
}
