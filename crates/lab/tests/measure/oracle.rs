//! Curvature by textbook formulas: A = F Fᵀ of a few columns F, whose eigenvalues besides zero are those
//! of the small Gram matrix Fᵀ F.
//!
//! ```text
//! logits z = W x + b,   x̃ = (x, 1)
//! S = diag(p) - p pᵀ = L Lᵀ,   L = diag(√p) (I - √p √pᵀ)
//! G = H = (1/N) Σ L Lᵀ ⊗ x̃ x̃ᵀ        gradient of an example: (p - e_y) ⊗ x̃
//! ```
//!
//! Loops and a Jacobi eigensolver in float64: nothing of layers, operators or solvers of the workspace.

use std::ops::Range;

use candle_core::{DType, Device};
use flatness_data::mnist::{self, EmbeddedMnist};
use flatness_data::{Dataset, Loaded, Normalization};

use crate::program::Place;

const CLASSES: usize = 10;

/// Normalised pixels and class of each of some examples.
pub(crate) struct Digits {
    pub(crate) inputs: Vec<Vec<f64>>,
    pub(crate) labels: Vec<usize>,
}

/// Columns F (P each).
pub(crate) struct Columns(pub(crate) Vec<Vec<f64>>);

/// Which columns.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    Hessian,
    EmpiricalFisher,
    GradientCovariance,
}

pub(crate) fn fixture() -> Loaded {
    let embedded = EmbeddedMnist {
        train_images: flatness_fixtures::TRAIN_IMAGES,
        train_labels: flatness_fixtures::TRAIN_LABELS,
        test_images: flatness_fixtures::TEST_IMAGES,
        test_labels: flatness_fixtures::TEST_LABELS,
        description: flatness_fixtures::DESCRIPTION,
    };
    let source = mnist::find(None, None, embedded).expect("the fixture");
    mnist::load(source, Normalization::mnist()).expect("the fixture")
}

impl Digits {
    pub(crate) fn new(data: &Dataset, range: Range<usize>) -> Self {
        let batch = data
            .batch(range, DType::F64, &Device::Cpu)
            .expect("a batch");
        let images = batch.images.flatten_from(1).expect("rows");
        let labels = batch.labels.to_dtype(DType::I64).expect("integers");
        let labels = labels.to_vec1::<i64>().expect("a vector");
        Self {
            inputs: images.to_vec2().expect("a matrix"),
            labels: labels.into_iter().map(|label| label as usize).collect(),
        }
    }

    /// The first `count` training examples.
    pub(crate) fn train(count: usize) -> Self {
        Self::new(&fixture().train, 0..count)
    }

    /// Columns of a logistic regression on them.
    pub(crate) fn columns(&self, theta: &[f64], of: Of) -> Columns {
        let scale = 1.0 / (self.inputs.len() as f64).sqrt();
        let mut columns = Vec::new();
        for (x, &label) in self.inputs.iter().zip(&self.labels) {
            let p = probabilities(&logistic(theta, x));
            let factors: Vec<Vec<f64>> = match of {
                Of::Hessian => (0..CLASSES).map(|k| root(&p, k)).collect(),
                Of::EmpiricalFisher | Of::GradientCovariance => {
                    let mut residual = p.clone();
                    residual[label] -= 1.0;
                    vec![residual]
                }
            };
            for factor in factors {
                let factor = factor.iter().map(|entry| scale * entry);
                let weight = factor.clone().flat_map(|u| x.iter().map(move |x| u * x));
                columns.push(weight.chain(factor.clone()).collect());
            }
        }
        let columns = Columns(columns);
        match of {
            Of::GradientCovariance => columns.centred(),
            Of::Hessian | Of::EmpiricalFisher => columns,
        }
    }
}

/// The logits W x + b of W row by row, then b.
pub(crate) fn logistic(theta: &[f64], x: &[f64]) -> Vec<f64> {
    let (weight, bias) = theta.split_at(CLASSES * x.len());
    let rows = weight.chunks(x.len()).zip(bias);
    rows.map(|(row, bias)| bias + dot(row, x)).collect()
}

pub(crate) fn probabilities(logits: &[f64]) -> Vec<f64> {
    let powers: Vec<f64> = logits.iter().map(|logit| logit.exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// Column k of L.
fn root(p: &[f64], k: usize) -> Vec<f64> {
    let entry = |c: usize| {
        let identity = f64::from(u8::from(c == k));
        p[c].sqrt() * (identity - (p[c] * p[k]).sqrt())
    };
    (0..p.len()).map(entry).collect()
}

pub(crate) fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter()
        .zip(right)
        .map(|(left, right)| left * right)
        .sum()
}

impl Columns {
    /// Minus their mean, where they are one for each example.
    fn centred(self) -> Self {
        let count = self.0.len() as f64;
        let mean: Vec<f64> = (0..self.0[0].len())
            .map(|row| self.0.iter().map(|column| column[row]).sum::<f64>() / count)
            .collect();
        let centre = |column: Vec<f64>| column.iter().zip(&mean).map(|(x, m)| x - m).collect();
        Self(self.0.into_iter().map(centre).collect())
    }

    /// The rows of `range` alone.
    pub(crate) fn rows(&self, range: Range<usize>) -> Self {
        Self(
            self.0
                .iter()
                .map(|column| column[range.clone()].to_vec())
                .collect(),
        )
    }

    /// Eigenvalues of F Fᵀ but for zeros beyond the number of columns, in descending order.
    pub(crate) fn eigenvalues(&self) -> Vec<f64> {
        let gram = self.0.iter().map(|left| {
            let entries = self.0.iter().map(|right| dot(left, right));
            entries.collect::<Vec<f64>>()
        });
        jacobi(gram.collect())
    }
}

/// Eigenvalues of a symmetric matrix by cyclic Jacobi rotations (Golub and Van Loan, "Matrix
/// Computations", section 8.5), in descending order.
fn jacobi(mut a: Vec<Vec<f64>>) -> Vec<f64> {
    let n = a.len();
    for _ in 0..30 {
        for p in 0..n {
            for q in p + 1..n {
                if a[p][q] == 0.0 {
                    continue;
                }
                let tau = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = tau.signum() / (tau.abs() + tau.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                let s = t * c;
                for row in &mut a {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                let (upper, lower) = a.split_at_mut(q);
                for (left, right) in upper[p].iter_mut().zip(&mut lower[0]) {
                    (*left, *right) = (c * *left - s * *right, s * *left + c * *right);
                }
            }
        }
        let trace: f64 = (0..n).map(|i| a[i][i].abs()).sum();
        let beside = (0..n).flat_map(|i| (0..i).map(move |j| (i, j)));
        if beside.map(|(i, j)| a[i][j].abs()).sum::<f64>() <= 1e-14 * trace {
            break;
        }
    }
    let mut values: Vec<f64> = (0..n).map(|i| a[i][i]).collect();
    values.sort_by(|left, right| right.total_cmp(left));
    values
}

/// The columns of a logistic regression on the first `count` training examples.
pub(crate) fn of_logistic(place: &Place, count: usize, of: Of) -> Columns {
    Digits::train(count).columns(&elements(place), of)
}

/// θ.
pub(crate) fn elements(place: &Place) -> Vec<f64> {
    place.theta.to_vec1().expect("a vector")
}
