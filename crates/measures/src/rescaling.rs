//! Rescaling of two layers of a ReLU network against each other: another θ, the same function
//! (claim C7).
//!
//! ```text
//! W₁ ← α W₁,  b₁ ← α b₁,  W₂ ← W₂ / α,  α > 0:      θ' = D θ,  L(θ') = L(θ)
//! ∇L(θ') = D⁻¹ ∇L(θ),    H(θ') = D⁻¹ H(θ) D⁻¹,    G(θ') = D⁻¹ G(θ) D⁻¹
//! ```
//!
//! It holds because what stands between the two layers (ReLU, pooling, flattening, dropout) satisfies
//! f(α x) = α f(x), and because nothing else uses the values between them. Batch-norm, tanh and skips
//! break it. As α → 0 the Hessian's blocks of the first layer grow like α⁻²: without bound, unless
//! they vanish. Source: Dinh, Pascanu, S. Bengio, Y. Bengio, "Sharp Minima Can Generalize For Deep
//! Nets", ICML 2017, section 4 (α-scale transformations).

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use flatness_layers::{Homogeneity, Network, Step};
use flatness_operator::check_dim;

use crate::Error;
use crate::graph::{diagonal, ranges, users, weighted};
use crate::vector::check_positive;

/// Two layers of one network that can be rescaled against each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescaling {
    first: String,
    second: String,
    /// W₁ and b₁ in the flat vector.
    multiplied: Vec<Range<usize>>,
    /// W₂ in the flat vector.
    divided: Range<usize>,
    /// P
    dim: usize,
}

impl Rescaling {
    /// All pairs of `network`, in the order of their first layers.
    #[must_use]
    pub fn pairs(network: &Network) -> Vec<Self> {
        let steps: Vec<Step<'_>> = network.steps().collect();
        (0..steps.len())
            .filter_map(|first| Self::from(network, &steps, first))
            .collect()
    }

    /// The pair that begins with step `first`, where there is one.
    fn from(network: &Network, steps: &[Step<'_>], first: usize) -> Option<Self> {
        let parameters = weighted(steps, first)?;
        let (second, weights) = next_weighted(steps, first)?;
        Some(Self {
            first: steps[first].name.to_owned(),
            second: steps[second].name.to_owned(),
            multiplied: ranges(network, parameters),
            divided: ranges(network, weights).into_iter().next()?,
            dim: network.layout().dim(),
        })
    }

    /// The layer whose weights and biases are multiplied.
    #[must_use]
    pub fn first(&self) -> &str {
        &self.first
    }

    /// The layer whose weights are divided.
    #[must_use]
    pub fn second(&self) -> &str {
        &self.second
    }

    /// θ' = D θ for `theta` (P).
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for an `alpha` that is not a positive number, another length.
    pub fn apply(&self, theta: &Tensor, alpha: f64) -> Result<Tensor, Error> {
        check_dim("theta", theta, self.dim)?;
        let diagonal = self.diagonal(alpha, theta.dtype(), theta.device())?;
        Ok((theta * diagonal)?)
    }

    /// The diagonal of D, (P).
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for an `alpha` that is not a positive number, or a device error.
    pub fn diagonal(&self, alpha: f64, dtype: DType, device: &Device) -> Result<Tensor, Error> {
        check_positive("alpha", alpha)?;
        let multiplied = self.multiplied.iter().map(|range| (range.clone(), alpha));
        let divided = std::iter::once((self.divided.clone(), 1.0 / alpha));
        diagonal(self.dim, multiplied.chain(divided), dtype, device)
    }
}

/// The step with weights that alone takes the output of step `first`, up to a positive factor, and its parameters.
fn next_weighted<'n>(steps: &[Step<'n>], first: usize) -> Option<(usize, &'n [usize])> {
    let mut step = first;
    loop {
        let mut users = users(steps, step + 1);
        step = users.next().filter(|_| users.next().is_none())?;
        let Step { layer, inputs, .. } = steps[step];
        if inputs.len() > 1 || layer.homogeneity() != Homogeneity::Input {
            return Some((step, weighted(steps, step)?));
        }
    }
}
