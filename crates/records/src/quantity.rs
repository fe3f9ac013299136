//! A number with its error, its cost and what ended its measurement.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Numbers by name, such as `lambda_max`, in alphabetical order.
pub type Numbers = BTreeMap<String, Quantity>;

/// One measured number, how it was obtained and how wrong it can be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantity {
    /// The number itself.
    pub value: f64,
    /// How wrong it can be.
    #[serde(flatten)]
    pub uncertainty: Uncertainty,
    /// What it took; what is shared is counted for every number it serves.
    #[serde(default, skip_serializing_if = "Cost::is_none")]
    pub cost: Cost,
    /// What ended the measurement, where something had to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Error of too few Lanczos steps, on top of the standard error: an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_error: Option<f64>,
    /// Standard error of the value as one over all the examples that a sample stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling_error: Option<f64>,
    /// Half-width of 95 % confidence relative to the value, where the error is not that of the value alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_error: Option<f64>,
    /// The element of a parameter that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// Kind and size of the error of a [`Quantity`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Uncertainty {
    /// Computed and not estimated: wrong by rounding only.
    Computed {
        /// Size of the rounding.
        rounding: f64,
    },
    /// Mean over random probes.
    Stochastic {
        /// Standard error of the mean over the probes, and rounding.
        standard_error: f64,
        /// Number of probes.
        probes: u64,
    },
    /// Eigenvalue of an iteration.
    Iterative {
        /// An eigenvalue lies within this distance of the value.
        residual: f64,
        /// Iterations done.
        steps: u64,
        /// Whether the residual met the tolerance asked for.
        converged: bool,
    },
    /// The largest that was found: the true one is not below.
    LowerBound {
        /// How far the last step would have gone on, to first order.
        gap: f64,
        /// Iterations done.
        steps: u64,
        /// Whether the gap met the tolerance.
        converged: bool,
    },
}

/// What a number took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Matrix-vector products.
    #[serde(default)]
    pub products: u64,
    /// Mean losses over all examples.
    #[serde(default)]
    pub losses: u64,
    /// Gradients over all examples.
    #[serde(default)]
    pub gradients: u64,
}

/// What ended a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// It is as accurate as asked.
    Accurate,
    /// The budget of products.
    Budget,
    /// The time limit.
    Time,
    /// The memory for vectors.
    Memory,
    /// The number type has no more digits.
    Rounding,
    /// There is no more to find.
    Complete,
    /// Enough probes, but too few Lanczos steps for the accuracy asked.
    Steps,
    /// Not larger than the largest of so many errors.
    Noise,
}

impl Stop {
    /// Whether the number is as accurate as asked, or as can be.
    #[must_use]
    pub fn is_accurate(self) -> bool {
        matches!(self, Self::Accurate | Self::Rounding | Self::Complete)
    }

    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Accurate => "as accurate as asked",
            Self::Budget => "the budget ended it",
            Self::Time => "the time limit ended it",
            Self::Memory => "the memory ended it",
            Self::Rounding => "down to rounding",
            Self::Complete => "complete",
            Self::Steps => "enough probes; more --steps",
            Self::Noise => "no more than the largest of so many errors",
        }
    }
}

impl Cost {
    /// So many products.
    #[must_use]
    pub fn products(products: u64) -> Self {
        Self {
            products,
            ..Self::default()
        }
    }

    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.products += other.products;
        self.losses += other.losses;
        self.gradients += other.gradients;
    }
}

impl Quantity {
    /// A number of this error and cost.
    #[must_use]
    pub fn new(value: f64, uncertainty: Uncertainty, cost: Cost) -> Self {
        Self {
            value,
            uncertainty,
            cost,
            stop: None,
            step_error: None,
            sampling_error: None,
            relative_error: None,
            at: None,
        }
    }

    /// Size of the error: standard error, residual, gap or rounding.
    #[must_use]
    pub fn error(&self) -> f64 {
        match self.uncertainty {
            Uncertainty::Computed { rounding } => rounding,
            Uncertainty::Stochastic { standard_error, .. } => standard_error,
            Uncertainty::Iterative { residual, .. } => residual,
            Uncertainty::LowerBound { gap, .. } => gap,
        }
    }
}
