//! What is measured on a run.

use serde::{Deserialize, Serialize};

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
    /// All eigenvalues of the last epoch's Hessian, for a few thousand parameters at most (claim C4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact_spectrum: Option<ExactSpectrumSpec>,
    /// Largest loss rise in a region around the last epoch's parameters (claim C6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keskar: Option<KeskarSpec>,
    /// Curvature after scaling one layer up and the next one down (claim C7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescaling: Option<RescalingSpec>,
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

/// All eigenvalues of a dense Hessian.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExactSpectrumSpec {
    /// Eigenvalues of at most this times the largest |eigenvalue| count as zero.
    pub relative_threshold: f64,
}

/// Keskar's sharpness phi(epsilon) by ascent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeskarSpec {
    /// Sizes of the region.
    pub epsilons: Vec<f64>,
    /// Dimension of the random subspace that is searched besides the whole space.
    pub subspace: usize,
    /// Most steps of an ascent, one gradient each.
    pub steps: usize,
    /// Ascents from different points; the highest counts.
    pub starts: usize,
}

/// Dinh's rescaling of the first two layers between which it leaves the loss as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RescalingSpec {
    /// Factors of the first layer; the second is divided by them.
    pub alphas: Vec<f64>,
}
