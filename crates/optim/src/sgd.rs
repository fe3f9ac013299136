//! Stochastic gradient descent with momentum.
//!
//! ```text
//! v <- g                   first step
//! v <- μ v + (1 - τ) g     later; τ is the dampening
//! θ <- θ - lr v            heavy ball
//! θ <- θ - lr (g + μ v)    Nesterov, τ = 0
//! ```
//!
//! This is `torch.optim.SGD`: the rate multiplies the velocity, not the gradient inside it, so a
//! change of rate acts on the whole velocity (Sutskever et al. 2013 differ), and the first gradient
//! is not dampened. With coupled L2 the gradient g includes wd θ. With decoupled decay, which
//! `torch` does not have here, it is SGDW of Loshchilov & Hutter (2019) but for the scale of the
//! decay, that of [`Decay::decoupled`].

use candle_core::{DType, Tensor};
use flatness_kernels::{Elementwise, Real, on_cpu, update_elements};

use crate::decay::{Decay, Factors, Reach};
use crate::{Error, Optimizer, State, checks};

/// Momentum with its coefficient μ in [0, 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Momentum {
    /// Polyak's; 0 is plain gradient descent.
    HeavyBall(f64),
    /// Polyak's with weights μ and 1 - τ. Without momentum `torch` ignores the dampening, so μ must
    /// be above 0 here.
    Dampened {
        /// μ, in (0, 1).
        coefficient: f64,
        /// τ, in [0, 1].
        dampening: f64,
    },
    /// Nesterov's look-ahead.
    Nesterov(f64),
}

impl Momentum {
    fn coefficient(self) -> f64 {
        match self {
            Self::HeavyBall(coefficient)
            | Self::Dampened { coefficient, .. }
            | Self::Nesterov(coefficient) => coefficient,
        }
    }

    fn check(self) -> Result<(), Error> {
        let coefficient = self.coefficient();
        match self {
            Self::HeavyBall(_) | Self::Nesterov(_) => {
                checks::from_zero_below_one("the momentum", coefficient)
            }
            Self::Dampened { dampening, .. } => {
                let inside = coefficient > 0.0 && coefficient < 1.0;
                checks::range("the dampened momentum", coefficient, "in (0, 1)", inside)?;
                let within = (0.0..=1.0).contains(&dampening);
                checks::range("the dampening", dampening, "in [0, 1]", within)
            }
        }
    }
}

/// Stochastic gradient descent; its state is the vector `velocity`.
#[derive(Debug)]
pub struct Sgd {
    momentum: Momentum,
    reach: Reach,
    steps: u64,
    /// v, (P).
    velocity: Tensor,
}

impl Sgd {
    /// An optimiser of vectors like `theta` (P), with zero velocity.
    ///
    /// # Errors
    /// [`Error::Range`], [`Error::Excluded`], [`Error::NumberType`] or a device error.
    pub fn new(momentum: Momentum, decay: Decay, theta: &Tensor) -> Result<Self, Error> {
        momentum.check()?;
        Ok(Self {
            momentum,
            reach: Reach::new(decay, theta)?,
            steps: 0,
            velocity: theta.zeros_like()?,
        })
    }

    /// The weight 1 - τ of the gradient in the velocity.
    fn share(&self) -> f64 {
        match self.momentum {
            Momentum::Dampened { dampening, .. } if self.steps > 0 => 1.0 - dampening,
            _ => 1.0,
        }
    }

    fn fused<T: Real>(&self, theta: &Tensor, gradient: &Tensor, rate: f64) -> Result<(), Error> {
        let (mu, share) = (self.momentum.coefficient(), self.share());
        let targets = [theta, &self.velocity];
        match self.momentum {
            Momentum::HeavyBall(_) | Momentum::Dampened { .. } => {
                let rule = |factors: Factors| HeavyBall {
                    mu: T::from_f64(mu),
                    share: T::from_f64(share),
                    coupled: T::from_f64(share * factors.coupled),
                    keep: T::from_f64(factors.keep),
                    rate: T::from_f64(rate),
                };
                update_elements(targets, [gradient], &self.reach.pieces(rate, rule))?;
            }
            Momentum::Nesterov(_) => {
                let rule = |factors: Factors| Nesterov {
                    mu: T::from_f64(mu),
                    coupled: T::from_f64(factors.coupled),
                    keep: T::from_f64(factors.keep - rate * factors.coupled),
                    rate: T::from_f64(rate),
                    ahead: T::from_f64(rate * mu),
                };
                update_elements(targets, [gradient], &self.reach.pieces(rate, rule))?;
            }
        }
        Ok(())
    }

    fn plain(&mut self, theta: &Tensor, gradient: &Tensor, rate: f64) -> Result<(), Error> {
        let (mu, share) = (self.momentum.coefficient(), self.share());
        let (decayed, gradient) = self.reach.plain(theta, gradient, rate)?;
        let velocity = ((&self.velocity * mu)? + (&gradient * share)?)?;
        let descent = match self.momentum {
            Momentum::HeavyBall(_) | Momentum::Dampened { .. } => velocity.clone(),
            Momentum::Nesterov(_) => (gradient + (&velocity * mu)?)?,
        };
        let moved = (decayed - (descent * rate)?)?;
        self.velocity.slice_set(&velocity, 0, 0)?;
        theta.slice_set(&moved, 0, 0)?;
        Ok(())
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, theta: &Tensor, gradient: &Tensor, learning_rate: f64) -> Result<(), Error> {
        checks::step(theta, gradient, &self.velocity, learning_rate)?;
        match theta.dtype() {
            DType::F32 if on_cpu(theta) => self.fused::<f32>(theta, gradient, learning_rate)?,
            DType::F64 if on_cpu(theta) => self.fused::<f64>(theta, gradient, learning_rate)?,
            _ => self.plain(theta, gradient, learning_rate)?,
        }
        self.steps += 1;
        Ok(())
    }

    fn state(&self) -> Result<State, Error> {
        State::of(self.steps, [("velocity", &self.velocity)])
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.restore([("velocity", &mut self.velocity)])?;
        self.steps = state.steps;
        Ok(())
    }
}

struct HeavyBall<T> {
    mu: T,
    share: T,
    coupled: T,
    keep: T,
    rate: T,
}

impl<T: Real> Elementwise<2, 1> for HeavyBall<T> {
    type Target = T;
    type Source = T;

    #[inline(always)]
    fn apply(&self, [theta, velocity]: [T; 2], [gradient]: [T; 1]) -> [T; 2] {
        let velocity = self.mu * velocity + self.share * gradient + self.coupled * theta;
        [self.keep * theta - self.rate * velocity, velocity]
    }
}

/// θ is read once, so the L2 term of the gradient is in `keep` too.
struct Nesterov<T> {
    mu: T,
    coupled: T,
    keep: T,
    rate: T,
    ahead: T,
}

impl<T: Real> Elementwise<2, 1> for Nesterov<T> {
    type Target = T;
    type Source = T;

    #[inline(always)]
    fn apply(&self, [theta, velocity]: [T; 2], [gradient]: [T; 1]) -> [T; 2] {
        let velocity = self.mu * velocity + gradient + self.coupled * theta;
        let theta = self.keep * theta - self.rate * gradient - self.ahead * velocity;
        [theta, velocity]
    }
}
