//! Sharpness-aware minimisation (SAM), a way to take the gradient of any optimiser.
//!
//! ```text
//! ε = ρ g / (‖g‖ + 1e-12),   g = ∇L(θ)
//! step of the base optimiser at θ with ∇L(θ + ε)
//! ```
//!
//! Foret et al. (2021), eq. 2 with p = 2 and eq. 3 without its second-order term; 1e-12 as in
//! github.com/davda54/sam. Both gradients are of the same batch, and neither includes the L2 term,
//! which the base optimiser adds at θ. That software adds ε to θ and subtracts it again; here θ + ε
//! is a vector of its own, so nothing is left of ε in θ.

use candle_core::Tensor;
use flatness_kernels::norm;

use crate::{Error, Optimizer, checks};

/// Steps with the gradient at the worst point of a ball, to first order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SharpnessAware {
    radius: f64,
}

impl SharpnessAware {
    /// The ball of radius ρ, at least 0; 0.05 in the paper's runs on CIFAR-10 and ImageNet, 0.1 on
    /// CIFAR-100.
    ///
    /// # Errors
    /// [`Error::Range`] for a radius that is negative or not finite.
    pub fn new(radius: f64) -> Result<Self, Error> {
        checks::finite_and_not_negative("the radius", radius)?;
        Ok(Self { radius })
    }

    /// θ + ε (P), for the gradient at `theta`.
    ///
    /// # Errors
    /// A device error, such as shapes that differ.
    pub fn perturbed(&self, theta: &Tensor, gradient: &Tensor) -> Result<Tensor, Error> {
        let scale = self.radius / (norm(gradient)? + 1e-12);
        Ok((theta + (gradient * scale)?)?)
    }

    /// One step of `optimizer`, with two calls of `gradient`, which maps parameters to the gradient
    /// of the loss of one batch.
    ///
    /// # Errors
    /// Those of `gradient` and of [`Optimizer::step`].
    pub fn step<E: From<Error>>(
        &self,
        optimizer: &mut dyn Optimizer,
        theta: &Tensor,
        learning_rate: f64,
        mut gradient: impl FnMut(&Tensor) -> Result<Tensor, E>,
    ) -> Result<(), E> {
        let ascent = gradient(theta)?;
        let descent = gradient(&self.perturbed(theta, &ascent)?)?;
        Ok(optimizer.step(theta, &descent, learning_rate)?)
    }
}
