//! What is measured, how well, and of what: the fields that a spec's `[measure]` and `flatness measure` share.

use serde::{Deserialize, Serialize};

use crate::What;

/// What is to be measured. The defaults of its fields are those of `flatness measure`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// In a run: measured after these epochs besides the last; 0 is the initialisation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub epochs: Vec<u32>,
    /// What is measured after those epochs; `what` is measured after the last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub along: Vec<What>,
    /// What to measure.
    pub what: Vec<What>,
    /// Matrices to measure it of.
    pub matrices: Vec<Matrix>,
    /// L2 coefficient that is added to the matrices' diagonals.
    #[serde(skip_serializing_if = "is_zero")]
    pub l2: f64,
    /// Rows and columns of these parameters only, named by patterns; empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
    /// The diagonal block of each of these groups of parameters by itself: `layer`, or a pattern each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub each: Vec<String>,
    /// Split that the loss is the mean over.
    pub split: Split,
    /// The first so many examples of the split; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub examples: Option<usize>,
    /// A random sample of so many examples of the split, which stands for all of it: numbers get a sampling error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<usize>,
    /// Statistics that batch-norm takes.
    #[serde(skip_serializing_if = "BatchNorm::is_frozen")]
    pub batch_norm: BatchNorm,
    /// Examples per sweep; with batch statistics, the batches that couple their examples. Absent: 1000 or all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// Half-width of 95 % confidence, relative to the value, at which an estimate is good enough.
    pub relative_error: f64,
    /// Residual, relative to the largest |eigenvalue|, at which an eigenvalue is good enough.
    pub tolerance: f64,
    /// Most matrix-vector products for each matrix or group.
    pub budget: usize,
    /// Products of the search for the eigenvectors that random probes need not find.
    pub search: usize,
    /// Lanczos steps per probe of the density and of functions of the matrix.
    pub steps: usize,
    /// Vectors per product in the search for eigenvalues; finds as many copies of a repeated one.
    pub block: usize,
    /// Vectors held in the search for eigenvalues; absent: 40 more than needed, or what fits the memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<usize>,
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// Extreme eigenvalues, trace and Frobenius norm of the Hessian, as accurate as `flatness measure` makes them.
impl Default for Request {
    fn default() -> Self {
        Self {
            epochs: Vec::new(),
            along: Vec::new(),
            what: vec![What::Top(1), What::Bottom(1), What::Trace, What::Frobenius],
            matrices: vec![Matrix::Hessian],
            l2: 0.0,
            parameters: Vec::new(),
            each: Vec::new(),
            split: Split::default(),
            examples: None,
            sample: None,
            batch_norm: BatchNorm::default(),
            batch_size: None,
            // A tenth of the differences that the claims speak of.
            relative_error: 0.05,
            // Three digits.
            tolerance: 1e-3,
            budget: 1000,
            // Decision 10.
            search: 48,
            steps: 30,
            block: 1,
            basis: None,
        }
    }
}

impl Request {
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
        let sample = || self.sample.unwrap_or(0).to_string();
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
                self.sample.is_none_or(|sample| sample >= 2),
                "sample",
                "at least 2, whose error takes two parts to compare",
                sample(),
            ),
            (
                self.examples.is_none() || self.sample.is_none(),
                "sample",
                "absent beside `examples`",
                sample(),
            ),
        ];
        let empty = [
            ("what", self.what.is_empty()),
            ("matrices", self.matrices.is_empty()),
        ];
        let empty = empty.map(|(field, empty)| (!empty, field, "not empty", "[]".to_owned()));
        let zero = [
            ("examples", self.examples == Some(0)),
            ("batch_size", self.batch_size == Some(0)),
            ("budget", self.budget == 0),
            ("steps", self.steps == 0),
            ("block", self.block == 0),
        ];
        let zero = zero.map(|(field, zero)| (!zero, field, "at least 1", "0".to_owned()));
        let positive = [
            ("relative_error", self.relative_error),
            ("tolerance", self.tolerance),
        ];
        let positive = positive.map(|(field, number)| {
            let holds = number.is_finite() && number > 0.0;
            (holds, field, "a positive number", number.to_string())
        });
        let all = empty.into_iter().chain(checks).chain(zero).chain(positive);
        let mut wrong = all.filter(|(holds, ..)| !holds);
        wrong
            .next()
            .map(|(_, field, expected, got)| (field, expected, got))
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
