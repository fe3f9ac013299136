//! f(θ) = L(θ) + (γ/2) ‖θ‖², ∇f = ∇L + γ θ: what is evaluated around θ, what it costs, and what ends it.
//!
//! L is a mean over the data, γ the coefficient of the L2 term of training: 0 for the loss alone; with it
//! the objective of training, which is stationary where the gradient of L alone is the pull of the decay, and
//! whose Hessian is H + γ I.

use candle_core::{DType, Tensor};
use flatness_curvature::{MeanLoss, Selection};
use flatness_kernels::norm;

use crate::Error;
use crate::vector::check_from_zero;

/// A mean loss in float64, with an L2 term or without.
#[derive(Debug, Clone, Copy)]
pub struct Objective<'a> {
    mean_loss: &'a MeanLoss<'a>,
    decay: f64,
}

/// Numbers of sweeps over the whole data set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Mean losses, one forward sweep each.
    pub losses: u64,
    /// Gradients, one forward and one backward sweep each.
    pub gradients: u64,
    /// Products of a curvature matrix with a vector.
    pub products: u64,
}

/// Who may end a measure, and who sees it go on. A library has no clock: limits of time or of sweeps are the
/// caller's.
#[derive(Clone, Copy)]
pub struct Watch<'w> {
    /// Asked before every sweep, or block of products: `true` ends the measure.
    pub interrupt: &'w dyn Fn() -> bool,
    /// Called with the number of sweeps (losses, gradients, products) that were just finished.
    pub advance: &'w dyn Fn(u64),
}

/// What ended a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stop {
    /// All that was asked for is there.
    Complete,
    /// It is as accurate as asked.
    Converged,
    /// An ascent found no step that rises: a stationary point, or rounding.
    NoRise,
    /// The iterations allowed are used up.
    Iterations,
    /// The caller interrupted; the result is what there was.
    Interrupted,
}

impl<'a> Objective<'a> {
    /// The objective of `mean_loss` with the L2 coefficient `decay`, γ from 0.
    ///
    /// # Errors
    /// [`Error::SinglePrecision`] for a mean loss that is not in float64: its differences would be rounding.
    /// [`Error::OutOfRange`] for `decay`.
    pub fn new(mean_loss: &'a MeanLoss<'a>, decay: f64) -> Result<Self, Error> {
        if mean_loss.settings().dtype != DType::F64 {
            return Err(Error::SinglePrecision);
        }
        check_from_zero("the decay", decay)?;
        Ok(Self { mean_loss, decay })
    }
}

impl Watch<'_> {
    /// Nobody interrupts or looks.
    pub const NOBODY: Self = Self {
        interrupt: &|| false,
        advance: &|_| (),
    };

    /// Asks whether to go on.
    pub(crate) fn ask(&self) -> Result<(), Error> {
        if (self.interrupt)() {
            return Err(Error::Interrupted);
        }
        Ok(())
    }
}

/// None of what was interrupted, where there is `something` to return without it.
pub(crate) fn unless_interrupted<T>(
    result: Result<T, Error>,
    something: bool,
) -> Result<Option<T>, Error> {
    match result {
        Err(Error::Interrupted) if something => Ok(None),
        other => other.map(Some),
    }
}

/// Values and gradients of an objective, watched, counted and checked.
pub(crate) struct Sweeps<'a> {
    objective: Objective<'a>,
    watch: Watch<'a>,
    cost: Cost,
}

impl<'a> Sweeps<'a> {
    pub(crate) fn new(objective: &Objective<'a>, watch: Watch<'a>) -> Self {
        Self {
            objective: *objective,
            watch,
            cost: Cost::default(),
        }
    }

    /// f(θ).
    pub(crate) fn loss(&mut self, theta: &Tensor) -> Result<f64, Error> {
        self.watch.ask()?;
        let loss = self.objective.mean_loss.evaluate(theta)?.loss;
        self.cost.losses += 1;
        (self.watch.advance)(1);
        self.with_decay(loss, theta)
    }

    /// f(θ) and ∇f(θ) (P).
    pub(crate) fn gradient(&mut self, theta: &Tensor) -> Result<(f64, Tensor), Error> {
        self.watch.ask()?;
        let Objective { mean_loss, decay } = self.objective;
        let (loss, mut gradient) = mean_loss.gradient(theta, Selection::All)?;
        self.cost.gradients += 1;
        (self.watch.advance)(1);
        if decay > 0.0 {
            gradient = (gradient + (theta * decay)?)?;
        }
        Ok((self.with_decay(loss, theta)?, gradient))
    }

    fn with_decay(&self, loss: f64, theta: &Tensor) -> Result<f64, Error> {
        let decay = self.objective.decay;
        let penalty = if decay > 0.0 {
            0.5 * decay * norm(theta)?.powi(2)
        } else {
            0.0
        };
        finite("the mean loss", loss + penalty)
    }

    /// The cost since the last call.
    pub(crate) fn take_cost(&mut self) -> Cost {
        std::mem::take(&mut self.cost)
    }
}

/// Refuses infinities and NaN.
pub(crate) fn finite(what: &'static str, got: f64) -> Result<f64, Error> {
    if got.is_finite() {
        return Ok(got);
    }
    Err(Error::NotFinite { what, got })
}
