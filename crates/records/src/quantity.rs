//! A number with its error.

use serde::{Deserialize, Serialize};

/// One measured number, how it was obtained and how wrong it can be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantity {
    /// The number itself.
    pub value: f64,
    /// Matrix-vector products used for it (shared products are counted for every quantity they serve).
    pub products: u64,
    /// How wrong it can be.
    #[serde(flatten)]
    pub uncertainty: Uncertainty,
}

/// Kind and size of the error of a [`Quantity`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Uncertainty {
    /// Exact up to rounding.
    Exact,
    /// Mean over random probes.
    Stochastic {
        /// Standard error of the mean over the probes.
        standard_error: f64,
        /// Number of probes.
        probes: u64,
        /// Seed of the probes.
        seed: u64,
    },
    /// Ritz value of an iteration.
    Iterative {
        /// An eigenvalue lies within this distance of the value.
        residual: f64,
        /// Iterations done.
        steps: u64,
        /// Whether the residual met the tolerance asked for.
        converged: bool,
        /// Seed of the start vector.
        seed: u64,
    },
}

impl Quantity {
    /// An exact value that took `products` products.
    #[must_use]
    pub fn exact(value: f64, products: u64) -> Self {
        Self {
            value,
            products,
            uncertainty: Uncertainty::Exact,
        }
    }

    /// Size of the error: standard error, residual, or zero.
    #[must_use]
    pub fn error(&self) -> f64 {
        match self.uncertainty {
            Uncertainty::Exact => 0.0,
            Uncertainty::Stochastic { standard_error, .. } => standard_error,
            Uncertainty::Iterative { residual, .. } => residual,
        }
    }
}
