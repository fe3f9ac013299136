//! Eigenvectors taken out of random probes, which then estimate what is left of a trace.
//!
//! ```text
//! Tr f(A) = Σᵢ xᵢᵀ f(A) xᵢ + Tr P f(A) P,   P = I − X Xᵀ
//! ```
//!
//! holds for any orthonormal X, and where xᵢ is a Ritz vector with Ritz value θᵢ and residual rᵢ
//!
//! ```text
//! xᵢᵀ A xᵢ = θᵢ,   ‖A xᵢ‖² = θᵢ² + rᵢ²,   |xᵢᵀ f(A) xᵢ − f(θᵢ)| ≤ L rᵢ
//! ```
//!
//! for f with Lipschitz constant L; to second order it is ½ f''(θᵢ) rᵢ², a part of (rᵢ/θᵢ)² of a power of
//! |λ|, however small the eigenvalue. A random probe estimates each eigenvalue's share to within √2 of
//! itself. The Hessian of a network has some tens of large eigenvalues above a bulk near zero, so nearly
//! all of the error of a few probes lies in eigenvalues that a short Lanczos run knows: without
//! them it is smaller by an order of magnitude or two (deflation: Gambhir, Stathopoulos and Orginos,
//! SIAM J. Sci. Comput. 39, 2017; in the sketch of Hutch++: Meyer, Musco, Musco and Woodruff, SOSA 2021).

use candle_core::Tensor;
use flatness_kernels::norm;

use crate::basis::Basis;
use crate::{Eigenvalue, Error, Probe};

/// Orthonormal Ritz vectors with their Ritz values, from [`crate::Eigenpairs::deflation`]. It keeps
/// them, a vector of dim elements for each eigenvalue, until it is dropped.
#[derive(Debug, Clone)]
pub struct Deflation {
    /// Ritz values and residuals of the vectors, fewer than dimensions, in descending order.
    pub eigenvalues: Vec<Eigenvalue>,
    /// Matrix-vector products that it took to find them.
    pub products: usize,
    /// At least as many rows as eigenvalues.
    pub(crate) basis: Basis,
}

impl Deflation {
    pub(crate) fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for Eigenvalue {
            value, residual, ..
        } in &self.eigenvalues
        {
            sums.trace += value;
            sums.sizes += value.abs();
            sums.squares += value.powi(2) + residual.powi(2);
        }
        sums
    }
}

/// What a deflation knows of its vectors.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sums {
    /// Σ xᵢᵀ A xᵢ
    pub(crate) trace: f64,
    /// Σ |xᵢᵀ A xᵢ|
    pub(crate) sizes: f64,
    /// Σ ‖A xᵢ‖²
    pub(crate) squares: f64,
}

/// P z for the rows z of `probes` (rows, dim).
pub(crate) fn outside(deflation: Option<&Deflation>, probes: Tensor) -> Result<Tensor, Error> {
    match deflation {
        Some(Deflation {
            eigenvalues, basis, ..
        }) if !eigenvalues.is_empty() => Ok(basis.project_out(eigenvalues.len(), &probes)?.0),
        _ => Ok(probes),
    }
}

/// E ‖P z‖², or ‖P z‖² itself where the probe's length is not independent of its direction: what the
/// rule of P z / ‖P z‖ is multiplied by.
pub(crate) fn mass(
    deflation: Option<&Deflation>,
    probe: Probe,
    outside: &Tensor,
) -> Result<f64, Error> {
    let vectors = deflation.map_or(0, |known| known.eigenvalues.len());
    if vectors == 0 || probe == Probe::Gaussian {
        return Ok((outside.dim(1)? - vectors) as f64);
    }
    Ok(norm(outside)?.powi(2))
}
