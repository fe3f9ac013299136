//! What a user asks for: the TOML of one run. Unknown fields are refused.

use serde::{Deserialize, Serialize};

use crate::Error;

/// One training run and what is to be measured on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The one seed from which every random stream is derived.
    pub seed: u64,
    /// Data set and splits.
    pub data: DataSpec,
    /// Network.
    pub model: ModelSpec,
    /// Training.
    pub train: TrainSpec,
    /// Measurements; without this table the run only trains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<MeasureSpec>,
}

/// Data set and splits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSpec {
    /// Name of the data set, such as `mnist`.
    pub set: String,
    /// Train on the first this many examples; absent: on all there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_examples: Option<usize>,
    /// Hold out the last this many training examples for validation.
    #[serde(default)]
    pub validation_examples: usize,
}

/// Network and its number type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Name in the model zoo, such as `mlp`.
    pub name: String,
    /// Number type of parameters and arithmetic.
    pub dtype: Dtype,
}

/// Floating-point type of parameters and arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
}

/// Training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSpec {
    /// Passes over the training examples.
    pub epochs: u32,
    /// Examples per step.
    pub batch_size: usize,
    /// Optimiser with its settings.
    pub optimizer: OptimizerSpec,
    /// Learning-rate schedule.
    pub schedule: ScheduleSpec,
}

/// Optimiser with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OptimizerSpec {
    /// Stochastic gradient descent with heavy-ball or Nesterov momentum and coupled L2.
    Sgd {
        /// Initial learning rate.
        learning_rate: f64,
        /// Momentum coefficient in [0, 1).
        momentum: f64,
        /// Whether the momentum is Nesterov's.
        nesterov: bool,
        /// Coupled L2 coefficient: `weight_decay * theta` is added to the gradient.
        weight_decay: f64,
    },
}

/// Learning-rate schedule over t = epoch / epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScheduleSpec {
    /// The initial rate throughout.
    Constant {},
    /// The paper's: constant to t = 0.5, linear to `ratio` times the rate at t = 0.9, then flat.
    Paper {
        /// Final over initial rate; the paper's value is 0.01.
        ratio: f64,
    },
}

/// What is measured, and how precisely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureSpec {
    /// Measured after these epochs besides the last; 0 is the initialisation.
    #[serde(default)]
    pub epochs: Vec<u32>,
    /// Split that the curvature is the mean over.
    pub split: Split,
    /// Matrices to measure.
    pub matrices: Vec<Matrix>,
    /// Statistics that batch-norm takes in the matrices.
    #[serde(default, skip_serializing_if = "BatchNorm::is_frozen")]
    pub batch_norm: BatchNorm,
    /// Examples per linearisation; with batch statistics, the batches that couple their examples.
    pub batch_size: usize,
    /// Extreme eigenvalues.
    pub lanczos: LanczosSpec,
    /// Power iteration, a check of the spectral norm that shares no code with Lanczos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<PowerSpec>,
    /// Trace and Frobenius norm.
    pub trace: TraceSpec,
    /// Spectral density of the last epoch's matrices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub density: Option<DensitySpec>,
    /// Curvature at a * theta for each of these a, after the last epoch (claim C2).
    #[serde(default)]
    pub scales: Vec<f64>,
    /// Loss rise under perturbations of the last epoch's parameters (claim C5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perturbation: Option<PerturbationSpec>,
}

/// Split of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Training examples, without those held out.
    Train,
    /// Held-out training examples.
    Validation,
    /// Test examples.
    Test,
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
}

/// Settings of the Lanczos iteration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanczosSpec {
    /// Steps, one product each (at most the number of parameters).
    pub steps: usize,
    /// A Ritz value is converged when its residual is at most this times the largest |Ritz value|.
    pub tolerance: f64,
}

/// Settings of the power iteration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerSpec {
    /// Most iterations, one product each.
    pub iterations: usize,
    /// Converged when the residual is at most this times the |eigenvalue|.
    pub tolerance: f64,
}

/// Settings of the trace and Frobenius estimates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceSpec {
    /// Rademacher probes, one product each, at least 2.
    pub probes: usize,
    /// Probes per pass over the data.
    pub block: usize,
}

/// Settings of the spectral density by stochastic Lanczos quadrature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DensitySpec {
    /// Random start vectors.
    pub probes: usize,
    /// Lanczos steps per start vector.
    pub steps: usize,
}

/// Perturbations of the parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerturbationSpec {
    /// Euclidean lengths ||d|| relative to ||theta||.
    pub relative_radii: Vec<f64>,
    /// Random directions per radius; the top eigenvector comes besides.
    pub directions: usize,
}

impl Spec {
    /// Reads a spec from TOML; `origin` names the text in errors.
    ///
    /// # Errors
    /// [`Error::Syntax`] with the line, for anything that is not exactly a spec.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            Error::Syntax {
                origin: origin.to_owned(),
                line: 1 + text.as_bytes()[..start]
                    .iter()
                    .filter(|&&byte| byte == b'\n')
                    .count(),
                message: error.message().replace('\n', " "),
            }
        })
    }

    /// The spec as TOML that [`Spec::from_toml`] reads back to the same value.
    ///
    /// # Errors
    /// [`Error::Syntax`] when a value has no TOML form (a seed above 2⁶³ − 1).
    pub fn to_toml(&self) -> Result<String, Error> {
        toml::to_string(self).map_err(|error| Error::Syntax {
            origin: "spec".to_owned(),
            line: 0,
            message: error.to_string(),
        })
    }
}
