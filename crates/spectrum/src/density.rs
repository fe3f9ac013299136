//! The spectral density, broadened by a Gaussian, on a linear axis and on a logarithmic one.
//!
//! ```text
//! φ_σ(x) = (1/n) Σ_p Σ_k w_pk g_σ(x − θ_pk),   g_σ(t) = exp(−t² / 2σ²) / (σ √(2π))
//! φ±(y)  = (1/n) Σ_p Σ_{k: ±θ_pk > r_pk} w_pk g_σ(y − log₁₀ |θ_pk|)
//! ```
//!
//! with nodes θ, weights w and residuals r from `quadrature.rs`; ∫ φ_σ = 1. The mean of φ_σ over probes is the
//! density (1/dim) Σ δ(x − λᵢ) convolved with g_σ, up to the quadrature error (Lin, Saad and Yang, SIAM
//! Review 58, 2016, §3.2). On the logarithmic axis σ is in decades, and a node whose residual reaches zero
//! has no place: it may stand for eigenvalues of either sign, as for the heap of zeros of a network, and
//! log₁₀ |θ| is where chance puts it. Its weight is a part of one number, and the integrals of both
//! halves and that number add up to 1.

use std::f64::consts::TAU;

use crate::error::{check_positive, check_positive_real, check_real};
use crate::{Error, Estimate, Quadrature};

/// A density over log₁₀ |λ|.
#[derive(Debug, Clone, PartialEq)]
pub struct LogDensity {
    /// Density of the positive eigenvalues at each point of the grid, per decade, (points).
    pub positive: Vec<Estimate>,
    /// Density of the negative eigenvalues, per decade, (points).
    pub negative: Vec<Estimate>,
    /// Shares of the eigenvalues by their sign: the integrals of the two halves, and what is in neither.
    pub signs: Signs,
}

/// The eigenvalues by their sign, as shares of sum 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signs {
    /// Share that is positive.
    pub positive: Estimate,
    /// Share that is negative.
    pub negative: Estimate,
    /// Share that is within the resolution of zero, of which the rules tell neither size nor sign.
    pub below_resolution: Estimate,
    /// How far from zero that share may reach, in the units of the eigenvalues: the largest residual of a
    /// node in it, 0 if there is none. More steps make it smaller, down to rounding.
    pub resolution: f64,
}

impl Quadrature {
    /// The spectral density at each point of `grid`, per unit of eigenvalue and of integral 1 over the real line,
    /// (points). Errors at neighbouring points are correlated.
    ///
    /// `sigma` is the standard deviation of the Gaussian that replaces each eigenvalue, absolute
    /// and in the units of the eigenvalues: structure finer than that is not resolved. A fixed
    /// share of λ_max − λ_min is a usual choice; below the spacing of the nodes, about (λ_max −
    /// λ_min) / steps, the density shows the nodes of the rule rather than the spectrum.
    ///
    /// # Errors
    ///
    /// [`Error::ZeroOperator`] for a matrix that is zero up to rounding, of which every width is too large
    /// or too small; [`Error::OutOfRange`] for a sigma that is not a positive number or a grid point that
    /// is not finite, [`Error::Zero`] for an empty grid.
    pub fn density(&self, grid: &[f64], sigma: f64) -> Result<Vec<Estimate>, Error> {
        self.check_range()?;
        check(grid, sigma, "in the units of the eigenvalues")?;
        let height = |point: f64| self.share(|node, _| gaussian(point - node, sigma));
        Ok(grid.iter().map(|&point| height(point)).collect())
    }

    /// The density over log₁₀ |λ| at the points of `grid`, broadened by `sigma` decades.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a sigma that is not a positive number or a grid point that is not finite,
    /// [`Error::Zero`] for an empty grid.
    pub fn log_density(&self, grid: &[f64], sigma: f64) -> Result<LogDensity, Error> {
        check(grid, sigma, "in decades")?;
        let half = |sign: f64| -> Vec<Estimate> {
            let at = |&point: &f64| {
                self.share(|node, residual| {
                    if sign * node > residual {
                        gaussian(point - node.abs().log10(), sigma)
                    } else {
                        0.0
                    }
                })
            };
            grid.iter().map(at).collect()
        };
        Ok(LogDensity {
            positive: half(1.0),
            negative: half(-1.0),
            signs: self.signs(),
        })
    }

    /// How many eigenvalues are positive, negative, and too close to zero for the rules to tell.
    #[must_use]
    pub fn signs(&self) -> Signs {
        let share = |of: fn(f64, f64) -> bool| {
            self.share(move |node, residual| f64::from(u8::from(of(node, residual))))
        };
        let known = self.deflated.iter().map(|one| (one.value, one.residual));
        let nodes = self.rules.iter().flat_map(|rule| {
            let residuals = rule.residuals.iter().map(|one| one + self.asymmetry);
            rule.nodes.iter().copied().zip(residuals)
        });
        let unresolved = known
            .chain(nodes)
            .filter(|(node, residual)| node.abs() <= *residual);
        Signs {
            positive: share(|node, residual| node > residual),
            negative: share(|node, residual| -node > residual),
            below_resolution: share(|node, residual| node.abs() <= residual),
            resolution: unresolved.map(|(_, residual)| residual).fold(0.0, f64::max),
        }
    }
}

/// Checks the width and the points of a density.
fn check(grid: &[f64], sigma: f64, unit: &'static str) -> Result<(), Error> {
    check_positive_real("sigma", sigma)?;
    check_positive("the number of grid points", grid.len())?;
    let mut points = grid.iter();
    points.try_for_each(|point| check_real("a grid point", unit, *point, point.is_finite()))
}

/// g_σ(t)
fn gaussian(distance: f64, sigma: f64) -> f64 {
    (-0.5 * (distance / sigma).powi(2)).exp() / (sigma * TAU.sqrt())
}
