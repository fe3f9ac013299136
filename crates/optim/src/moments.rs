//! The pass that Adam, AMSGrad and Padam share.
//!
//! ```text
//! m <- m + (1 - β1)(g - m)      w = v, or its largest value so far
//! v <- β2 v + (1 - β2) g²       θ <- θ - a m / (s √w + ε)^{2p}
//! ```
//!
//! with p = 1/2 but for Padam; s and the step size a hold the bias corrections, and each optimiser
//! has its own.

mod step;

use candle_core::{DType, Tensor};
use flatness_kernels::{Real, on_cpu, update_elements};

use self::step::{Half, One, Power, Quarter, Root, Step};
use crate::decay::{Decay, Factors, Reach};
use crate::{Error, State, checks};

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
pub(crate) enum Correction {
    /// s = 1 / √(1 - β2^t), a = lr / (1 - β1^t): ε is added to the corrected root.
    Moments,
    /// s = 1, a = lr √(1 - β2^t) / (1 - β1^t): ε is added to the root as it is.
    StepSize,
}

/// The exponent 2p; roots of roots vectorise and powers do not.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Exponent {
    One,
    Half,
    Quarter,
    Other(f64),
}

/// First and second moments with the optimiser's constants.
#[derive(Debug)]
pub(crate) struct Moments<D> {
    settings: MomentSettings,
    correction: Correction,
    exponent: Exponent,
    reach: Reach<D>,
    steps: u64,
    /// m, (P).
    first: Tensor,
    /// v, (P).
    second: Tensor,
    /// Largest v so far, (P).
    largest: Option<Tensor>,
}

impl<D: Decay> Moments<D> {
    /// Zero moments of vectors like `theta` whose denominator is the second moment.
    pub(crate) fn new(settings: MomentSettings, decay: D, theta: &Tensor) -> Result<Self, Error> {
        settings.check()?;
        Ok(Self {
            settings,
            correction: Correction::Moments,
            exponent: Exponent::One,
            reach: Reach::new(decay, theta)?,
            steps: 0,
            first: theta.zeros_like()?,
            second: theta.zeros_like()?,
            largest: None,
        })
    }

    /// The same with the largest second moment so far in the denominator.
    pub(crate) fn with_largest(self) -> Result<Self, Error> {
        let largest = Some(self.second.zeros_like()?);
        Ok(Self { largest, ..self })
    }

    /// The same with another form of the step.
    pub(crate) fn with_form(self, correction: Correction, exponent: Exponent) -> Self {
        Self {
            correction,
            exponent,
            ..self
        }
    }

    pub(crate) fn step(
        &mut self,
        theta: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
    ) -> Result<(), Error> {
        checks::step(theta, gradient, &self.first, learning_rate)?;
        match theta.dtype() {
            DType::F32 if on_cpu(theta) => self.fused::<f32>(theta, gradient, learning_rate)?,
            DType::F64 if on_cpu(theta) => self.fused::<f64>(theta, gradient, learning_rate)?,
            _ => self.plain(theta, gradient, learning_rate)?,
        }
        self.steps += 1;
        Ok(())
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

    fn fused<T: Real>(
        &self,
        theta: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
    ) -> Result<(), Error> {
        match self.exponent {
            Exponent::One => self.pass::<T, _>(theta, gradient, learning_rate, One),
            Exponent::Half => self.pass::<T, _>(theta, gradient, learning_rate, Half),
            Exponent::Quarter => self.pass::<T, _>(theta, gradient, learning_rate, Quarter),
            Exponent::Other(exponent) => {
                let power = Power(T::from_f64(exponent));
                self.pass::<T, _>(theta, gradient, learning_rate, power)
            }
        }
    }

    fn pass<T: Real, R: Root<T>>(
        &self,
        theta: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        root: R,
    ) -> Result<(), Error> {
        let (scale, step) = self.scale_and_step(learning_rate);
        let rule = |factors: Factors| Step {
            coupled: T::from_f64(factors.coupled),
            keep: T::from_f64(factors.keep),
            first_share: T::from_f64(1.0 - self.settings.beta1),
            beta2: T::from_f64(self.settings.beta2),
            second_share: T::from_f64(1.0 - self.settings.beta2),
            scale: T::from_f64(scale),
            epsilon: T::from_f64(self.settings.epsilon),
            step: T::from_f64(step),
            root,
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

    pub(crate) fn plain(
        &mut self,
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
        let (decayed, gradient) = self.reach.plain(theta, gradient, learning_rate)?;
        let first = ((&self.first * beta1)? + (&gradient * (1.0 - beta1))?)?;
        let second = ((&self.second * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?;
        let largest = match &self.largest {
            Some(largest) => Some(largest.maximum(&second)?),
            None => None,
        };
        let square = largest.as_ref().unwrap_or(&second);
        let root = square.sqrt()?.affine(scale, epsilon)?;
        let denominator = match self.exponent {
            Exponent::One => root,
            Exponent::Half => root.sqrt()?,
            Exponent::Quarter => root.sqrt()?.sqrt()?,
            Exponent::Other(exponent) => root.powf(exponent)?,
        };
        let moved = (decayed - ((&first / denominator)? * step)?)?;
        self.first.slice_set(&first, 0, 0)?;
        self.second.slice_set(&second, 0, 0)?;
        if let (Some(own), Some(largest)) = (&self.largest, &largest) {
            own.slice_set(largest, 0, 0)?;
        }
        theta.slice_set(&moved, 0, 0)?;
        Ok(())
    }

    pub(crate) fn state(&self) -> Result<State, Error> {
        let moments = [
            ("first_moment", &self.first),
            ("second_moment", &self.second),
        ];
        match &self.largest {
            None => State::of(self.steps, moments),
            Some(largest) => {
                let [first, second] = moments;
                State::of(
                    self.steps,
                    [first, second, ("largest_second_moment", largest)],
                )
            }
        }
    }

    pub(crate) fn restore(&mut self, state: &State) -> Result<(), Error> {
        let first = ("first_moment", &mut self.first);
        let second = ("second_moment", &mut self.second);
        match &mut self.largest {
            None => state.restore([first, second])?,
            Some(largest) => {
                state.restore([first, second, ("largest_second_moment", largest)])?;
            }
        }
        self.steps = state.steps;
        Ok(())
    }
}

/// Implements [`Optimizer`](crate::Optimizer) for a type that holds [`Moments`] alone.
macro_rules! optimizer {
    ($type:ident) => {
        impl<D: $crate::Decay> $crate::Optimizer for $type<D> {
            fn step(
                &mut self,
                theta: &candle_core::Tensor,
                gradient: &candle_core::Tensor,
                learning_rate: f64,
            ) -> Result<(), $crate::Error> {
                self.0.step(theta, gradient, learning_rate)
            }

            fn state(&self) -> Result<$crate::State, $crate::Error> {
                self.0.state()
            }

            fn restore(&mut self, state: &$crate::State) -> Result<(), $crate::Error> {
                self.0.restore(state)
            }
        }
    };
}
pub(crate) use optimizer;
