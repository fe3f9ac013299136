//! A logistic regression on MNIST by textbook formulas.
//!
//! ```text
//! z = W x + b,   p = softmax(z),   r = p − e_y,   x̃ = (x, 1), or x for W alone, or 1 for b alone
//! H = G = (1/N) Σ Sᵢ ⊗ x̃ᵢ x̃ᵢᵀ,   S = diag(p) − p pᵀ,   gradient of an example: r ⊗ x̃
//! Tr H = (1/N) Σ Tr Sᵢ ‖x̃ᵢ‖²,    ‖H‖_F² = (1/N²) Σᵢⱼ ⟨Sᵢ, Sⱼ⟩ (x̃ᵢᵀ x̃ⱼ)²
//! F = A Aᵀ with columns (rᵢ ⊗ x̃ᵢ) / √N:   Tr F = Tr K,   ‖F‖_F = ‖K‖_F,   Kᵢⱼ = rᵢᵀ rⱼ x̃ᵢᵀ x̃ⱼ / N
//! ```
//!
//! Loops in float64: nothing of layers, operators or estimators of the workspace.

use std::ops::Range;

use candle_core::{DType, Device};
use flatness_data::{Dataset, EmbeddedMnist, Loaded, Normalization, Set};

use crate::program::Place;

const CLASSES: usize = 10;

/// Which matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Of {
    Hessian,
    EmpiricalFisher,
    GradientCovariance,
}

/// Rows and columns of which parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Block {
    All,
    Weight,
    Bias,
}

/// Normalised pixels and class of each of some examples, and what the network says of them.
pub(crate) struct Digits {
    pub(crate) inputs: Vec<Vec<f64>>,
    pub(crate) probabilities: Vec<Vec<f64>>,
    labels: Vec<usize>,
}

pub(crate) fn fixture() -> Loaded {
    let embedded = EmbeddedMnist {
        files: flatness_fixtures::MNIST,
        description: flatness_fixtures::DESCRIPTION,
    };
    let source = Set::Mnist
        .find(None, None, Some(embedded))
        .expect("the fixture");
    source.load(Normalization::mnist()).expect("the fixture")
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter()
        .zip(right)
        .map(|(left, right)| left * right)
        .sum()
}

impl Digits {
    /// Of θ: W row by row, then b.
    pub(crate) fn new(place: &Place, data: &Dataset, range: Range<usize>) -> Self {
        let batch = data
            .batch(range, DType::F64, &Device::Cpu)
            .expect("a batch");
        let inputs: Vec<Vec<f64>> = (batch.inputs.flatten_from(1))
            .and_then(|images| images.to_vec2())
            .expect("rows");
        let labels: Vec<u32> = batch.labels.to_vec1().expect("a vector");
        let theta: Vec<f64> = place.theta.to_vec1().expect("a vector");
        let (weight, bias) = theta.split_at(CLASSES * inputs[0].len());
        let probabilities = inputs.iter().map(|x| {
            let rows = weight.chunks(x.len()).zip(bias);
            let powers: Vec<f64> = rows.map(|(row, bias)| (bias + dot(row, x)).exp()).collect();
            let sum: f64 = powers.iter().sum();
            powers.iter().map(|power| power / sum).collect()
        });
        Self {
            probabilities: probabilities.collect(),
            labels: labels.into_iter().map(|label| label as usize).collect(),
            inputs,
        }
    }

    /// The first `count` training examples.
    pub(crate) fn train(place: &Place, count: usize) -> Self {
        Self::new(place, &fixture().train, 0..count)
    }

    fn mean(&self, of: impl Fn(usize) -> f64) -> f64 {
        (0..self.labels.len()).map(of).sum::<f64>() / self.labels.len() as f64
    }

    /// Mean cross-entropy.
    pub(crate) fn loss(&self) -> f64 {
        self.mean(|i| -self.probabilities[i][self.labels[i]].ln())
    }

    /// Share of the examples whose label has the largest probability.
    pub(crate) fn accuracy(&self) -> f64 {
        self.mean(|i| {
            let p = &self.probabilities[i];
            f64::from(u8::from(p.iter().all(|other| *other <= p[self.labels[i]])))
        })
    }

    /// Trace and Frobenius norm of the diagonal block of a matrix.
    pub(crate) fn moments(&self, of: Of, block: Block) -> [f64; 2] {
        let inner = |i: usize, j: usize| match block {
            Block::All => dot(&self.inputs[i], &self.inputs[j]) + 1.0,
            Block::Weight => dot(&self.inputs[i], &self.inputs[j]),
            Block::Bias => 1.0,
        };
        let entry = |i: usize, a: usize, b: usize| {
            let p = &self.probabilities[i];
            if a == b {
                p[a] * (1.0 - p[a])
            } else {
                -p[a] * p[b]
            }
        };
        if of == Of::Hessian {
            let trace = |i| (0..CLASSES).map(|a| entry(i, a, a)).sum::<f64>();
            let pairs = |i, j| -> f64 {
                let all = (0..CLASSES * CLASSES).map(|k| (k / CLASSES, k % CLASSES));
                all.map(|(a, b)| entry(i, a, b) * entry(j, a, b)).sum()
            };
            let square = self.mean(|i| self.mean(|j| pairs(i, j) * inner(i, j).powi(2)));
            return [self.mean(|i| trace(i) * inner(i, i)), square.sqrt()];
        }
        let residual = |i: usize| {
            let mut residual = self.probabilities[i].clone();
            residual[self.labels[i]] -= 1.0;
            residual
        };
        let product = |i: usize, j: usize| dot(&residual(i), &residual(j)) * inner(i, j);
        let centred = |i: usize, j: usize| match of {
            Of::GradientCovariance => {
                let [row, column] = [i, j].map(|i| self.mean(|k| product(i, k)));
                product(i, j) - row - column + self.mean(|k| self.mean(|l| product(k, l)))
            }
            _ => product(i, j),
        };
        let square = self.mean(|i| self.mean(|j| centred(i, j).powi(2)));
        [self.mean(|i| centred(i, i)), square.sqrt()]
    }
}
