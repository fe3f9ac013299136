//! Stochastic Lanczos quadrature: Tr f(A) for any f, and the spectral density.
//!
//! ```text
//! Tr f(A) ≈ (dim / n) Σ_p Σ_k w_pk f(θ_pk)
//! ```
//!
//! For probe p of unit norm, θ_pk and w_pk are the Ritz values and squared first eigenvector
//! components of its m-step tridiagonal matrix: the nodes and weights of the Gauss rule of vᵀ f(A)
//! v, exact for polynomials of degree 2 m − 1 (Golub and Meurant, Matrices, Moments and Quadrature,
//! ch. 6; Ubaru, Chen and Saad, SIAM J. Matrix Anal. Appl. 38, 2017). E over probes of vᵀ f(A) v is
//! Tr f(A) / dim.

use flatness_operator::LinearOperator;

use crate::estimate::Accumulator;
use crate::krylov::lockstep;
use crate::product::epsilon;
use crate::settings::{check_probes, check_steps};
use crate::tridiagonal::Eigen;
use crate::{Error, Estimate, Probe};

/// What [`quadrature()`] is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuadratureSettings {
    /// Start vectors, at least 2.
    pub probes: usize,
    /// Lanczos steps m per probe, from 1 to the operator's dimension: probes × steps products in
    /// all.
    pub steps: usize,
    /// Probes run in lockstep, at least 1: block × steps × dim elements of memory. It changes the
    /// speed, not the probes.
    pub block: usize,
    /// Distribution of the start vectors, which are normalised.
    pub probe: Probe,
    /// Seed of the probes.
    pub seed: u64,
}

/// The Gauss rule of one probe, at most `steps` nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Ritz values in descending order.
    pub nodes: Vec<f64>,
    /// One weight per node, not negative, of sum 1.
    pub weights: Vec<f64>,
}

/// The outcome of [`quadrature()`].
#[derive(Debug, Clone, PartialEq)]
pub struct Quadrature {
    /// One rule per probe, (probes).
    pub rules: Vec<Rule>,
    /// Dimension of the operator.
    pub dim: usize,
    /// Lanczos steps asked for per probe.
    pub steps: usize,
    /// Matrix-vector products used.
    pub products: usize,
    /// Distribution of the start vectors.
    pub probe: Probe,
    /// Seed of the probes.
    pub seed: u64,
    /// The largest asymmetry found by any probe, see [`crate::Lanczos::asymmetry`].
    pub asymmetry: f64,
}

/// Computes the Gauss rules of `settings.probes` random probes.
///
/// # Errors
///
/// [`Error::TooFewProbes`], [`Error::Zero`] for no steps or an empty block,
/// [`Error::TooManySteps`], [`Error::UnsupportedDType`], [`Error::NonFiniteProduct`] with probe and
/// step, [`Error::ProductMismatch`], [`Error::NotSymmetric`], [`Error::TridiagonalNotConverged`],
/// and the operator's own.
pub fn quadrature<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    settings: &QuadratureSettings,
) -> Result<Quadrature, Error> {
    let QuadratureSettings {
        probes,
        steps,
        block,
        probe,
        seed,
    } = *settings;
    check_probes(probes, block)?;
    check_steps(steps, operator.dim())?;
    epsilon(operator.dtype())?;
    let mut rules = Vec::new();
    let mut products = 0;
    let mut asymmetry = 0.0_f64;
    for first in (0..probes).step_by(block) {
        let last = probes.min(first.saturating_add(block));
        let starts = probe.rows(operator, first..last, seed)?;
        for recurrence in lockstep(operator, &starts, steps, first)? {
            let eigen = Eigen::of(&recurrence.diagonal, &recurrence.off_diagonal)?;
            let weights = eigen.weights();
            products += recurrence.diagonal.len();
            asymmetry = asymmetry.max(recurrence.asymmetry);
            rules.push(Rule {
                nodes: eigen.values,
                weights,
            });
        }
    }
    Ok(Quadrature {
        rules,
        dim: operator.dim(),
        steps,
        products,
        probe,
        seed,
        asymmetry,
    })
}

impl Quadrature {
    /// Tr f(A), with the standard error over probes.
    ///
    /// The standard error does not hold the quadrature error of too few steps, which is the same
    /// for every probe, and with few probes it is itself uncertain: see
    /// [`Estimate::standard_error`].
    ///
    /// # Errors
    ///
    /// [`Error::NonFiniteIntegrand`], such as for a logarithm where a node is not positive.
    pub fn integrate(&self, integrand: impl Fn(f64) -> f64) -> Result<Estimate, Error> {
        let mut accumulator = Accumulator::default();
        for rule in &self.rules {
            let mut integral = 0.0;
            for (&node, &weight) in rule.nodes.iter().zip(&rule.weights) {
                let got = integrand(node);
                if !got.is_finite() {
                    return Err(Error::NonFiniteIntegrand { node, got });
                }
                integral += weight * got;
            }
            accumulator.push(self.dim as f64 * integral);
        }
        Ok(accumulator.estimate(self.products, self.seed))
    }
}
