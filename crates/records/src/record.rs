//! What a finished run leaves behind: `record.json`.

use serde::{Deserialize, Serialize};

use crate::{DataRecord, Matrix, ModelRecord, Provenance, Quantity, Spec, number};

/// Everything known about one finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Hash of the spec, the name of the run's directory.
    pub id: String,
    /// What was asked for.
    pub spec: Spec,
    /// How it ended.
    pub outcome: Outcome,
    /// Program and machine.
    pub provenance: Provenance,
    /// Data.
    pub data: DataRecord,
    /// Network.
    pub model: ModelRecord,
    /// Training as a whole.
    pub training: Training,
    /// Measurements in order of their epoch; the last belongs to the finished parameters. With an
    /// average these are the average, and the last iterate comes before it.
    pub measurements: Vec<Measurement>,
    /// Curvature at scaled parameters.
    pub scaling: Vec<ScalePoint>,
    /// Loss rises under perturbations.
    pub perturbations: Vec<Perturbation>,
    /// All eigenvalues of the Hessian.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact_spectrum: Option<ExactSpectrum>,
    /// Keskar's sharpness, for every region and size.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keskar: Vec<KeskarPoint>,
    /// Curvature at rescaled parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rescaling: Vec<RescalingPoint>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outcome {
    /// All epochs were done and all that was asked for was measured.
    Completed,
    /// The loss or the parameters stopped being finite; nothing was measured.
    Diverged {
        /// Epoch in which it happened, from 1.
        epoch: u32,
        /// Learning rate at that moment.
        learning_rate: f64,
        /// Step at which it was seen, from 1 at the beginning of training.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<u64>,
        /// Mean loss of that step's batch.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "number")]
        loss: Option<f64>,
        /// ‖θ‖ at that moment.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "number")]
        parameter_norm: Option<f64>,
    },
}

/// Parameters that were measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Iterate {
    /// Those of the last step.
    #[default]
    Last,
    /// The average of the iterates.
    Average,
}

impl Iterate {
    fn is_last(&self) -> bool {
        *self == Self::Last
    }
}

/// Training as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Optimiser steps done.
    pub steps: u64,
    /// Wall time of training in seconds, all parts of an interrupted run together.
    pub train_seconds: f64,
    /// Wall time of measuring in seconds, all parts of an interrupted run together.
    pub measure_seconds: f64,
    /// Largest resident memory of the process in MiB.
    pub peak_rss_mib: f64,
}

/// Loss, accuracy, norms and curvature at one point of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Epochs done; 0 is the initialisation.
    pub epoch: u32,
    /// Which parameters.
    #[serde(default, skip_serializing_if = "Iterate::is_last")]
    pub weights: Iterate,
    /// Mean cross-entropy over the training split.
    pub train_loss: f64,
    /// Fraction of the training split classified correctly.
    pub train_accuracy: f64,
    /// Fraction of the training split whose label is among the five most likely classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_top5_accuracy: Option<f64>,
    /// Mean cross-entropy over the test split.
    pub test_loss: f64,
    /// Fraction of the test split classified correctly.
    pub test_accuracy: f64,
    /// Fraction of the test split whose label is among the five most likely classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_top5_accuracy: Option<f64>,
    /// Mean cross-entropy over the validation split, if there is one.
    pub validation_loss: Option<f64>,
    /// Fraction of the validation split classified correctly, if there is one.
    pub validation_accuracy: Option<f64>,
    /// Fraction of the validation split whose label is among the five most likely classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_top5_accuracy: Option<f64>,
    /// ‖∇L‖ over the curvature split.
    pub gradient_norm: f64,
    /// ‖θ‖.
    pub parameter_norm: f64,
    /// ‖θ − θ₀‖.
    pub distance_from_initialization: f64,
    /// θᵀ G θ, the squared Fisher-Rao norm of Liang et al. (2019), up to their constant.
    pub fisher_rao: Quantity,
    /// Largest eigenvalue of |θ| H |θ| (elementwise): twice the second-order adaptive sharpness at radius 1.
    pub adaptive_lambda_max: Quantity,
    /// Whether the activations were kept between products.
    pub retention: Retention,
    /// Curvature matrices that were asked for.
    pub matrices: Vec<MatrixRecord>,
    /// Wall time of this measurement in seconds.
    pub seconds: f64,
}

/// What happened to the activations between products: it changes time and memory, never the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retention {
    /// They were kept.
    Retain,
    /// They were computed anew for each block of vectors.
    Recompute,
}

/// Measures of one curvature matrix, a mean over the examples of the split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatrixRecord {
    /// Which matrix.
    pub matrix: Matrix,
    /// Most positive eigenvalue.
    pub lambda_max: Quantity,
    /// Most negative eigenvalue (smallest, when none is negative).
    pub lambda_min: Quantity,
    /// λ₁, the largest absolute eigenvalue.
    pub spectral_norm: Quantity,
    /// λ₁ again by power iteration, which shares no code with Lanczos.
    pub power_iteration: Option<Quantity>,
    /// Sum of the eigenvalues.
    pub trace: Quantity,
    /// Frobenius norm.
    pub frobenius: Quantity,
    /// Ritz values of the Lanczos run, in descending order.
    pub ritz: Vec<Ritz>,
    /// Smoothed spectral density.
    pub density: Option<Density>,
}

/// One Ritz value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ritz {
    /// Approximate eigenvalue.
    pub value: f64,
    /// Squared first component: its weight in the quadrature of the start vector.
    pub weight: f64,
    /// An eigenvalue lies within this distance.
    pub residual: f64,
}

/// Spectral density by stochastic Lanczos quadrature, broadened by a Gaussian.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Density {
    /// Eigenvalue grid, ascending.
    pub grid: Vec<f64>,
    /// Density on the grid; integrates to 1.
    pub density: Vec<f64>,
    /// Standard deviation of the Gaussian.
    pub sigma: f64,
    /// Random start vectors.
    pub probes: u64,
    /// Lanczos steps per start vector.
    pub steps: u64,
    /// Products used.
    pub products: u64,
    /// Seed of the start vectors.
    pub seed: u64,
}

/// Loss and curvature of the Hessian at a·θ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalePoint {
    /// The factor a.
    pub scale: f64,
    /// Mean cross-entropy over the curvature split at a·θ.
    pub loss: f64,
    /// Fraction of the curvature split classified correctly at a·θ.
    pub accuracy: f64,
    /// λ₁.
    pub spectral_norm: Quantity,
    /// Trace.
    pub trace: Quantity,
    /// Frobenius norm.
    pub frobenius: Quantity,
}

/// Loss rise at θ + d against its quadratic prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Perturbation {
    /// `random` or `top-eigenvector`.
    pub direction: String,
    /// ‖d‖ / ‖θ‖.
    pub relative_radius: f64,
    /// ‖d‖.
    pub radius: f64,
    /// Mean over the directions of (L(θ+d) + L(θ−d)) / 2 − L(θ): the gradient's share cancels.
    pub rise: Quantity,
    /// Mean over the directions of L(θ+d) − L(θ), one-sided.
    pub one_sided_rise: Quantity,
    /// Mean over the same directions of ½ dᵀ H d.
    pub quadratic: Quantity,
    /// Prediction from the spectrum: Tr(H)/P ‖d‖²/2 for random directions, λ ‖d‖²/2 for the top eigenvector.
    pub predicted: Quantity,
}

/// All eigenvalues of the Hessian over the curvature split, from its dense matrix in double precision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExactSpectrum {
    /// Examples N of the curvature split.
    pub examples: usize,
    /// Classes C.
    pub classes: usize,
    /// Hidden and output units.
    pub neurons: usize,
    /// In descending order, one for each parameter.
    pub eigenvalues: Vec<f64>,
    /// Eigenvalues of at most this times the largest |eigenvalue| count as zero.
    pub relative_threshold: f64,
    /// Eigenvalues that do not.
    pub rank: usize,
    /// Products used, one for each parameter.
    pub products: u64,
}

/// Where Keskar's sharpness looks for the largest loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Region {
    /// |yᵢ| ≤ ε (|θᵢ| + 1) for every parameter.
    Box,
    /// |zᵢ| ≤ ε (|(A⁺ θ)ᵢ| + 1) for y = A z, the columns of A random.
    Subspace,
    /// ‖y‖ ≤ ε.
    Ball,
}

/// Keskar's sharpness φ(ε) = (max L(θ + y) − L(θ)) / (1 + L(θ)) over one region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeskarPoint {
    /// Where the maximum is taken.
    pub region: Region,
    /// ε
    pub epsilon: f64,
    /// The largest found, which the true one is not below.
    pub phi: f64,
    /// L(θ), the mean loss over the curvature split.
    pub loss: f64,
    /// λ₁ ε² / (2 (1 + L(θ))).
    pub predicted: Quantity,
    /// Gradients used.
    pub gradients: u64,
    /// Whether the best ascent ended because no step went higher.
    pub converged: bool,
}

/// Loss and curvature of the Hessian where the first of two layers is multiplied by alpha and the second divided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RescalingPoint {
    /// Names of the two layers.
    pub layers: [String; 2],
    /// The factor.
    pub alpha: f64,
    /// Mean cross-entropy over the curvature split.
    pub loss: f64,
    /// ‖θ‖ after rescaling.
    pub parameter_norm: f64,
    /// λ₁.
    pub spectral_norm: Quantity,
    /// Trace.
    pub trace: Quantity,
    /// Frobenius norm.
    pub frobenius: Quantity,
    /// Largest eigenvalue of |θ| H |θ| (elementwise), which rescaling leaves as it is.
    pub adaptive_lambda_max: Quantity,
}
