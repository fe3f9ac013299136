//! Losses and gradients of a mean loss, counted and checked.

use candle_core::Tensor;
use flatness_curvature::{MeanLoss, Selection};

use crate::{Cost, Error};

/// Called with the number of sweeps (losses, gradients, products) that were just finished.
pub type Progress<'p> = &'p mut dyn FnMut(u64);

/// A mean loss whose sweeps are counted.
pub(crate) struct Sweeps<'m, 'p> {
    mean_loss: &'m MeanLoss<'m>,
    cost: Cost,
    progress: Progress<'p>,
}

impl<'m, 'p> Sweeps<'m, 'p> {
    pub(crate) fn new(mean_loss: &'m MeanLoss<'m>, progress: Progress<'p>) -> Self {
        Self {
            mean_loss,
            cost: Cost::default(),
            progress,
        }
    }

    /// L(θ).
    pub(crate) fn loss(&mut self, theta: &Tensor) -> Result<f64, Error> {
        let loss = self.mean_loss.evaluate(theta)?.loss;
        self.cost.losses += 1;
        (self.progress)(1);
        finite("the mean loss", loss)
    }

    /// L(θ) and ∇L(θ) (P).
    pub(crate) fn gradient(&mut self, theta: &Tensor) -> Result<(f64, Tensor), Error> {
        let (loss, gradient) = self.mean_loss.gradient(theta, Selection::All)?;
        self.cost.gradients += 1;
        (self.progress)(1);
        Ok((finite("the mean loss", loss)?, gradient))
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
