//! Adam and its two relatives whose denominator never falls, AMSGrad and Padam.
//!
//! ```text
//! m <- m + (1 - β1)(g - m)                m^ = m / (1 - β1^t)
//! v <- β2 v + (1 - β2) g²                 v^ = v / (1 - β2^t)
//! w <- max(w, v)                          w^ = w / (1 - β2^t)
//!
//! Adam       θ <- θ - lr m^ / (√v^ + ε)
//! AMSGrad    θ <- θ - lr m^ / (√w^ + ε)
//! Padam      θ <- θ - lr √(1 - β2^t) m^ / (√w + ε)^{2p}
//! ```
//!
//! All are θ <- θ - a m / (s √w + ε)^{2p} with w = v for Adam and p = 1/2 but for Padam; s and the
//! step size a hold the bias corrections.
//!
//! Adam: Kingma & Ba (2015), algorithm 1, with ε outside the root of the corrected moment, as in
//! `torch.optim.Adam`. With coupled L2 the gradient g includes wd θ; with decoupled decay this is
//! AdamW (Loshchilov & Hutter 2019, scaled as in `torch.optim.AdamW`), the base optimiser of Gadam.
//!
//! AMSGrad: Reddi, Kale & Kumar (2018), algorithm 2, which has no bias corrections; with them as in
//! `torch.optim.Adam(amsgrad=True)` and, for decoupled decay, `AdamW(amsgrad=True)`: the largest of
//! the moments before their correction.
//!
//! Padam, between Adam (p = 1/2) and SGD (p -> 0): Chen et al., "Closing the generalization gap of
//! adaptive gradient methods in training deep neural networks" (2018), as in the authors' software
//! (github.com/uclaml/Padam, `Padam.py`, with `amsgrad` on) and its copy in the software of Gadam
//! (github.com/diegogranziol/Gadam, `base_optimizers/padam.py`). The paper's algorithm 1 has neither
//! corrections nor ε. In the software ε is added to the root of the largest moment before any
//! correction, and *inside* the power: the denominator is (√w + ε)^{2p}, and not w^p + ε. The
//! correction √(1 - β2^t) is not raised to 2p either. So p = 1/2 is AMSGrad but for ε, which counts
//! 1 / √(1 - β2^t) times as much here.
//!
//! GadamX is Padam with p = 1/8 and an average of its iterates. Its software runs it with decoupled
//! decay, θ <- (1 - lr wd) θ before the step, and calls the one with coupled L2 Padam.

mod step;

use candle_core::Tensor;
use flatness_kernels::update_elements;

use self::step::Step;
use crate::decay::{Decay, Factors, Reach};
use crate::{Error, Optimizer, State, checks};

/// What the moments remember, and ε.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MomentSettings {
    /// β1, decay of the mean of the gradient; in [0, 1).
    pub beta1: f64,
    /// β2, decay of the mean of its square; in [0, 1).
    pub beta2: f64,
    /// ε, which bounds the denominator from below; at least 0.
    pub epsilon: f64,
}

impl MomentSettings {
    /// β1 = 0.9, β2 = 0.999, ε = 1e-8: Kingma & Ba (2015), algorithm 1, and the defaults of
    /// `torch.optim` and of the paper's software.
    pub const PUBLISHED: Self = Self {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
    };

    fn check(self) -> Result<(), Error> {
        checks::from_zero_below_one("beta1", self.beta1)?;
        checks::from_zero_below_one("beta2", self.beta2)?;
        checks::finite_and_not_negative("epsilon", self.epsilon)
    }
}

/// Where the bias corrections go.
#[derive(Debug, Clone, Copy)]
enum Correction {
    /// s = 1 / √(1 - β2^t), a = lr / (1 - β1^t): ε is added to the corrected root.
    Moments,
    /// s = 1, a = lr √(1 - β2^t) / (1 - β1^t): ε is added to the root as it is.
    StepSize,
}

/// Adam, AMSGrad or Padam; its state is the vectors `first_moment` and `second_moment`, and
/// `largest_second_moment` but for Adam.
#[derive(Debug)]
pub struct Adam {
    settings: MomentSettings,
    correction: Correction,
    /// 2p.
    exponent: f64,
    reach: Reach,
    steps: u64,
    /// m, (P).
    first: Tensor,
    /// v, (P).
    second: Tensor,
    /// w, (P).
    largest: Option<Tensor>,
}

impl Adam {
    /// Adam for vectors like `theta` (P), with zero moments; AdamW with decoupled decay.
    ///
    /// # Errors
    /// [`Error::Range`], [`Error::Excluded`], [`Error::NumberType`] or a device error.
    pub fn new(settings: MomentSettings, decay: Decay, theta: &Tensor) -> Result<Self, Error> {
        settings.check()?;
        Ok(Self {
            settings,
            correction: Correction::Moments,
            exponent: 1.0,
            reach: Reach::new(decay, theta)?,
            steps: 0,
            first: theta.zeros_like()?,
            second: theta.zeros_like()?,
            largest: None,
        })
    }

    /// AMSGrad for vectors like `theta` (P), with zero moments.
    ///
    /// # Errors
    /// As [`Adam::new`].
    pub fn amsgrad(settings: MomentSettings, decay: Decay, theta: &Tensor) -> Result<Self, Error> {
        let adam = Self::new(settings, decay, theta)?;
        let largest = Some(theta.zeros_like()?);
        Ok(Self { largest, ..adam })
    }

    /// Padam for vectors like `theta` (P), with zero moments; `partial` is p, in (0, 1/2]. Values
    /// other than 1/2, 1/4 and 1/8 take a general power, which is slow on the CPU.
    ///
    /// # Errors
    /// As [`Adam::new`].
    pub fn padam(
        settings: MomentSettings,
        partial: f64,
        decay: Decay,
        theta: &Tensor,
    ) -> Result<Self, Error> {
        let inside = partial > 0.0 && partial <= 0.5;
        checks::range("the partial exponent", partial, "in (0, 1/2]", inside)?;
        Ok(Self {
            correction: Correction::StepSize,
            exponent: 2.0 * partial,
            ..Self::amsgrad(settings, decay, theta)?
        })
    }

    /// s and a of the next step.
    fn scale_and_step(&self, learning_rate: f64) -> (f64, f64) {
        let t = (self.steps + 1) as f64;
        let first = 1.0 - self.settings.beta1.powf(t);
        let root = (1.0 - self.settings.beta2.powf(t)).sqrt();
        match self.correction {
            Correction::Moments => (1.0 / root, learning_rate / first),
            Correction::StepSize => (1.0, learning_rate * root / first),
        }
    }

    /// Roots of roots vectorise and powers do not.
    fn pass<const ROOTS: usize>(
        &self,
        theta: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
    ) -> Result<(), Error> {
        let MomentSettings {
            beta1,
            beta2,
            epsilon,
        } = self.settings;
        let (scale, step) = self.scale_and_step(learning_rate);
        let (first, second) = (1.0 - beta1, 1.0 - beta2);
        let rule = |Factors { coupled, keep }| Step::<ROOTS> {
            constants: [coupled, keep, first, beta2, second, scale, epsilon, step],
            exponent: self.exponent,
        };
        let pieces = self.reach.pieces(learning_rate, rule);
        match &self.largest {
            None => update_elements([theta, &self.first, &self.second], [gradient], &pieces)?,
            Some(largest) => {
                let targets = [theta, &self.first, &self.second, largest];
                update_elements(targets, [gradient], &pieces)?;
            }
        }
        Ok(())
    }
}

impl Optimizer for Adam {
    fn step(&mut self, theta: &Tensor, gradient: &Tensor, learning_rate: f64) -> Result<(), Error> {
        checks::step(theta, gradient, &self.first, learning_rate)?;
        match self.exponent {
            1.0 => self.pass::<0>(theta, gradient, learning_rate)?,
            0.5 => self.pass::<1>(theta, gradient, learning_rate)?,
            0.25 => self.pass::<2>(theta, gradient, learning_rate)?,
            _ => self.pass::<{ step::ANY }>(theta, gradient, learning_rate)?,
        }
        self.steps += 1;
        Ok(())
    }

    fn state(&self) -> Result<State, Error> {
        let largest = self.largest.as_ref();
        let moments = [
            ("first_moment", &self.first),
            ("second_moment", &self.second),
        ];
        let largest = largest.map(|largest| ("largest_second_moment", largest));
        State::of(self.steps, moments.into_iter().chain(largest))
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        let largest = self.largest.as_mut();
        let moments = [
            ("first_moment", &mut self.first),
            ("second_moment", &mut self.second),
        ];
        let largest = largest.map(|largest| ("largest_second_moment", largest));
        state.restore(moments.into_iter().chain(largest))?;
        self.steps = state.steps;
        Ok(())
    }
}
