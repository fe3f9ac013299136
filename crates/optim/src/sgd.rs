//! Stochastic gradient descent with momentum and coupled L2.
//!
//! ```text
//! g <- g + wd θ
//! v <- μ v + g              v = 0 before the first step
//! θ <- θ - lr v             heavy ball
//! θ <- θ - lr (g + μ v)     Nesterov
//! ```
//!
//! This is `torch.optim.SGD` with dampening 0: the rate multiplies the velocity, not the gradient
//! inside it, so a change of rate acts on the whole velocity (Sutskever et al. 2013 differ).

use candle_core::{Storage, Tensor};

use crate::Error;
use crate::combination::combine;

/// Momentum with its coefficient μ in [0, 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Momentum {
    /// Polyak's; 0 is plain gradient descent.
    HeavyBall(f64),
    /// Nesterov's look-ahead.
    Nesterov(f64),
}

impl Momentum {
    fn coefficient(self) -> f64 {
        match self {
            Self::HeavyBall(coefficient) | Self::Nesterov(coefficient) => coefficient,
        }
    }
}

/// Stochastic gradient descent over a flat vector.
#[derive(Debug)]
pub struct Sgd {
    momentum: Momentum,
    weight_decay: f64,
    /// v, (P).
    velocity: Tensor,
}

impl Sgd {
    /// An optimiser of vectors like `theta` (P), with zero velocity; `weight_decay` is the coupled
    /// L2 coefficient wd.
    ///
    /// # Errors
    /// A device error.
    pub fn new(momentum: Momentum, weight_decay: f64, theta: &Tensor) -> Result<Self, Error> {
        Ok(Self {
            momentum,
            weight_decay,
            velocity: theta.zeros_like()?,
        })
    }

    /// The velocity v (P), the whole state of the optimiser.
    #[must_use]
    pub fn velocity(&self) -> &Tensor {
        &self.velocity
    }

    /// Goes on from a saved velocity.
    ///
    /// # Errors
    /// [`Error::Vector`] when it does not fit the parameters.
    pub fn restore(&mut self, velocity: &Tensor) -> Result<(), Error> {
        check("velocity", velocity, &self.velocity)?;
        self.velocity = velocity.copy()?;
        Ok(())
    }

    /// One step: changes `theta` (P) in place, for `gradient` (P) of the loss without the L2 term.
    /// `theta` and `gradient` must not share storage.
    ///
    /// # Errors
    /// [`Error::Vector`], [`Error::Shared`], or a device error.
    pub fn step(
        &mut self,
        theta: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
    ) -> Result<(), Error> {
        check("parameters", theta, &self.velocity)?;
        check("gradient", gradient, &self.velocity)?;
        // Nesterov would fail half-way, after the velocity has changed.
        if storage(theta) == storage(gradient) {
            return Err(Error::Shared);
        }
        let mu = self.momentum.coefficient();
        let decay = self.weight_decay;
        combine(&self.velocity, mu, [(1.0, gradient), (decay, theta)])?;
        match self.momentum {
            Momentum::HeavyBall(_) => combine(theta, 1.0, [(-learning_rate, &self.velocity)])?,
            Momentum::Nesterov(_) => combine(
                theta,
                1.0 - learning_rate * decay,
                [
                    (-learning_rate, gradient),
                    (-learning_rate * mu, &self.velocity),
                ],
            )?,
        }
        Ok(())
    }
}

/// Where the elements live, to be compared only.
fn storage(tensor: &Tensor) -> *const Storage {
    std::ptr::from_ref(&*tensor.storage_and_layout().0)
}

fn check(place: &'static str, got: &Tensor, like: &Tensor) -> Result<(), Error> {
    if got.shape() == like.shape() && got.dtype() == like.dtype() {
        return Ok(());
    }
    let describe = |tensor: &Tensor| format!("{:?} of {:?}", tensor.dims(), tensor.dtype());
    Err(Error::Vector {
        place,
        expected: describe(like),
        got: describe(got),
    })
}
