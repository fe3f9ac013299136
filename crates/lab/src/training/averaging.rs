//! The average of a spec: which iterates it takes, and what becomes of batch-norm.

use std::num::NonZeroUsize;

use anyhow::{Context, Result};
use candle_core::Tensor;
use flatness_curvature::MeanLoss;
use flatness_optim::{Average, State};
use flatness_records::{AverageSpec, Interval};

use flatness_engine::Weights;

/// An average that takes its iterates at the times of a spec.
pub(super) struct Averaging {
    average: Average,
    every: Interval,
    from_epoch: u32,
}

impl Averaging {
    /// The average of `spec` of vectors like `theta` (P).
    pub(super) fn new(spec: &AverageSpec, theta: &Tensor) -> Result<Self> {
        Ok(match *spec {
            AverageSpec::Uniform { from_epoch, every } => Self {
                // The iterates that do not count are not given to it.
                average: Average::uniform(0, theta)?,
                every,
                from_epoch,
            },
            AverageSpec::Exponential {
                decay,
                from_epoch,
                every,
            } => Self {
                average: Average::exponential(decay, theta)?,
                every,
                from_epoch,
            },
            AverageSpec::Tail { window, every } => {
                let window = NonZeroUsize::new(window).context("the window is empty")?;
                Self {
                    average: Average::tail(window, theta)?,
                    every,
                    from_epoch: 0,
                }
            }
        })
    }

    /// Takes `theta` (P) at the end of a step or an epoch, if it counts; `epoch` epochs were done
    /// before that epoch.
    pub(super) fn add(&mut self, at: Interval, epoch: u32, theta: &Tensor) -> Result<()> {
        if at == self.every && epoch >= self.from_epoch {
            self.average.add(theta)?;
        }
        Ok(())
    }

    /// Whether it has taken an iterate.
    pub(super) fn has_begun(&self) -> bool {
        self.average.count() > 0
    }

    pub(super) fn state(&self) -> Result<State> {
        Ok(self.average.state()?)
    }

    pub(super) fn restore(&mut self, state: &State) -> Result<()> {
        Ok(self.average.restore(state)?)
    }

    /// The average, with the statistics that batch-norm has there over the data of `mean_loss`.
    pub(super) fn weights(&self, mean_loss: &MeanLoss<'_>, last: &Weights) -> Result<Weights> {
        let theta = self.average.average()?;
        let buffers = match last.buffers.elem_count() {
            0 => last.buffers.copy()?,
            _ => mean_loss.batch_statistics(&theta)?,
        };
        Ok(Weights { theta, buffers })
    }
}
