//! Loss and accuracies of the network with frozen statistics of batch-norm.

use anyhow::Result;
use flatness_data::Examples;
use flatness_engine::Weights;
use flatness_layers::Network;
use flatness_records::{BatchNorm, EpochEvaluation, SplitEvaluation};

use crate::setting::{Machine, Model};
use crate::source::Splits;

/// Examples per sweep: no number depends on them beyond rounding.
const BATCH_SIZE: usize = 1000;

/// Evaluates `weights` on all splits.
pub(crate) fn evaluate(
    model: &Model,
    splits: &Splits,
    machine: &Machine,
    weights: &Weights,
) -> Result<EpochEvaluation> {
    let frozen = model.measured(BatchNorm::Frozen, &weights.buffers)?;
    let over = |examples| over(model, &frozen, examples, machine, weights);
    Ok(EpochEvaluation {
        train: over(&splits.train)?,
        validation: (splits.validation.as_ref())
            .map(|split| over(split))
            .transpose()?,
        test: over(&splits.test)?,
    })
}

/// Evaluates `weights` of the frozen network on `examples`.
pub(crate) fn over(
    model: &Model,
    frozen: &Network,
    examples: &dyn Examples,
    machine: &Machine,
    weights: &Weights,
) -> Result<SplitEvaluation> {
    let mean_loss = model.mean_loss(frozen, examples, machine, BATCH_SIZE)?;
    let evaluation = mean_loss.evaluate(&weights.theta)?;
    Ok(SplitEvaluation {
        loss: evaluation.loss,
        accuracy: evaluation.accuracy,
        top5_accuracy: evaluation.top5_accuracy,
    })
}

/// Which test examples `weights` classify correctly, in their order.
pub(crate) fn hits(
    model: &Model,
    splits: &Splits,
    machine: &Machine,
    weights: &Weights,
) -> Result<Vec<bool>> {
    let frozen = model.measured(BatchNorm::Frozen, &weights.buffers)?;
    let mean_loss = model.mean_loss(&frozen, &splits.test, machine, BATCH_SIZE)?;
    Ok(mean_loss.hits(&weights.theta)?)
}
