//! The losses as candle operations, for the CPU and every other device.

use candle_core::{Result, Tensor};

use super::{Evaluation, Labels, Loss};
use crate::{Activation, Totals, cross_entropy};

pub(super) fn evaluate(loss: Loss, outputs: &Tensor, labels: &Labels) -> Result<Evaluation> {
    let q = match labels {
        Labels::Classes(labels) => cross_entropy::one_hot(labels, outputs.dim(1)?, outputs)?,
        Labels::Values(values) => values.clone(),
    };
    match loss {
        Loss::SquaredError => {
            let gradient = (outputs - q)?;
            Ok(Evaluation {
                loss_sum: Totals::sum_of(&gradient.sqr()?, 0.5)?,
                gradient,
                curvature: None,
            })
        }
        Loss::BinaryCrossEntropy => {
            // q softplus(-z) + (1 - q) softplus(z), so that nothing cancels where the loss is small.
            let (no, s) = Activation::Softplus.evaluate(outputs)?;
            let (yes, rest) = Activation::Softplus.evaluate(&outputs.neg()?)?;
            let missed = q.affine(-1.0, 1.0)?;
            Ok(Evaluation {
                loss_sum: Totals::sum_of(&((&q * yes)? + (&missed * no)?)?, 1.0)?,
                gradient: ((missed * &s[0])? - (q * &rest[0])?)?,
                curvature: Some((&s[0] * &rest[0])?),
            })
        }
    }
}
