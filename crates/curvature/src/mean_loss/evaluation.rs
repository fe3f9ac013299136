//! Loss, accuracies and confidence: sums over the shares of the examples, then means.
//!
//! ```text
//! margin     z_y − max over c ≠ y of z_c:   positive where the example is classified correctly
//! Tr A       A = ∂²l/∂z²;   for cross-entropy 1 − Σ p_c²:   Tr G = (1/N) Σᵢ Tr(Jᵢᵀ Aᵢ Jᵢ)
//! ```
//!
//! Tr G over the mean Tr A is the factor of the Jacobian: how much of a change of Tr G is not confidence.

use std::ops::Range;

use candle_core::{DType, Tensor};
use flatness_data::Batch;
use flatness_layers::{Correct, LossPoint, LossSum, Totals, count_correct};

use super::{MeanLoss, Selection};
use crate::Error;

/// Loss and accuracies over some examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Fraction classified correctly; zero where labels are no classes of examples.
    pub accuracy: f64,
    /// Fraction with fewer than five logits larger than that of the label; a tie counts for the label.
    pub top5_accuracy: f64,
}

/// How sure a network is of the labels of all examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confidence {
    /// The smallest margin; infinite with a single class.
    pub smallest_margin: f64,
    /// Mean Tr A over the examples.
    pub mean_trace: f64,
}

impl MeanLoss<'_> {
    /// Mean loss and accuracy at `theta` (P) over all examples.
    ///
    /// # Errors
    /// A `theta` of another length, number type or device, or a device error.
    pub fn evaluate(&self, theta: &Tensor) -> Result<Evaluation, Error> {
        let shares = self.at_logits(theta, |mut tally: Tally, logits, labels, point, _| {
            let classified = self.data.is_classified();
            let correct = classified.then(|| count_correct(logits, labels));
            tally.add(
                point,
                correct.transpose().map_err(flatness_layers::Error::from)?,
            );
            Ok(tally)
        })?;
        let shares = shares
            .iter()
            .map(Tally::read)
            .collect::<Result<Vec<_>, _>>()?;
        self.mean_tally(shares.into_iter(), self.data.len())
    }

    /// The same of one sweep with whether each example is classified correctly, in their order; the first of several
    /// largest logits wins.
    ///
    /// # Errors
    /// As [`MeanLoss::evaluate`], and [`Error::NoClasses`].
    pub fn evaluate_each(&self, theta: &Tensor) -> Result<(Evaluation, Vec<bool>), Error> {
        type Share = (Tally, Vec<bool>);
        let add = |(mut tally, mut hits): Share,
                   logits: &Tensor,
                   labels: &Tensor,
                   point: &LossPoint,
                   _: &Range<usize>| {
            let correct = count_correct(logits, labels).map_err(flatness_layers::Error::from)?;
            let classes = logits.argmax(1)?.to_vec1::<u32>()?.into_iter();
            let right = classes.zip(labels.to_vec1::<u32>()?);
            hits.extend(right.map(|(class, label)| class == label));
            tally.add(point, Some(correct));
            Ok((tally, hits))
        };
        self.check_classes()?;
        let (tallies, hits): (Vec<_>, Vec<_>) = self.at_logits(theta, add)?.into_iter().unzip();
        let tallies = tallies
            .iter()
            .map(Tally::read)
            .collect::<Result<Vec<_>, _>>()?;
        let examples = self.data.len();
        let mean = self.mean_tally(tallies.into_iter(), examples)?;
        let own = self.chunks(examples).first().map_or(0, |chunk| chunk.start);
        let mut all = vec![0.0; examples];
        for (all, hit) in all[own..].iter_mut().zip(hits.concat()) {
            *all = f64::from(u8::from(hit));
        }
        self.workers.sum(&mut all)?;
        Ok((mean, all.into_iter().map(|hit| hit > 0.0).collect()))
    }

    /// Margins and the mean Tr A at `theta` (P) over all examples, of one forward sweep.
    ///
    /// # Errors
    /// [`Error::NoClasses`], [`Error::NonFinite`] for a logit that is infinite or not a number, a `theta` of another length, number type or
    /// device, or a device error.
    pub fn confidence(&self, theta: &Tensor) -> Result<Confidence, Error> {
        self.check_classes()?;
        let data = || self.data.name().to_owned();
        let shares = self.at_logits(
            theta,
            |sums: Option<Confidence>, logits, labels, point, at| {
                let smallest = smallest_margin(logits, labels)?;
                let here = Confidence {
                    smallest_margin: smallest.ok_or_else(|| Error::NonFinite {
                        what: "logits".to_owned(),
                        data: data(),
                        first: at.start,
                        last: at.end - 1,
                    })?,
                    mean_trace: trace(point, logits)?,
                };
                Ok(Some(sums.map_or(here, |sums| sums.with(here))))
            },
        )?;
        let none = Confidence {
            smallest_margin: f64::INFINITY,
            mean_trace: 0.0,
        };
        let part = shares.into_iter().flatten().fold(none, Confidence::with);
        let margins = self.workers.gather(part.smallest_margin)?;
        let mut trace = [part.mean_trace];
        self.workers.sum(&mut trace)?;
        Ok(Confidence {
            smallest_margin: margins.into_iter().fold(f64::INFINITY, f64::min),
            mean_trace: trace[0] / self.data.len() as f64,
        })
    }

    /// Means over the `examples` of all `shares`, which are added in order, and those of the other processes.
    pub(super) fn mean_tally(
        &self,
        shares: impl Iterator<Item = (f64, Correct)>,
        examples: usize,
    ) -> Result<Evaluation, Error> {
        let (loss, correct) = shares.fold((0.0, Correct::default()), plus);
        let mut sums = [loss, correct.first as f64, correct.among_five as f64];
        self.workers.sum(&mut sums)?;
        let [loss, accuracy, top5_accuracy] = sums.map(|sum| sum / examples as f64);
        Ok(Evaluation {
            loss,
            accuracy,
            top5_accuracy,
        })
    }

    fn check_classes(&self) -> Result<(), Error> {
        if self.data.is_classified() {
            return Ok(());
        }
        Err(Error::NoClasses {
            data: self.data.name().to_owned(),
        })
    }

    /// What `add` adds up over each share of all examples, from their logits (B, C), labels (B) and losses at
    /// `theta` (P).
    fn at_logits<T: Default + Send>(
        &self,
        theta: &Tensor,
        add: impl Fn(T, &Tensor, &Tensor, &LossPoint, &Range<usize>) -> Result<T, Error> + Sync + Send,
    ) -> Result<Vec<T>, Error> {
        let parameters = self.parameters(theta)?;
        let chunks = self.chunks(self.data.len());
        self.shares(chunks.len(), |share| {
            chunks[share].iter().try_fold(T::default(), |sum, chunk| {
                let Batch { inputs, labels } = self.batch(Selection::All, chunk)?;
                let logits = self.network.forward(&parameters, &inputs)?;
                let point = self.loss.evaluate(&logits, &labels)?;
                let point = point.scaled(self.factor)?;
                add(sum, &logits, &labels, &point, chunk)
            })
        })
    }
}

/// Loss and examples classified correctly of some batches, which a device may still be at work on.
#[derive(Debug, Default)]
pub(super) struct Tally(Vec<(LossSum, Option<Totals>)>);

impl Tally {
    /// Takes the loss of the examples of `point`, and what was counted of them.
    pub(super) fn add(&mut self, point: &LossPoint, correct: Option<Totals>) {
        self.0.push((point.loss_sum().clone(), correct));
    }

    /// Both, summed over the batches in order; a device is waited for once.
    pub(super) fn read(&self) -> Result<(f64, Correct), Error> {
        let asked = self.0.iter();
        let asked: Vec<_> = asked
            .flat_map(|(loss, correct)| loss.terms().iter().chain(correct))
            .collect();
        let read = Totals::read(&asked).map_err(flatness_layers::Error::from)?;
        let mut numbers = read.into_iter();
        let each = self.0.iter().map(|(loss, correct)| {
            let loss = loss.value(&mut numbers);
            let counts = correct.as_ref().and_then(|_| numbers.next());
            (loss, Correct::of(&counts.unwrap_or_default()))
        });
        Ok(each.fold((0.0, Correct::default()), plus))
    }
}

fn plus(a: (f64, Correct), b: (f64, Correct)) -> (f64, Correct) {
    let correct = Correct {
        first: a.1.first + b.1.first,
        among_five: a.1.among_five + b.1.among_five,
    };
    (a.0 + b.0, correct)
}

impl Confidence {
    /// The smaller margin, and the sum of the traces.
    fn with(self, other: Self) -> Self {
        Self {
            smallest_margin: self.smallest_margin.min(other.smallest_margin),
            mean_trace: self.mean_trace + other.mean_trace,
        }
    }
}

/// The smallest margin of `logits` (B, C) for `labels` (B); none where a logit is not finite.
fn smallest_margin(logits: &Tensor, labels: &Tensor) -> Result<Option<f64>, Error> {
    let rows = logits.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let mut smallest = f64::INFINITY;
    for (row, label) in rows.iter().zip(labels.to_vec1::<u32>()?) {
        if !row.iter().all(|logit| logit.is_finite()) {
            return Ok(None);
        }
        let label = label as usize;
        let others = row.iter().enumerate().filter(|(class, _)| *class != label);
        let most = others.fold(f64::NEG_INFINITY, |most, (_, logit)| most.max(*logit));
        smallest = smallest.min(row[label] - most);
    }
    Ok(Some(smallest))
}

/// Σ Tr A over the examples of `point`, at `logits` (B, C): class by class, so that no (B, C, C) is held.
fn trace(point: &LossPoint, logits: &Tensor) -> Result<f64, Error> {
    let (examples, classes) = logits.dims2()?;
    let units = Tensor::eye(classes, logits.dtype(), logits.device())?;
    let mut trace = 0.0;
    for class in 0..classes {
        let unit = units
            .narrow(0, class, 1)?
            .broadcast_as((examples, 1, classes))?;
        let column = point.hessian_product(&unit.contiguous()?)?;
        let entries = column.narrow(2, class, 1)?.to_dtype(DType::F64)?;
        trace += entries.sum_all()?.to_scalar::<f64>()?;
    }
    Ok(trace)
}
