//! What was measured at one point of training: numbers by name, spectra, curves.
//!
//! The names are those of [`crate::What`] in snake case: `lambda_max`, `lambda_max_2`, `lambda_min`, `spectral_norm`
//! (of both ends only), `trace`, `frobenius`, `diagonal_norm`, `rank(1e-3)`, `effective_rank`, `nuclear_norm`,
//! `log_determinant(1e0)`, `count(-1e0:1e0)` of a matrix; `gradient_norm`, `parameter_norm`,
//! `distance_from_initialization`, `norm(fc.weight)`, `scale_invariant_norm`, `fisher_rao`, `adaptive_lambda_max`,
//! `relative_flatness(fc.weight)`, `confidence_trace`, `smallest_margin`, `pac_bayes_sigma(1e-1)` of the network.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Cost, EpochEvaluation, Matrix, Numbers, Quantity};

/// Loss, accuracy, norms and curvature at one point of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Epochs done; 0 is the initialisation.
    pub epoch: u32,
    /// Which parameters.
    #[serde(default, skip_serializing_if = "Iterate::is_last")]
    pub weights: Iterate,
    /// Loss and accuracies over every split, of the network with frozen statistics.
    pub evaluation: EpochEvaluation,
    /// What was measured.
    #[serde(flatten)]
    pub measured: Measured,
    /// Wall time of this measurement in seconds.
    pub seconds: f64,
}

/// What was measured at given parameters over given examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Examples that the loss is the mean over.
    pub examples: usize,
    /// Examples that a random sample stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled_from: Option<usize>,
    /// Mean loss over the examples, of the network as it is measured.
    pub loss: f64,
    /// Whether the activations were kept between products.
    pub retention: Retention,
    /// Numbers of the network and its parameters.
    pub numbers: Numbers,
    /// Each matrix, or each group of its parameters.
    pub matrices: Vec<MatrixRecord>,
    /// Numbers along something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<Curve>,
    /// Numbers asked for that do not exist here, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub undefined: BTreeMap<String, String>,
    /// Everything that was computed, each once.
    pub cost: Cost,
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
    /// Its name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Average => "average",
        }
    }

    fn is_last(&self) -> bool {
        *self == Self::Last
    }
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

impl Retention {
    /// What happened to the activations, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Retain => "kept",
            Self::Recompute => "computed anew",
        }
    }
}

/// Measures of one curvature matrix, a mean over the examples, or of one of its diagonal blocks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatrixRecord {
    /// Which matrix.
    pub matrix: Matrix,
    /// Name of the group of parameters, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Rows and columns, where they are not all parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// Vectors held in the search for eigenvalues, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<usize>,
    /// Products of everything, each once.
    pub products: u64,
    /// Numbers of the matrix.
    pub numbers: Numbers,
    /// Eigenvalues known and Ritz values of the first probe of a density, with their shares of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stems: Vec<Stem>,
    /// Smoothed spectral density.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub density: Option<Density>,
    /// The same over the logarithm of |eigenvalue|.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_density: Option<LogDensity>,
    /// All eigenvalues in descending order, of a dense matrix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub eigenvalues: Vec<f64>,
    /// Numbers asked for that do not exist here, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub undefined: BTreeMap<String, String>,
}

/// An eigenvalue with its share of the density.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stem {
    /// Approximate eigenvalue.
    pub value: f64,
    /// Its weight; all weights sum to 1.
    pub weight: f64,
}

/// Spectral density by stochastic Lanczos quadrature, broadened by a Gaussian.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Density {
    /// Eigenvalue grid, ascending.
    pub grid: Vec<f64>,
    /// Density on the grid; integrates to 1.
    pub density: Vec<f64>,
    /// Standard error over the probes on the grid.
    pub standard_error: Vec<f64>,
    /// Standard deviation of the Gaussian.
    pub sigma: f64,
    /// Random start vectors.
    pub probes: u64,
    /// Lanczos steps per start vector.
    pub steps: u64,
}

/// Density of log10 |eigenvalue|, one curve for each sign, each with its standard error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogDensity {
    /// |eigenvalue|, ascending, evenly in the logarithm.
    pub magnitude: Vec<f64>,
    /// Density per decade of the positive eigenvalues.
    pub positive: Vec<f64>,
    /// Its standard error.
    pub positive_error: Vec<f64>,
    /// Density per decade of the negative eigenvalues.
    pub negative: Vec<f64>,
    /// Its standard error.
    pub negative_error: Vec<f64>,
    /// Share of the eigenvalues that no one can tell from zero.
    pub unresolved: Quantity,
    /// |eigenvalue| below which that is so.
    pub resolution: f64,
    /// Standard deviation of the Gaussian in decades.
    pub sigma: f64,
}

/// Numbers along something: `scaling` (over a), `rescaling` (α), `rise.random` and `rise.top` (‖d‖ / ‖θ‖),
/// `keskar.box` and `keskar.ball` (ε), `rank` (threshold).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// In ascending order of where.
    pub points: Vec<CurvePoint>,
}

/// One point of a [`Curve`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Where.
    pub x: f64,
    /// What was measured there.
    pub numbers: Numbers,
}

impl Measured {
    /// The number of this name: of the network, or of the whole of a matrix as `gauss-newton.trace`; a name without a
    /// matrix is the Hessian's.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<&Quantity> {
        if let Some(number) = self.numbers.get(name) {
            return Some(number);
        }
        let (matrix, name) = name
            .split_once('.')
            .unwrap_or((Matrix::Hessian.name(), name));
        let mut matrices = self.matrices.iter();
        let record =
            matrices.find(|record| record.matrix.name() == matrix && record.group.is_none())?;
        record.numbers.get(name)
    }

    /// The curve of this name.
    #[must_use]
    pub fn curve(&self, name: &str) -> Option<&Curve> {
        self.curves.iter().find(|curve| curve.name == name)
    }
}
