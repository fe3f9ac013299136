//! Loss and accuracies: sums over the shares of the examples, then means.

use flatness_layers::LossPoint;

/// Loss and accuracies over some examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Fraction classified correctly.
    pub accuracy: f64,
    /// Fraction with fewer than five logits larger than that of the label; a tie counts for the label.
    pub top5_accuracy: f64,
}

/// Loss and examples classified correctly, summed over some examples.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    loss: f64,
    correct: usize,
    correct_top5: usize,
}

impl Tally {
    /// With the examples of `point` besides.
    pub(super) fn with(self, point: &LossPoint) -> Self {
        Self {
            loss: self.loss + point.sum(),
            correct: self.correct + point.correct(),
            correct_top5: self.correct_top5 + point.correct_top5(),
        }
    }

    /// Means over the `examples` of all `shares`, which are added in order.
    pub(super) fn mean(shares: impl Iterator<Item = Self>, examples: usize) -> Evaluation {
        let sum = shares.fold(Self::default(), |sum, share| Self {
            loss: sum.loss + share.loss,
            correct: sum.correct + share.correct,
            correct_top5: sum.correct_top5 + share.correct_top5,
        });
        let mean = |sum: f64| sum / examples as f64;
        Evaluation {
            loss: mean(sum.loss),
            accuracy: mean(sum.correct as f64),
            top5_accuracy: mean(sum.correct_top5 as f64),
        }
    }
}
