//! What a spec asks to be measured.

use anyhow::{Result, bail};
use flatness_records::{EpochEvaluation, Iterate, Measurement, Run};

use crate::progress::Progress;
use crate::setting::{Machine, Model, Weights};
use crate::source::Splits;

/// A run whose parameters can be measured.
pub(super) struct Measuring<'a> {
    pub(super) run: &'a Run,
    pub(super) model: &'a Model,
    pub(super) splits: &'a Splits,
    pub(super) machine: &'a Machine,
    /// Parameters before the first step.
    pub(super) initial: &'a Weights,
    pub(super) progress: Progress,
}

impl Measuring<'_> {
    /// Refuses what cannot be measured, before there is anything to lose.
    pub(super) fn check(&self) -> Result<()> {
        let _ = (self.run, self.model, self.splits, self.machine, self.initial, self.progress);
        match self.run.spec().measure {
            None => Ok(()),
            Some(_) => bail!("not yet"),
        }
    }

    /// Measures `weights` after so many epochs: what the spec asks for along training before the end, or at it.
    pub(super) fn measure(
        &self,
        _epoch: u32,
        _iterate: Iterate,
        _weights: &Weights,
        _evaluation: EpochEvaluation,
    ) -> Result<Measurement> {
        bail!("not yet")
    }
}
