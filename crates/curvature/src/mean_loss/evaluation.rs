//! Loss and accuracies: sums over the shares of the examples, then means.

use flatness_layers::{Correct, LossPoint};

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
    correct: Correct,
}

impl Tally {
    /// With the loss of the examples of `point` besides, and those of them that are `correct`.
    pub(super) fn with(self, point: &LossPoint, correct: Correct) -> Self {
        Self {
            loss: self.loss + point.sum(),
            correct: Correct {
                first: self.correct.first + correct.first,
                among_five: self.correct.among_five + correct.among_five,
            },
        }
    }

    /// Means over the `examples` of all `shares`, which are added in order.
    pub(super) fn mean(shares: impl Iterator<Item = Self>, examples: usize) -> Evaluation {
        let sum = shares.fold(Self::default(), |sum, share| Self {
            loss: sum.loss + share.loss,
            correct: Correct {
                first: sum.correct.first + share.correct.first,
                among_five: sum.correct.among_five + share.correct.among_five,
            },
        });
        let mean = |sum: f64| sum / examples as f64;
        Evaluation {
            loss: mean(sum.loss),
            accuracy: mean(sum.correct.first as f64),
            top5_accuracy: mean(sum.correct.among_five as f64),
        }
    }
}
