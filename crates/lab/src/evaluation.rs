//! Loss, and accuracies where labels are classes, of the network with frozen statistics of batch-norm.

use std::sync::Arc;

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
    /// Whether each test example is classified correctly, in their order, where there are any and each has a class.
    pub(crate) hits: Option<Vec<bool>>,
}

/// Evaluates `weights` on all splits.
pub(crate) fn evaluate(
    model: &Model,
    splits: &Splits,
    machine: &Machine,
    weights: &Weights,
) -> Result<Evaluated> {
    let frozen = model.measured(BatchNorm::Frozen, &weights.buffers)?;
    let over =
        |examples: &Arc<dyn Examples>| over(model, &frozen, examples.as_ref(), machine, weights);
    let (test, hits) = match &splits.test {
        Some(test) if test.is_classified() => {
            let mean_loss = model.mean_loss(&frozen, test.as_ref(), machine, BATCH_SIZE)?;
            let (evaluation, hits) = mean_loss.evaluate_each(&weights.theta)?;
            (Some(of_split(evaluation, true)), Some(hits))
        }
        test => (test.as_ref().map(over).transpose()?, None),
    };
    Ok(Evaluated {
        splits: EpochEvaluation {
            train: over(&splits.train)?,
            validation: splits.validation.as_ref().map(over).transpose()?,
            test,
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
    let evaluation = mean_loss.evaluate(&weights.theta)?;
    Ok(of_split(evaluation, examples.is_classified()))
}

fn of_split(evaluation: Evaluation, is_classified: bool) -> SplitEvaluation {
    SplitEvaluation {
        loss: evaluation.loss,
        accuracy: is_classified.then_some(evaluation.accuracy),
        top5_accuracy: is_classified.then_some(evaluation.top5_accuracy),
    }
}
