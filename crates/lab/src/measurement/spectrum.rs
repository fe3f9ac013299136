//! Eigenvalues, trace, Frobenius norm and density of one operator, as a record holds them.

use anyhow::Result;
use flatness_operator::LinearOperator;
use flatness_records::{
    Density, DensitySpec, LanczosSpec, Matrix, MatrixRecord, MeasureSpec, PowerSpec, Quantity,
    Ritz, Streams, TraceSpec, Uncertainty,
};
use flatness_spectrum::{
    Estimate, Lanczos, LanczosSettings, Moments, MomentsSettings, PowerSettings, Probe,
    QuadratureSettings, RitzValue, lanczos, moments, power_iteration, quadrature,
};

use super::Detail;

/// Points of a density grid.
const GRID: usize = 400;

/// Everything the spec asks for of one matrix.
pub(crate) fn matrix_record(
    operator: &dyn LinearOperator,
    matrix: Matrix,
    spec: &MeasureSpec,
    streams: Streams,
    detail: Detail,
) -> Result<MatrixRecord> {
    let krylov = iterate(operator, &spec.lanczos, streams.seed("lanczos"))?;
    let Moments {
        trace,
        frobenius_squared,
    } = estimate(operator, &spec.trace, streams)?;
    let power = |power: &PowerSpec| check(operator, power, streams.seed("power"));
    let power_iteration = match detail {
        Detail::Path => None,
        Detail::Full => spec.power.as_ref().map(power).transpose()?,
    };
    let density = match (&spec.density, detail) {
        (Some(density), Detail::Full) if spec.matrices.first() == Some(&matrix) => {
            broadened(operator, density, &krylov, streams.seed("density"))?
        }
        _ => None,
    };
    let eigenvalue = |ritz| iterative(ritz, &krylov);
    Ok(MatrixRecord {
        matrix,
        lambda_max: eigenvalue(krylov.lambda_max()),
        lambda_min: eigenvalue(krylov.lambda_min()),
        spectral_norm: spectral_norm(&krylov),
        power_iteration,
        trace: stochastic(trace),
        frobenius: stochastic(frobenius_squared.sqrt()?),
        ritz: krylov
            .ritz_values()
            .iter()
            .map(|ritz| Ritz {
                value: ritz.value,
                weight: ritz.weight,
                residual: ritz.residual,
            })
            .collect(),
        density,
    })
}

/// Largest and smallest eigenvalue.
pub(crate) fn extremes<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    spec: &LanczosSpec,
    seed: u64,
) -> Result<(Quantity, Quantity)> {
    let krylov = iterate(operator, spec, seed)?;
    let eigenvalue = |ritz| iterative(ritz, &krylov);
    Ok((
        eigenvalue(krylov.lambda_max()),
        eigenvalue(krylov.lambda_min()),
    ))
}

/// A Lanczos run, of at most as many steps as there are dimensions.
pub(crate) fn iterate<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    spec: &LanczosSpec,
    seed: u64,
) -> Result<Lanczos> {
    let steps = spec.steps.min(operator.dim());
    Ok(lanczos(
        operator,
        &LanczosSettings {
            steps,
            tolerance: spec.tolerance,
            seed,
        },
    )?)
}

/// Trace and squared Frobenius norm.
pub(crate) fn estimate<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    spec: &TraceSpec,
    streams: Streams,
) -> Result<Moments> {
    let TraceSpec { probes, block } = *spec;
    Ok(moments(
        operator,
        &MomentsSettings {
            probes,
            block,
            seed: streams.seed("trace"),
        },
    )?)
}

/// λ₁, the largest |eigenvalue|.
pub(crate) fn spectral_norm(krylov: &Lanczos) -> Quantity {
    let ritz = krylov.spectral_norm();
    let quantity = iterative(ritz, krylov);
    Quantity {
        value: quantity.value.abs(),
        ..quantity
    }
}

fn check(operator: &dyn LinearOperator, spec: &PowerSpec, seed: u64) -> Result<Quantity> {
    let settings = PowerSettings {
        max_iterations: spec.iterations,
        tolerance: spec.tolerance,
        seed,
    };
    let power = power_iteration(operator, &settings)?;
    Ok(Quantity {
        value: power.value.abs(),
        products: power.products as u64,
        uncertainty: Uncertainty::Iterative {
            residual: power.residual,
            steps: power.iterations as u64,
            converged: power.converged,
            seed,
        },
    })
}

/// The density on a grid a little wider than the Ritz values, broadened by a hundredth of their range; none of
/// a zero matrix.
fn broadened(
    operator: &dyn LinearOperator,
    spec: &DensitySpec,
    krylov: &Lanczos,
    seed: u64,
) -> Result<Option<Density>> {
    let steps = spec.steps.min(operator.dim());
    let settings = QuadratureSettings {
        probes: spec.probes,
        steps,
        block: spec.probes,
        bytes: None,
        probe: Probe::Gaussian,
        seed,
    };
    let quadrature = quadrature(operator, &settings)?;
    let (low, high) = (
        krylov.lambda_min().value.min(0.0),
        krylov.lambda_max().value,
    );
    let sigma = ((high - low) / 100.0).max(f64::MIN_POSITIVE);
    let (low, high) = (low - 5.0 * sigma, high + 5.0 * sigma);
    let grid: Vec<f64> = (0..GRID)
        .map(|i| low + (high - low) * i as f64 / (GRID - 1) as f64)
        .collect();
    let density = match quadrature.density(&grid, sigma) {
        Err(flatness_spectrum::Error::ZeroOperator) => return Ok(None),
        density => density?,
    };
    Ok(Some(Density {
        grid: density.grid,
        density: density.values,
        sigma,
        probes: density.probes as u64,
        steps: steps as u64,
        products: density.products as u64,
        seed,
    }))
}

pub(crate) fn stochastic(estimate: Estimate) -> Quantity {
    Quantity {
        value: estimate.value,
        products: estimate.products as u64,
        uncertainty: Uncertainty::Stochastic {
            standard_error: estimate.standard_error,
            probes: estimate.probes as u64,
            seed: estimate.seed,
        },
    }
}

/// An eigenvalue with its residual.
pub(crate) fn iterative(ritz: RitzValue, krylov: &Lanczos) -> Quantity {
    Quantity {
        value: ritz.value,
        products: krylov.products as u64,
        uncertainty: Uncertainty::Iterative {
            residual: ritz.residual,
            steps: krylov.steps as u64,
            converged: ritz.converged,
            seed: krylov.seed,
        },
    }
}
