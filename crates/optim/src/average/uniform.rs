//! The uniform average of all iterates from a start on.
//!
//! ```text
//! n = 0;  after each iterate behind the start:  ā <- ā + (θ - ā) / (n + 1),  n <- n + 1
//! ```
//!
//! Polyak-Ruppert averaging from a start, the SWA of Izmailov et al. (2018) and the iterate average
//! (IA) of Gadam. `torch.optim.swa_utils.AveragedModel` has the same recursion; Gadam's software
//! writes it as ā n / (n + 1) + θ / (n + 1). Both keep ā in single precision.

use candle_core::Tensor;

use super::{Average, Mean, check};
use crate::{Error, State};

/// Uniform average; its state is the vector `mean` (f64).
#[derive(Debug)]
pub struct UniformAverage {
    /// Iterates that are passed over before the first is averaged.
    start: u64,
    seen: u64,
    mean: Mean,
}

impl UniformAverage {
    /// The average of vectors like `like` (P) without the first `start` iterates. In the paper's
    /// runs one iterate comes at the end of each of 300 epochs and `start` is 161, so 139 count.
    ///
    /// # Errors
    /// [`Error::NumberType`] or a device error.
    pub fn new(start: u64, like: &Tensor) -> Result<Self, Error> {
        Ok(Self {
            start,
            seen: 0,
            mean: Mean::new(like)?,
        })
    }
}

impl Average for UniformAverage {
    fn add(&mut self, iterate: &Tensor) -> Result<(), Error> {
        check(iterate, &self.mean.form)?;
        if self.seen >= self.start {
            let share = 1.0 / (self.count() + 1) as f64;
            self.mean.move_towards(iterate, share)?;
        }
        self.seen += 1;
        Ok(())
    }

    fn count(&self) -> u64 {
        self.seen.saturating_sub(self.start)
    }

    fn average(&self) -> Result<Tensor, Error> {
        if self.count() == 0 {
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
