//! Where training is: all that a state holds, and when the last one was saved.

use std::time::Instant;

use anyhow::{Context, Result};
use flatness_optim::Optimizer;
use flatness_records::Outcome;

use super::Trained;
use super::averaging::Averaging;
use crate::run_directory::{Position, State};
use crate::setting::Weights;

/// Where training is.
pub(super) struct Course {
    pub(super) weights: Weights,
    /// Those at the beginning of the epoch.
    pub(super) before: Weights,
    pub(super) optimizer: Box<dyn Optimizer>,
    pub(super) averaging: Option<Averaging>,
    pub(super) position: Position,
    pub(super) saved: Instant,
    /// The position of the newest state.
    pub(super) saved_at: Option<(u32, usize)>,
}

impl Course {
    pub(super) fn state(&self) -> Result<State> {
        let average = (self.averaging.as_ref())
            .map(Averaging::state)
            .transpose()?;
        Ok(State {
            weights: self.weights.clone(),
            before: self.before.clone(),
            optimizer: self.optimizer.state()?,
            average,
            position: self.position,
        })
    }

    pub(super) fn restore(&mut self, state: &State) -> Result<()> {
        let mut restore = || -> Result<()> {
            self.weights.set(&state.weights)?;
            self.before.set(&state.before)?;
            self.optimizer.restore(&state.optimizer)?;
            if let (Some(averaging), Some(average)) = (&mut self.averaging, &state.average) {
                averaging.restore(average)?;
            }
            Ok(())
        };
        restore().context("the saved state does not fit the run")?;
        self.position = state.position;
        self.saved_at = Some((state.position.epoch, state.position.batch));
        Ok(())
    }

    pub(super) fn diverged(
        &self,
        step: u64,
        learning_rate: f64,
        loss: f64,
        parameter_norm: f64,
    ) -> Outcome {
        let epoch = self.position.epoch + 1;
        tracing::error!(epoch, step, learning_rate, loss, parameter_norm, "diverged");
        Outcome::Diverged {
            epoch,
            learning_rate,
            step: Some(step),
            loss: Some(loss),
            parameter_norm: Some(parameter_norm),
        }
    }

    /// What is left of a course that diverged.
    pub(super) fn end(self, outcome: Outcome) -> Trained {
        let mut position = self.position;
        position.train_seconds += position.epoch_seconds;
        Trained {
            weights: self.before,
            average: None,
            position,
            outcome,
        }
    }
}
