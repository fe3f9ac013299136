//! Loss and accuracies over every split, of the network with frozen statistics of batch-norm.

use anyhow::Result;
use flatness_records::{BatchNorm, EpochEvaluation, SplitEvaluation};

use crate::setting::{Machine, Model, Weights};
use crate::source::Splits;

/// Evaluates `weights` on all splits, `batch_size` examples at a time.
pub(crate) fn evaluate(
    model: &Model,
    splits: &Splits,
    machine: &Machine,
    batch_size: usize,
    weights: &Weights,
) -> Result<EpochEvaluation> {
    let frozen = model.measured(BatchNorm::Frozen, &weights.buffers)?;
    let over = |examples| -> Result<SplitEvaluation> {
        let mean_loss = model.mean_loss(&frozen, examples, machine, batch_size)?;
        let evaluation = mean_loss.evaluate(&weights.theta)?;
        Ok(SplitEvaluation {
            loss: evaluation.loss,
            accuracy: evaluation.accuracy,
            top5_accuracy: evaluation.top5_accuracy,
        })
    };
    Ok(EpochEvaluation {
        train: over(&splits.train)?,
        validation: (splits.validation.as_ref())
            .map(|split| over(split))
            .transpose()?,
        test: over(&splits.test)?,
    })
}
