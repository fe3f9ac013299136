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

use candle_core::Tensor;
use flatness_kernels::{Elementwise, Number, update_elements};

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
}

impl Optimizer for Sgd {
    fn step(&mut self, theta: &Tensor, gradient: &Tensor, learning_rate: f64) -> Result<(), Error> {
        checks::step(theta, gradient, &self.velocity, learning_rate)?;
        let (mu, share) = (self.momentum.coefficient(), self.share());
        let targets = [theta, &self.velocity];
        match self.momentum {
            Momentum::HeavyBall(_) | Momentum::Dampened { .. } => {
                let rule = |Factors { coupled, keep }| {
                    HeavyBall([mu, share, share * coupled, keep, learning_rate])
                };
                update_elements(targets, [gradient], &self.reach.pieces(learning_rate, rule))?;
            }
            Momentum::Nesterov(_) => {
                let rule = |Factors { coupled, keep }| {
                    // θ is read once, so the L2 term of the gradient is in its factor too.
                    let keep = keep - learning_rate * coupled;
                    Nesterov([mu, coupled, keep, learning_rate, learning_rate * mu])
                };
                update_elements(targets, [gradient], &self.reach.pieces(learning_rate, rule))?;
            }
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

/// μ, 1 - τ, the same with the L2 coefficient, what is kept of θ, and the rate.
struct HeavyBall([f64; 5]);

impl Elementwise<2, 1, 5> for HeavyBall {
    const NAME: &'static str = "heavy_ball";

    fn constants(&self) -> [f64; 5] {
        self.0
    }

    #[inline(always)]
    fn apply<X: Number>(
        &self,
        [mu, share, coupled, keep, rate]: &[X; 5],
        [theta, velocity]: &[X; 2],
        [gradient]: &[X; 1],
    ) -> [X; 2] {
        let velocity = mu.times(velocity).plus(&share.times(gradient));
        let velocity = velocity.plus(&coupled.times(theta));
        [keep.times(theta).minus(&rate.times(&velocity)), velocity]
    }
}

/// μ, the L2 coefficient, what is kept of θ, the rate, and the rate of the look-ahead.
struct Nesterov([f64; 5]);

impl Elementwise<2, 1, 5> for Nesterov {
    const NAME: &'static str = "nesterov";

    fn constants(&self) -> [f64; 5] {
        self.0
    }

    #[inline(always)]
    fn apply<X: Number>(
        &self,
        [mu, coupled, keep, rate, ahead]: &[X; 5],
        [theta, velocity]: &[X; 2],
        [gradient]: &[X; 1],
    ) -> [X; 2] {
        let velocity = mu.times(velocity).plus(gradient);
        let velocity = velocity.plus(&coupled.times(theta));
        let theta = keep.times(theta).minus(&rate.times(gradient));
        [theta.minus(&ahead.times(&velocity)), velocity]
    }
}
