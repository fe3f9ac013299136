//! Sums of products by labels of axes, as matrix products of two operands after the other.

use super::one;
use crate::array::Reason;
use crate::import::Importer;
use crate::operand::{Call, Operand};

/// An operand and a label for each of its axes.
#[derive(Debug, Clone)]
struct Term {
    operand: Operand,
    labels: Vec<char>,
}

pub(super) fn einsum(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let equation = call.text("equation", "").chars();
    let equation: String = equation.filter(|letter| !letter.is_whitespace()).collect();
    let (inputs, output) = match equation.split_once("->") {
        Some((inputs, output)) => (inputs, output.chars().collect()),
        None => (equation.as_str(), implied(&equation)),
    };
    let labels: Vec<Vec<char>> = inputs
        .split(',')
        .map(|term| term.chars().collect())
        .collect();
    let is_plain = |labels: &Vec<char>| {
        let is_new = |(place, label)| !labels[..place].contains(label);
        labels.iter().all(char::is_ascii_alphabetic) && labels.iter().enumerate().all(is_new)
    };
    let is_known = output
        .iter()
        .all(|label| labels.iter().flatten().any(|known| known == label));
    if !labels.iter().all(is_plain)
        || !is_plain(&output)
        || !is_known
        || labels.len() != call.inputs.len()
    {
        return Err(format!(
            "has the equation {equation}; only those of labels that an operand has once are there"
        )
        .into());
    }
    let mut terms = Vec::with_capacity(labels.len());
    for (index, labels) in labels.into_iter().enumerate() {
        let operand = call.input(index)?.clone();
        if operand.shape(importer.marker).len() != labels.len() {
            return Err(format!("has the equation {equation}, and an input of other axes").into());
        }
        terms.push(Term { operand, labels });
    }
    let mut terms = terms.into_iter();
    let mut product = terms.next().ok_or("has no inputs")?;
    while let Some(next) = terms.next() {
        let is_kept = |label: &char| {
            output.contains(label)
                || terms
                    .as_slice()
                    .iter()
                    .any(|term| term.labels.contains(label))
        };
        let [product_only, next_only] =
            [(&product, &next), (&next, &product)].map(|(own, other)| {
                let is_alone = |label: &&char| !is_kept(label) && !other.labels.contains(label);
                own.labels
                    .iter()
                    .filter(is_alone)
                    .copied()
                    .collect::<Vec<char>>()
            });
        let left = importer.summed(call, product, &product_only)?;
        let right = importer.summed(call, next, &next_only)?;
        product = importer.contracted(call, left, right, is_kept)?;
    }
    let rest: Vec<char> = product
        .labels
        .iter()
        .copied()
        .filter(|label| !output.contains(label))
        .collect();
    let product = importer.summed(call, product, &rest)?;
    one(importer.ordered(call, &product, &output)?)
}

/// The labels that an equation without an output has once, in alphabetical order.
fn implied(equation: &str) -> Vec<char> {
    let once = |label: &char| equation.matches(*label).count() == 1;
    let mut labels: Vec<char> = equation
        .chars()
        .filter(char::is_ascii_alphabetic)
        .filter(once)
        .collect();
    labels.sort_unstable();
    labels
}

impl Importer<'_> {
    /// Sums over these labels.
    fn summed(&mut self, call: &Call<'_>, term: Term, labels: &[char]) -> Result<Term, Reason> {
        if labels.is_empty() {
            return Ok(term);
        }
        let places: Vec<usize> = (0..term.labels.len())
            .filter(|&place| labels.contains(&term.labels[place]))
            .collect();
        let argument = self.materialize(call, &term.operand)?;
        let sum = self.reduced(call, &argument, &places, false)?;
        let operand = self.squeezed(call, &Operand::Value(sum), &places)?;
        let kept = term
            .labels
            .into_iter()
            .filter(|label| !labels.contains(label));
        Ok(Term {
            operand,
            labels: kept.collect(),
        })
    }

    /// The operand with its axes in this order.
    fn ordered(
        &mut self,
        call: &Call<'_>,
        term: &Term,
        labels: &[char],
    ) -> Result<Operand, Reason> {
        let place = |label| term.labels.iter().position(|own| own == label);
        let perm: Option<Vec<usize>> = labels.iter().map(place).collect();
        match perm {
            Some(perm) if perm.len() == term.labels.len() => {
                self.transposed(call, &term.operand, &perm)
            }
            _ => Err("has axes that are not its labels".into()),
        }
    }

    /// The product of two, summed over the labels of both that are not kept.
    fn contracted(
        &mut self,
        call: &Call<'_>,
        left: Term,
        right: Term,
        is_kept: impl Fn(&char) -> bool,
    ) -> Result<Term, Reason> {
        // Examples that one has alone are rows, which are of the left one.
        let (left, right) = match self.examples(&right) {
            Some(label) if !left.labels.contains(&label) => (right, left),
            _ => (left, right),
        };
        let of = |own: &Term, is_wanted: &dyn Fn(&char) -> bool| -> Vec<char> {
            own.labels.iter().copied().filter(is_wanted).collect()
        };
        let both = |label: &char| right.labels.contains(label);
        let common = of(&left, &|label| both(label) && is_kept(label));
        let inner = of(&left, &|label| both(label) && !is_kept(label));
        let mut rows = of(&left, &|label| !both(label));
        let columns = of(&right, &|label| !left.labels.contains(label));
        if let Some(label) = self.examples(&left) {
            rows.sort_by_key(|own| *own != label);
        }
        let extents = |importer: &Self, term: &Term, labels: &[char]| -> Vec<usize> {
            let shape = term.operand.shape(importer.marker);
            let pairs = || term.labels.iter().zip(&shape);
            let extent = |label| {
                pairs()
                    .find(|(own, _)| *own == label)
                    .map_or(1, |(_, &extent)| extent)
            };
            labels.iter().map(extent).collect()
        };
        let [common_extents, rows_extents, inner_extents] =
            [&common, &rows, &inner].map(|labels| extents(self, &left, labels));
        let columns_extents = extents(self, &right, &columns);
        let product = |extents: &[usize]| extents.iter().product::<usize>();
        let left_order = [&common[..], &rows, &inner].concat();
        let right_order = [&common[..], &inner, &columns].concat();
        let left = self.ordered(call, &left, &left_order)?;
        let right = self.ordered(call, &right, &right_order)?;
        // One axis of rows, but for those of a weight: (common, rows but the last, last, inner) (common, 1, inner, columns).
        let leads_alone =
            rows.is_empty() || rows.len() == 1 && common.is_empty() && columns.is_empty();
        let last = usize::from(leads_alone || self.examples_are_last(&left, &rows, common.len()));
        let left_shape = [
            &common_extents[..],
            &rows_extents,
            &vec![1; last],
            &[product(&inner_extents)],
        ]
        .concat();
        let between = match common.is_empty() {
            true => 0,
            false => rows.len() + last - 1,
        };
        let right_shape = [
            &common_extents[..],
            &vec![1; between],
            &[product(&inner_extents), product(&columns_extents)],
        ]
        .concat();
        let left = self.reshaped(call, &left, &left_shape)?;
        let right = self.reshaped(call, &right, &right_shape)?;
        let matrices = self.matrix_product(call, &left, &right)?;
        let labels = [common, rows, columns].concat();
        let shape = [common_extents, rows_extents, columns_extents].concat();
        let operand = self.reshaped(call, &matrices, &shape)?;
        Ok(Term { operand, labels })
    }

    /// The label of the axis in which the examples are.
    fn examples(&self, term: &Term) -> Option<char> {
        match &term.operand {
            Operand::Value(value) => Some(term.labels[value.layout.batch?.axis]),
            _ => None,
        }
    }

    /// Whether the last of `rows`, which stand behind `front` axes, is that of the examples.
    fn examples_are_last(&self, left: &Operand, rows: &[char], front: usize) -> bool {
        match left {
            Operand::Value(value) => {
                let batch = value.layout.batch;
                !rows.is_empty() && batch.is_some_and(|batch| batch.axis + 1 == front + rows.len())
            }
            _ => false,
        }
    }
}
