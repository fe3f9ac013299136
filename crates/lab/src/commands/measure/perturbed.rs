//! Measures of how the loss rises at a distance.

use std::ops::Range;

use anyhow::Result;
use candle_core::Tensor;
use flatness_curvature::Curvature;
use flatness_kernels::norm;
use flatness_measures::{
    AscentSettings, BoxSpace, Draws, KeskarSettings, Noise, SigmaSettings, keskar_sharpness,
    loss_rises, pac_bayes_sigma, quadratic_form, unit,
};
use flatness_operator::LinearOperator;
use flatness_records::{Quantity, Uncertainty};
use flatness_spectrum::Probe;

use super::Subject;
use super::report::Line;
use super::spectral::{Eigenvector, Spectral};
use crate::arguments::What;
use crate::measurement::mean;

/// Antithetic pairs of noise.
const PAIRS: usize = 8;

/// First σ tried, relative to the root mean square of the parameters.
const FIRST_SIGMA: f64 = 0.1;

/// Relative width of σ at the end.
const SIGMA_TOLERANCE: f64 = 0.01;

const BISECTIONS: usize = 40;

/// Most iterations of an ascent.
const ASCENT_STEPS: usize = 30;

/// Gap, relative to the rise, at which an ascent has converged.
const ASCENT_TOLERANCE: f64 = 1e-2;

/// ‖d‖ / ‖θ‖ of the rises.
const RADII: [f64; 3] = [1e-3, 1e-2, 1e-1];

/// Random directions of the rises.
pub(super) const DIRECTIONS: usize = 8;

pub(super) fn measure(
    subject: &Subject<'_>,
    spectral: &Spectral,
    curvature: &Curvature<'_>,
) -> Result<Vec<Line>> {
    let top = &spectral.eigenvectors[..spectral.top];
    let mut lines = Vec::new();
    for what in &subject.what {
        match *what {
            What::PacBayes(target) => lines.push(sigma(subject, target)?),
            What::Keskar(epsilon) => lines.push(keskar(subject, epsilon, top)?),
            What::Quadratic => lines.extend(quadratic(subject, top, &curvature.hessian())?),
            _ => {}
        }
    }
    Ok(lines)
}

fn sigma(subject: &Subject<'_>, target: f64) -> Result<Line> {
    let Subject {
        theta, mean_loss, ..
    } = *subject;
    let seed = subject.streams.seed("pac-bayes");
    let settings = SigmaSettings {
        target,
        initial: FIRST_SIGMA * norm(theta)? / (theta.elem_count() as f64).sqrt(),
        tolerance: SIGMA_TOLERANCE,
        max_iterations: BISECTIONS,
        draws: Draws {
            noise: Noise::Plain,
            pairs: PAIRS,
            seed,
        },
    };
    let stage = subject
        .progress
        .stage("noise", "losses", 2 * (PAIRS * BISECTIONS) as u64);
    let found = pac_bayes_sigma(mean_loss, theta, &settings, &mut |losses| {
        stage.advance(losses, "");
    })?;
    Ok(Line::new(
        "pac_bayes_sigma",
        Quantity {
            value: found.sigma,
            products: 0,
            uncertainty: Uncertainty::Stochastic {
                standard_error: found.standard_error,
                probes: found.rise.draws as u64,
                seed,
            },
        },
    ))
}

fn keskar(subject: &Subject<'_>, epsilon: f64, top: &[Eigenvector]) -> Result<Line> {
    let Subject {
        theta, mean_loss, ..
    } = *subject;
    let seed = subject.streams.seed("keskar");
    let directions: Vec<Tensor> = top.iter().map(|top| top.vector.clone()).collect();
    let settings = KeskarSettings {
        epsilons: &[epsilon],
        space: BoxSpace::Full,
        directions: &directions,
        ascent: AscentSettings {
            random_starts: 1,
            max_iterations: ASCENT_STEPS,
            tolerance: ASCENT_TOLERANCE,
            seed,
        },
    };
    let starts = 2 + 2 * directions.len();
    let stage = subject
        .progress
        .stage("climbing", "sweeps", (3 * starts * ASCENT_STEPS) as u64);
    let found = keskar_sharpness(mean_loss, theta, &settings, &mut |sweeps| {
        stage.advance(sweeps, "");
    })?;
    let found = &found[0];
    let mut line = Line::new(
        format!("keskar_phi({epsilon:e})"),
        Quantity {
            value: found.phi,
            products: 0,
            uncertainty: Uncertainty::Iterative {
                residual: found.ascent.gap / (1.0 + found.loss),
                steps: found.ascent.iterations as u64,
                converged: found.ascent.converged,
                seed,
            },
        },
    );
    line.stop = Some("a lower bound");
    Ok(line)
}

/// Rise over ½ r² uᵀHu along the top eigenvectors and random directions u.
fn quadratic(
    subject: &Subject<'_>,
    top: &[Eigenvector],
    hessian: &dyn LinearOperator,
) -> Result<Vec<Line>> {
    let Subject {
        theta, mean_loss, ..
    } = *subject;
    let seed = subject.streams.seed("perturbation");
    let random = Probe::Gaussian.rows(hessian, 0..DIRECTIONS, seed)?;
    let mut units = Vec::new();
    for eigenvector in top {
        units.push(unit(&eigenvector.vector)?);
    }
    for index in 0..DIRECTIONS {
        units.push(unit(&random.get(index)?)?);
    }
    // Not the eigenvalues: the measured matrix need not be the Hessian of the loss.
    let curvatures = units.iter().map(|unit| quadratic_form(hessian, unit));
    let curvatures: Vec<f64> = curvatures.collect::<Result<_, _>>()?;
    let length = norm(theta)?;
    let radii = RADII.map(|radius| radius * length);
    let losses = 1 + 2 * units.len() * radii.len();
    let stage = subject
        .progress
        .stage("loss rises", "losses", losses as u64);
    let found = loss_rises(mean_loss, theta, &units, &radii, &mut |losses| {
        stage.advance(losses, "");
    })?;
    let ratios = |range: Range<usize>, radius: usize| -> Vec<f64> {
        let directions = found.rises[range.clone()].iter().zip(&curvatures[range]);
        directions
            .map(|(rises, &curvature)| rises[radius].even() / rises[radius].quadratic(curvature))
            .collect()
    };
    let mut lines = Vec::new();
    for (index, eigenvector) in top.iter().enumerate() {
        for (radius, relative) in RADII.iter().enumerate() {
            let ratio = ratios(index..index + 1, radius)[0];
            lines.push(Line::new(
                format!("rise_over_quadratic({}, {relative:e})", eigenvector.name),
                Quantity::exact(ratio, 0),
            ));
        }
    }
    for (radius, relative) in RADII.iter().enumerate() {
        let ratios = ratios(top.len()..units.len(), radius);
        lines.push(Line::new(
            format!("rise_over_quadratic(random, {relative:e})"),
            mean(&ratios, DIRECTIONS, seed),
        ));
    }
    Ok(lines)
}
