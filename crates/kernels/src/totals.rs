//! Sums over the examples of a batch, which a device may still be at work on.

use candle_core::{DType, Result, Tensor};

use crate::cross_entropy::check_labels;
use crate::launch::{Extents, Launcher, Operand, Source, launcher, sums};

/// Numbers of double precision that are known, or that a device has been asked for.
#[derive(Debug, Clone)]
pub struct Totals(State);

#[derive(Debug, Clone)]
enum State {
    Known(Vec<f64>),
    /// The numbers, and behind them how many of the labels are not below so many classes, where there are any.
    Asked(Tensor, Option<(Tensor, usize)>),
}

impl Totals {
    pub(crate) fn known(numbers: impl Into<Vec<f64>>) -> Self {
        Self(State::Known(numbers.into()))
    }

    /// The sum of all `terms` times `factor`, in double precision.
    ///
    /// # Errors
    /// A device error.
    pub fn sum_of(terms: &Tensor, factor: f64) -> Result<Self> {
        let sum = (terms.to_dtype(DType::F64)?.sum_all()? * factor)?;
        if launcher(terms).is_some() {
            return Ok(Self(State::Asked(sum.reshape(1)?, None)));
        }
        Ok(Self::known([sum.to_scalar()?]))
    }

    /// The numbers of each of `all`; a device is waited for once.
    ///
    /// # Errors
    /// A label that is not below the classes, or a device error.
    pub fn read(all: &[&Self]) -> Result<Vec<Vec<f64>>> {
        let asked = all.iter().filter_map(|totals| match &totals.0 {
            State::Asked(tensor, _) => Some(tensor),
            State::Known(_) => None,
        });
        let asked: Vec<&Tensor> = asked.collect();
        let read = match asked.first().and_then(|first| launcher(first)) {
            Some(launcher) => launcher.read(&asked)?,
            None => {
                let read = asked.iter().map(|tensor| tensor.to_vec1());
                read.collect::<Result<_>>()?
            }
        };
        let mut read = read.into_iter();
        let numbers = all.iter().map(|totals| match &totals.0 {
            State::Known(numbers) => Ok(numbers.clone()),
            State::Asked(_, labels) => {
                let mut numbers = read.next().unwrap_or_default();
                if let Some((labels, classes)) = labels
                    && numbers.pop().is_some_and(|beyond| beyond > 0.0)
                {
                    check_labels(&labels.to_vec1::<u32>()?, *classes)?;
                }
                Ok(numbers)
            }
        });
        numbers.collect()
    }
}

/// Σ of each of some columns (R) of f64, and of labels (R) that are not below so many classes, where there are any.
pub(crate) fn totals<const N: usize>(
    launcher: &dyn Launcher,
    columns: [&Tensor; N],
    labels: Option<(&Tensor, usize)>,
) -> Result<Totals> {
    const COLUMNS: [&str; 2] = ["column0", "column1"];
    const { assert!(N > 0 && N <= COLUMNS.len()) };
    let count = N + usize::from(labels.is_some());
    let all = launcher.room(&[count], DType::F64, columns[0])?;
    let named = COLUMNS.into_iter().zip(columns);
    let mut operands: Vec<_> = named
        .map(|(name, column)| Operand::read(name, "b", column))
        .collect();
    operands.push(Operand::pointer("all", count, &all).into_written());
    let (mut terms, mut sizes) = (COLUMNS[..N].to_vec(), Vec::new());
    if let Some((labels, classes)) = labels {
        operands.push(Operand::read("label", "b", labels));
        terms.push("label >= CLASSES");
        sizes.push(("CLASSES", classes));
    }
    let body: String = (0..count).map(|k| format!("all[{k}] = sum{k};")).collect();
    let source = Source {
        sizes: &sizes,
        ..Source::new("totals", &body)
    };
    let extents = Extents::flat(columns[0].elem_count(), 1, 1);
    sums(launcher, source, extents, &operands, &terms)?;
    let labels = labels.map(|(labels, classes)| (labels.clone(), classes));
    Ok(Totals(State::Asked(all, labels)))
}
