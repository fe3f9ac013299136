//! The exponential average of the iterates.
//!
//! ```text
//! ā <- θ                      first iterate
//! ā <- d ā + (1 - d) θ        later
//! ```
//!
//! `torch.optim.swa_utils.get_ema_multi_avg_fn`, which begins at the first iterate. Averages that
//! begin at zero and divide by 1 - d^t (as Adam's moments) weigh the first iterates less.

use candle_core::Tensor;

use super::{Average, Mean, check};
use crate::{Error, State, checks};

/// Exponential average; its state is the vector `mean` (f64).
#[derive(Debug)]
pub struct ExponentialAverage {
    decay: f64,
    seen: u64,
    mean: Mean,
}

impl ExponentialAverage {
    /// The average of vectors like `like` (P) with the decay d in [0, 1): about 1 / (1 - d)
    /// iterates count.
    ///
    /// # Errors
    /// [`Error::Range`], [`Error::NumberType`] or a device error.
    pub fn new(decay: f64, like: &Tensor) -> Result<Self, Error> {
        checks::from_zero_below_one("the decay of the average", decay)?;
        Ok(Self {
            decay,
            seen: 0,
            mean: Mean::new(like)?,
        })
    }
}

impl Average for ExponentialAverage {
    fn add(&mut self, iterate: &Tensor) -> Result<(), Error> {
        check(iterate, &self.mean.form)?;
        let share = if self.seen == 0 {
            1.0
        } else {
            1.0 - self.decay
        };
        self.mean.move_towards(iterate, share)?;
        self.seen += 1;
        Ok(())
    }

    fn count(&self) -> u64 {
        self.seen
    }

    fn average(&self) -> Result<Tensor, Error> {
        if self.seen == 0 {
            return Err(Error::NoIterates);
        }
        self.mean.rounded()
    }

    fn state(&self) -> Result<State, Error> {
        State::of(self.seen, [("mean", &self.mean.mean)])
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.restore([("mean", &mut self.mean.mean)])?;
        self.seen = state.steps;
        Ok(())
    }
}
