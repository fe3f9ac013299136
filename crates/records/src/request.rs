//! What is measured, how well, and of what: the fields that a spec's `[measure]` and `flatness measure` share.

use serde::{Deserialize, Serialize};

use crate::What;

/// What is to be measured. The defaults of its fields are those of `flatness measure`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// In a run: measured after these epochs besides the last; 0 is the initialisation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub epochs: Vec<u32>,
    /// What is measured after those epochs; `what` is measured after the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub along: Vec<What>,
    /// What to measure.
    #[serde(default = "Request::default_what")]
    pub what: Vec<What>,
    /// Matrices to measure it of.
    #[serde(default = "Request::default_matrices")]
    pub matrices: Vec<Matrix>,
    /// L2 coefficient that is added to the matrices' diagonals.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub l2: f64,
    /// Rows and columns of these parameters only, named by patterns; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
    /// The diagonal block of each of these groups of parameters by itself: `layer`, or a pattern each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub each: Vec<String>,
    /// Split that the loss is the mean over.
    #[serde(default)]
    pub split: Split,
    /// The first so many examples of the split; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples: Option<usize>,
    /// A random sample of so many examples of the split, which stands for all of it: numbers get a sampling error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<usize>,
    /// Statistics that batch-norm takes.
    #[serde(default, skip_serializing_if = "BatchNorm::is_frozen")]
    pub batch_norm: BatchNorm,
    /// Examples per sweep; with batch statistics, the batches that couple their examples. Absent: 1000 or all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// Half-width of 95 % confidence, relative to the value, at which an estimate is good enough.
    #[serde(default = "Request::default_relative_error")]
    pub relative_error: f64,
    /// Residual, relative to the largest |eigenvalue|, at which an eigenvalue is good enough.
    #[serde(default = "Request::default_tolerance")]
    pub tolerance: f64,
    /// Most matrix-vector products for each matrix or group.
    #[serde(default = "Request::default_budget")]
    pub budget: usize,
    /// Products of the search for the eigenvectors that random probes need not find.
    #[serde(default = "Request::default_search")]
    pub search: usize,
    /// Lanczos steps per probe of the density and of functions of the matrix.
    #[serde(default = "Request::default_steps")]
    pub steps: usize,
    /// Vectors per product in the search for eigenvalues; finds as many copies of a repeated one.
    #[serde(default = "Request::default_block")]
    pub block: usize,
    /// Vectors held in the search for eigenvalues; absent: 40 more than needed, or what fits the memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<usize>,
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

impl Request {
    /// Extreme eigenvalues, trace and Frobenius norm.
    #[must_use]
    pub fn default_what() -> Vec<What> {
        vec![What::Top(1), What::Bottom(1), What::Trace, What::Frobenius]
    }

    /// The Hessian.
    #[must_use]
    pub fn default_matrices() -> Vec<Matrix> {
        vec![Matrix::Hessian]
    }

    /// 0.05: a tenth of the differences that the claims speak of.
    #[must_use]
    pub fn default_relative_error() -> f64 {
        0.05
    }

    /// 1e-3: three digits.
    #[must_use]
    pub fn default_tolerance() -> f64 {
        1e-3
    }

    /// 1000 products.
    #[must_use]
    pub fn default_budget() -> usize {
        1000
    }

    /// 48 products (decision 10).
    #[must_use]
    pub fn default_search() -> usize {
        48
    }

    /// 30 steps.
    #[must_use]
    pub fn default_steps() -> usize {
        30
    }

    /// One vector.
    #[must_use]
    pub fn default_block() -> usize {
        1
    }

    /// What is measured after an epoch before the last.
    #[must_use]
    pub fn before_the_end(&self) -> Self {
        Self {
            what: self.along.clone(),
            ..self.clone()
        }
    }

    /// What is wrong with a field, if anything: its name, what it must be and what it is.
    #[must_use]
    pub fn problem(&self) -> Option<(&'static str, &'static str, String)> {
        let positive = |number: f64| number.is_finite() && number > 0.0;
        let checks = [
            (
                self.epochs.is_empty() == self.along.is_empty(),
                "along",
                "there with `epochs`, and only with them: what is measured after those epochs",
                format!(
                    "{} names and {} epochs",
                    self.along.len(),
                    self.epochs.len()
                ),
            ),
            (!self.what.is_empty(), "what", "not empty", "[]".to_owned()),
            (
                !self.matrices.is_empty(),
                "matrices",
                "not empty",
                "[]".to_owned(),
            ),
            (
                self.l2.is_finite() && self.l2 >= 0.0,
                "l2",
                "a finite number of at least 0",
                self.l2.to_string(),
            ),
            (
                self.parameters.is_empty() || self.each.is_empty(),
                "parameters",
                "absent beside `each`",
                self.parameters.join(","),
            ),
            (
                self.examples != Some(0),
                "examples",
                "at least 1",
                "0".to_owned(),
            ),
            (
                self.sample.is_none_or(|sample| sample >= 2),
                "sample",
                "at least 2, whose error takes two parts to compare",
                self.sample.unwrap_or(0).to_string(),
            ),
            (
                self.examples.is_none() || self.sample.is_none(),
                "sample",
                "absent beside `examples`",
                self.sample.unwrap_or(0).to_string(),
            ),
            (
                self.batch_size != Some(0),
                "batch_size",
                "at least 1",
                "0".to_owned(),
            ),
            (
                positive(self.relative_error),
                "relative_error",
                "a positive number",
                self.relative_error.to_string(),
            ),
            (
                positive(self.tolerance),
                "tolerance",
                "a positive number",
                self.tolerance.to_string(),
            ),
            (self.budget > 0, "budget", "at least 1", "0".to_owned()),
            (self.steps > 0, "steps", "at least 1", "0".to_owned()),
            (self.block > 0, "block", "at least 1", "0".to_owned()),
        ];
        let wrong = checks.into_iter().find(|(holds, ..)| !holds);
        wrong.map(|(_, field, expected, got)| (field, expected, got))
    }
}

/// Split of the data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Training examples, without those held out.
    #[default]
    Train,
    /// Held-out training examples.
    Validation,
    /// Test examples.
    Test,
}

impl Split {
    /// Its name in specs, records and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Statistics that batch-norm takes in a measured matrix: two different Hessians.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchNorm {
    /// The running statistics of training, fixed: examples are independent.
    #[default]
    Frozen,
    /// Those of each batch: the examples of a batch are coupled.
    Batch,
}

impl BatchNorm {
    fn is_frozen(&self) -> bool {
        *self == Self::Frozen
    }
}

/// Curvature matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Matrix {
    /// Hessian of the mean loss, H = G + R.
    Hessian,
    /// Generalised Gauss-Newton matrix G.
    GaussNewton,
    /// What the Gauss-Newton matrix leaves out, R = H - G.
    Residual,
    /// Mean of g gᵀ over the gradients g of the examples' losses at their labels.
    EmpiricalFisher,
    /// The same around the mean gradient.
    GradientCovariance,
}

impl Matrix {
    /// Its name in specs, records and on the command line, such as `gauss-newton`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hessian => "hessian",
            Self::GaussNewton => "gauss-newton",
            Self::Residual => "residual",
            Self::EmpiricalFisher => "empirical-fisher",
            Self::GradientCovariance => "gradient-covariance",
        }
    }
}
