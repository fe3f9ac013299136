//! Measures of how the loss rises at a distance.

use std::ops::Range;

use anyhow::Result;
use candle_core::{DType, Tensor};
use flatness_curvature::Curvature;
use flatness_measures::{
    AscentSettings, BoxSpace, Draws, Error, Estimate, Form, KeskarSettings, LossRise, Noise,
    SigmaSettings, Stop, Watch, keskar_sharpness, loss_rises, pac_bayes_sigma, quadratic_form,
    rise_over_quadratic, unit,
};
use flatness_operator::LinearOperator;
use flatness_optim::norm;
use flatness_records::{Quantity, Uncertainty};
use flatness_spectrum::Probe;

use super::Subject;
use super::report::Line;
use super::spectral::{Eigenvector, Spectral};
use crate::arguments::What;

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

/// A ratio whose denominator may be zero for all that is known.
const UNRESOLVED: Estimate = Estimate {
    value: f64::NAN,
    standard_error: f64::INFINITY,
    rounding: 0.0,
    draws: DIRECTIONS,
};

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
    let (objective, theta) = subject.double;
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
    let watch = Watch {
        advance: &|losses| stage.advance(losses, ""),
        ..Watch::NOBODY
    };
    let found = pac_bayes_sigma(&objective, theta, &settings, watch)?;
    Ok(Line::new("pac_bayes_sigma", drawn(found.sigma, 0, seed)))
}

fn keskar(subject: &Subject<'_>, epsilon: f64, top: &[Eigenvector]) -> Result<Line> {
    let (objective, theta) = subject.double;
    let seed = subject.streams.seed("keskar");
    let directions = top.iter().map(|top| top.vector.to_dtype(DType::F64));
    let directions: Vec<Tensor> = directions.collect::<Result<_, _>>()?;
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
    let watch = Watch {
        advance: &|sweeps| stage.advance(sweeps, ""),
        ..Watch::NOBODY
    };
    let found = keskar_sharpness(&objective, theta, &settings, watch)?;
    let found = &found[0];
    let mut line = Line::new(
        format!("keskar_phi({epsilon:e})"),
        Quantity {
            value: found.phi,
            products: 0,
            uncertainty: Uncertainty::Iterative {
                residual: found.ascent.gap / (1.0 + found.loss),
                steps: found.ascent.iterations as u64,
                converged: found.ascent.stop == Stop::Converged,
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
    let (objective, theta) = subject.double;
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
    let forms = units.iter().map(|unit| quadratic_form(hessian, unit));
    let forms: Vec<Form> = forms.collect::<Result<_, _>>()?;
    let length = norm(theta)?;
    let radii = RADII.map(|radius| radius * length);
    let losses = 1 + 2 * units.len() * radii.len();
    let stage = subject
        .progress
        .stage("loss rises", "losses", losses as u64);
    let watch = Watch {
        advance: &|losses| stage.advance(losses, ""),
        ..Watch::NOBODY
    };
    let units = units.iter().map(|unit| unit.to_dtype(DType::F64));
    let units: Vec<Tensor> = units.collect::<Result<_, _>>()?;
    let found = loss_rises(&objective, theta, &units, &radii, watch)?;
    let ratio = |range: Range<usize>, radius: usize| {
        let rises = found.rises[range.clone()].iter().map(|along| along[radius]);
        rise_over_quadratic(&rises.collect::<Vec<LossRise>>(), &forms[range])
    };
    let named = top
        .iter()
        .enumerate()
        .map(|(index, top)| (top.name.as_str(), index..index + 1));
    let mut lines = Vec::new();
    for (name, range) in named.chain([("random", top.len()..units.len())]) {
        for (radius, relative) in RADII.iter().enumerate() {
            let (estimate, stop) = match ratio(range.clone(), radius) {
                Err(Error::Unresolved { .. }) => (UNRESOLVED, Some("not resolved")),
                ratio => (ratio?, None),
            };
            let mut line = Line::new(
                format!("rise_over_quadratic({name}, {relative:e})"),
                drawn(estimate, range.len(), seed),
            );
            line.stop = stop;
            lines.push(line);
        }
    }
    Ok(lines)
}

fn drawn(estimate: Estimate, products: usize, seed: u64) -> Quantity {
    Quantity {
        value: estimate.value,
        products: products as u64,
        uncertainty: Uncertainty::Stochastic {
            standard_error: estimate.error(),
            probes: estimate.draws as u64,
            seed,
        },
    }
}
