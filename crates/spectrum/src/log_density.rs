//! The spectral density on a logarithmic axis, one half for each sign.
//!
//! ```text
//! φ±(y) = (1/n) Σ_p Σ_{k: ±θ_pk > τ} w_pk g_σ(y − log₁₀ |θ_pk|)
//! ```
//!
//! g_σ is the Gaussian of `density.rs`, σ in decades. The integrals of both halves and the share of
//! eigenvalues with |λ| ≤ τ, which have no place on the axis, add up to 1.

use std::f64::consts::TAU;

use crate::settings::{check_positive, check_positive_real};
use crate::{Error, Estimate, Quadrature};

/// A density over log₁₀ |λ|.
#[derive(Debug, Clone, PartialEq)]
pub struct LogDensity {
    /// log₁₀ |λ|, the points asked for, (points).
    pub grid: Vec<f64>,
    /// Density of the positive eigenvalues, per decade, (points).
    pub positive: Vec<Estimate>,
    /// Density of the negative eigenvalues, per decade, (points).
    pub negative: Vec<Estimate>,
    /// Share of the eigenvalues with |λ| ≤ floor.
    pub negligible: Estimate,
    /// The size up to which an eigenvalue counts as negligible.
    pub floor: f64,
    /// The standard deviation of the broadening, in decades.
    pub sigma: f64,
}

impl Quadrature {
    /// The density over log₁₀ |λ| at the points of `grid`, broadened by `sigma` decades.
    ///
    /// `floor`, in the units of the eigenvalues, separates what is curvature from what is rounding:
    /// machine epsilon times the largest eigenvalue is the least that makes sense.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a sigma or floor that is not a positive number or a grid point that
    /// is not finite, [`Error::Zero`] for an empty grid.
    pub fn log_density(&self, grid: &[f64], sigma: f64, floor: f64) -> Result<LogDensity, Error> {
        check_positive_real("sigma", sigma)?;
        check_positive_real("the floor", floor)?;
        check_positive("the number of grid points", grid.len())?;
        if let Some(&got) = grid.iter().find(|point| !point.is_finite()) {
            return Err(Error::OutOfRange {
                field: "a grid point",
                expected: "in decades",
                got,
            });
        }
        let half = |sign: f64| -> Vec<Estimate> {
            grid.iter()
                .map(|&point| self.share(|node| broadened(sign * node, point, sigma, floor)))
                .collect()
        };
        Ok(LogDensity {
            grid: grid.to_vec(),
            positive: half(1.0),
            negative: half(-1.0),
            negligible: self.share(|node| f64::from(u8::from(node.abs() <= floor))),
            floor,
            sigma,
        })
    }
}

/// g_σ(y − log₁₀ θ) for θ above the floor, else 0.
fn broadened(node: f64, point: f64, sigma: f64, floor: f64) -> f64 {
    if node <= floor {
        return 0.0;
    }
    let distance = (point - node.log10()) / sigma;
    (-0.5 * distance * distance).exp() / (sigma * TAU.sqrt())
}
