//! The spectral density of a quadrature: linear, and logarithmic by sign, as a record holds it.
//!
//! ```text
//! φ(t) = (1/P) Σᵢ g_σ(t − λᵢ),   σ a hundredth of the range;   the same over log₁₀ |λ|, σ = 0.15 decades
//! ```
//!
//! Error: standard error over probes on the grid; σ and the steps bound what it resolves.

use flatness_records::{Cost, Density, LogDensity, Stem};
use flatness_spectrum::{Estimate, Quadrature};

use crate::Error;
use crate::context::Results;
use crate::quantity::stochastic;

/// Points of a density.
const GRID: usize = 400;

/// Broadening of the density as a share of the range of the eigenvalues.
const BROADENING: f64 = 0.01;

/// Decades below the largest eigenvalue that the logarithmic density shows.
const DECADES: f64 = 8.0;

/// Broadening of the logarithmic density in decades.
const DECADES_BROADENING: f64 = 0.15;

/// Adds the densities of `quadrature` and the eigenvalues of its first probe.
pub(super) fn take(quadrature: &Quadrature, results: &mut Results) -> Result<(), Error> {
    let low = quadrature.nodes().fold(0.0, f64::min);
    let high = quadrature.nodes().fold(0.0, f64::max);
    let sigma = (BROADENING * (high - low)).max(f64::MIN_POSITIVE);
    let grid = evenly(low - 5.0 * sigma, high + 5.0 * sigma, GRID);
    let (density, standard_error) = columns(&quadrature.density(&grid, sigma)?);
    results.density = Some(Density {
        grid,
        density,
        standard_error,
        sigma,
        probes: quadrature.rules.len() as u64,
        steps: quadrature.steps as u64,
    });
    if let Some(rule) = quadrature.rules.first() {
        let shares = quadrature.shares(rule);
        results.stems = shares
            .map(|(value, weight)| Stem { value, weight })
            .collect();
    }
    let top = high.max(-low).log10() + 0.5;
    let decades = evenly(top - DECADES, top, GRID);
    let density = quadrature.log_density(&decades, DECADES_BROADENING)?;
    let (positive, positive_error) = columns(&density.positive);
    let (negative, negative_error) = columns(&density.negative);
    let mut unresolved = stochastic(&density.signs.below_resolution, 0);
    unresolved.cost = Cost::default();
    results.log_density = Some(LogDensity {
        magnitude: decades.iter().map(|decade| 10f64.powf(*decade)).collect(),
        positive,
        positive_error,
        negative,
        negative_error,
        unresolved,
        resolution: density.signs.resolution,
        sigma: DECADES_BROADENING,
    });
    Ok(())
}

/// Values and standard errors.
fn columns(estimates: &[Estimate]) -> (Vec<f64>, Vec<f64>) {
    let pairs = estimates.iter().map(|one| (one.value, one.standard_error));
    pairs.unzip()
}

/// Numbers from `low` to `high`.
pub(super) fn evenly(low: f64, high: f64, points: usize) -> Vec<f64> {
    let step = (high - low) / (points - 1) as f64;
    (0..points).map(|point| low + step * point as f64).collect()
}
