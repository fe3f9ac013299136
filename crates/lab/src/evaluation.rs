//! Loss and accuracies of the network with frozen statistics of batch-norm.

use anyhow::Result;
use flatness_curvature::Evaluation;
use flatness_data::Examples;
use flatness_engine::Weights;
use flatness_layers::Network;
use flatness_records::{BatchNorm, EpochEvaluation, SplitEvaluation};

use crate::setting::{Machine, Model};
use crate::source::Splits;

/// Examples per sweep: no number depends on them beyond rounding.
const BATCH_SIZE: usize = 1000;

/// What weights are worth.
pub(crate) struct Evaluated {
    pub(crate) splits: EpochEvaluation,
    /// Whether each test example is classified correctly, in their order.
    pub(crate) hits: Vec<bool>,
}

/// Evaluates `weights` on all splits.
pub(crate) fn evaluate(
    model: &Model,
    splits: &Splits,
    machine: &Machine,
    weights: &Weights,
) -> Result<Evaluated> {
    let frozen = model.measured(BatchNorm::Frozen, &weights.buffers)?;
    let over = |examples| over(model, &frozen, examples, machine, weights);
    let mean_loss = model.mean_loss(&frozen, &splits.test, machine, BATCH_SIZE)?;
    let (test, hits) = mean_loss.evaluate_each(&weights.theta)?;
    let validation = splits.validation.as_ref();
    Ok(Evaluated {
        splits: EpochEvaluation {
            train: over(&splits.train)?,
            validation: validation.map(|split| over(split)).transpose()?,
            test: of_split(test),
        },
        hits,
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
    Ok(of_split(mean_loss.evaluate(&weights.theta)?))
}

fn of_split(evaluation: Evaluation) -> SplitEvaluation {
    SplitEvaluation {
        loss: evaluation.loss,
        accuracy: evaluation.accuracy,
        top5_accuracy: evaluation.top5_accuracy,
    }
}
