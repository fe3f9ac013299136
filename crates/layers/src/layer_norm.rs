//! Layer normalisation (Ba, Kiros and Hinton 2016): y = γ x̂ + β, x̂ = (x - mean) r, r = (var + ε)^(-1/2), over the last
//! axes of each example, with PyTorch's names and ε.
//!
//! ```text
//! jvp            ẏ = γ N(ẋ) + γ̇ x̂ + β̇           N(b) = r (b - mean b - x̂ mean(b x̂))
//! vjp            x̄ = N(γ ȳ),   γ̄ += Σ ȳ x̂,   β̄ += Σ ȳ
//! second order   γ̄ += Σ ȳ N(ẋ),   x̄ += N(γ̇ ȳ) + the derivative of N(γ ȳ) in x along ẋ
//! ```

use crate::groups::{EPSILON, Groups, Scaling, by_groups};

/// Normalisation over the last axes: (..., shape) to (..., shape).
#[derive(Debug, Clone)]
pub struct LayerNorm {
    shape: Vec<usize>,
    scaling: Scaling,
    epsilon: f64,
}

impl LayerNorm {
    /// Over the last axes, which are `shape`, with a weight and a bias of that shape.
    #[must_use]
    pub fn new(shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            scaling: Scaling::WeightAndBias,
            epsilon: EPSILON,
        }
    }

    /// The same with another ε, which is 1e-5 unless said otherwise.
    #[must_use]
    pub fn with_epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// The same with a weight only.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self {
            scaling: Scaling::Weight,
            ..self
        }
    }

    /// The same without weight and bias.
    #[must_use]
    pub fn without_parameters(self) -> Self {
        Self {
            scaling: Scaling::None,
            ..self
        }
    }

    fn parameter_shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    fn groups(&self, input: &[usize]) -> Result<Groups, &'static str> {
        let width = self.shape.iter().product();
        if width == 0 || self.shape.is_empty() || !input.ends_with(&self.shape) {
            return Err("its last axes must be those of its weight");
        }
        Ok(Groups {
            width,
            run: 1,
            epsilon: self.epsilon,
        })
    }
}

by_groups!(LayerNorm);
