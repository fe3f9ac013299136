//! The spectral density, broadened by a Gaussian.
//!
//! ```text
//! φ_σ(x) = (1/n) Σ_p Σ_k w_pk g_σ(x − θ_pk),   g_σ(t) = exp(−t² / 2σ²) / (σ √(2π))
//! ```
//!
//! with nodes θ and weights w from `quadrature.rs`; ∫ φ_σ = 1. Its mean over probes is the density
//! (1/dim) Σ δ(x − λᵢ) convolved with g_σ, up to the quadrature error (Lin, Saad and Yang, SIAM
//! Review 58, 2016, §3.2).

use std::f64::consts::TAU;

use crate::settings::{check_positive, check_positive_real};
use crate::{Error, Quadrature};

/// A density on a grid, normalised to integral 1 over the real line.
#[derive(Debug, Clone, PartialEq)]
pub struct Density {
    /// The points asked for, in units of the eigenvalues, (points).
    pub grid: Vec<f64>,
    /// φ_σ at each point, per unit of eigenvalue, (points).
    pub values: Vec<f64>,
    /// Standard error over probes at each point, (points). Errors at neighbouring points are
    /// correlated.
    pub standard_errors: Vec<f64>,
    /// The standard deviation of the broadening.
    pub sigma: f64,
    /// Number of probes.
    pub probes: usize,
    /// Matrix-vector products used.
    pub products: usize,
    /// Seed of the probes.
    pub seed: u64,
}

impl Quadrature {
    /// The spectral density at the points of `grid`.
    ///
    /// `sigma` is the standard deviation of the Gaussian that replaces each eigenvalue, absolute
    /// and in the units of the eigenvalues: structure finer than that is not resolved. A fixed
    /// share of λ_max − λ_min is a usual choice; below the spacing of the nodes, about (λ_max −
    /// λ_min) / steps, the density shows the nodes of the rule rather than the spectrum.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a sigma that is not a positive number or a grid point that is not
    /// finite, [`Error::Zero`] for an empty grid.
    pub fn density(&self, grid: &[f64], sigma: f64) -> Result<Density, Error> {
        check_positive_real("sigma", sigma)?;
        check_positive("the number of grid points", grid.len())?;
        if let Some(&got) = grid.iter().find(|point| !point.is_finite()) {
            return Err(Error::OutOfRange {
                field: "a grid point",
                expected: "in the units of the eigenvalues",
                got,
            });
        }
        let height = (sigma * TAU.sqrt()).recip();
        let mut values = Vec::with_capacity(grid.len());
        let mut standard_errors = Vec::with_capacity(grid.len());
        for &point in grid {
            let estimate =
                self.share(|node| height * (-0.5 * ((point - node) / sigma).powi(2)).exp());
            values.push(estimate.value);
            standard_errors.push(estimate.standard_error);
        }
        Ok(Density {
            grid: grid.to_vec(),
            values,
            standard_errors,
            sigma,
            probes: self.rules.len(),
            products: self.products,
            seed: self.seed,
        })
    }
}
