//! Kendall's rank correlation with ties, granulated and partial.
//!
//! τ_b = Σ sᵢⱼ tᵢⱼ / √(Σ sᵢⱼ² · Σ tᵢⱼ²), sums over pairs i < j, s = sign(xᵢ − xⱼ), t = sign(yᵢ − yⱼ) (M. G. Kendall,
//! Biometrika 33 (1945), 239-251). *Granulated* (Jiang et al., "Fantastic Generalization Measures", 2020, eq. 4 and 5): τ of
//! the runs that differ in one field only, mean over the groups of such runs, then over the fields. *Partial*, of x and
//! y given z (Kendall, Biometrika 32 (1942), 277-283): (τ_xy − τ_xz τ_yz) / √((1 − τ_xz²)(1 − τ_yz²)), again for each further z;
//! it is the partial correlation of the signs over all pairs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::EVEN;
use crate::reading::{Place, Point, read_at};
use crate::selection::word;
use crate::{Expression, Reading, Selection, Summary};

/// Which numbers are ranked, over what, and what is held fixed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranking {
    /// First variable.
    pub x: Expression,
    /// Second variable.
    pub y: Expression,
    /// A variable whose correlation with y is subtracted: how much better x orders y than this does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beyond: Option<Expression>,
    /// `training`, or the name of a curve: the mean over the seed's runs; absent: over the runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub along: Option<String>,
    /// Where x and y are read over runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Place>,
    /// Fields that the runs vary, for the granulated correlation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub granulated: Vec<String>,
    /// Quantities held fixed, for the partial correlation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Expression>,
    /// Runs that count.
    #[serde(default)]
    pub select: Selection,
}

impl Ranking {
    /// The number of a seed, and the chance of it where nothing is ordered.
    pub(super) fn of_seed(&self, runs: &[&Summary], model: &str) -> Option<(f64, f64)> {
        let runs = self.select.of(runs, model);
        let tau = self.correlation(&self.x, &runs)?;
        if let Some(other) = &self.beyond {
            return Some((tau - self.correlation(other, &runs)?, EVEN));
        }
        // Runs can be exchanged; not so the points along one, nor what is held fixed.
        let plain = self.along.is_none() && self.granulated.is_empty() && self.given.is_empty();
        if !plain || tau.abs() < 1.0 {
            return Some((tau, EVEN));
        }
        let at = self.at.as_ref();
        let read = |run: &&Summary| Some(read_at(run, &self.x, at)?.value);
        let mut levels: Vec<f64> = runs.iter().filter_map(read).collect();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        let orders: f64 = (1..=levels.len()).map(|place| place as f64).product();
        Some((tau, 1.0 / orders))
    }

    fn correlation(&self, x: &Expression, runs: &[&Summary]) -> Option<f64> {
        let quantities: Vec<&Expression> = [x, &self.y].into_iter().chain(&self.given).collect();
        let all = |read: &dyn Fn(&Expression) -> Option<Reading>| -> Option<Vec<f64>> {
            quantities
                .iter()
                .map(|quantity| Some(read(quantity)?.value))
                .collect()
        };
        if let Some(along) = &self.along {
            return average(runs.iter().filter_map(|run| {
                let points = Point::along(run, along).into_iter();
                let rows = points.filter_map(|point| all(&|quantity| point.read(quantity)));
                partial_tau(&rows.collect::<Vec<_>>())
            }));
        }
        let at = self.at.as_ref();
        let rows = runs
            .iter()
            .filter_map(|run| Some((*run, all(&|quantity| read_at(run, quantity, at))?)));
        let rows: Vec<(&Summary, Vec<f64>)> = rows.collect();
        if self.granulated.is_empty() {
            let values = rows.into_iter().map(|(_, values)| values);
            return partial_tau(&values.collect::<Vec<_>>());
        }
        let key = |run: &Summary| self.granulated.iter().map(|name| word(run, name)).collect();
        let keys: Vec<Vec<String>> = rows.iter().map(|(run, _)| key(run)).collect();
        average((0..self.granulated.len()).filter_map(|varied| {
            let mut groups: BTreeMap<Vec<&str>, Vec<Vec<f64>>> = BTreeMap::new();
            for (key, (_, values)) in keys.iter().zip(&rows) {
                let mut others: Vec<&str> = key.iter().map(String::as_str).collect();
                others.remove(varied);
                groups.entry(others).or_default().push(values.clone());
            }
            average(groups.values().filter_map(|rows| partial_tau(rows)))
        }))
    }
}

fn average(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// τ of the first two numbers of every row, given the others.
fn partial_tau(rows: &[Vec<f64>]) -> Option<f64> {
    let columns = rows.first()?.len();
    let column = |column: usize| rows.iter().map(|row| row[column]).collect::<Vec<f64>>();
    let columns: Vec<Vec<f64>> = (0..columns).map(column).collect();
    let [x, y, given @ ..] = columns.as_slice() else {
        return None;
    };
    partial(x, y, given)
}

fn partial(x: &[f64], y: &[f64], given: &[Vec<f64>]) -> Option<f64> {
    let Some((z, rest)) = given.split_last() else {
        return kendall_tau(x, y);
    };
    let [xy, xz] = [y, z].map(|other| partial(x, other, rest));
    let (xy, xz, yz) = (xy?, xz?, partial(y, z, rest)?);
    let tau = (xy - xz * yz) / ((1.0 - xz * xz) * (1.0 - yz * yz)).sqrt();
    tau.is_finite().then_some(tau)
}

/// τ_b of paired samples; `None` when a sample is constant (or empty), when the lengths differ, or when a value is not a
/// number.
#[must_use]
pub fn kendall_tau(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.len() != y.len() {
        return None;
    }
    let (mut product, mut x_untied, mut y_untied) = (0.0, 0.0, 0.0);
    for (i, (x_i, y_i)) in x.iter().zip(y).enumerate() {
        for (x_j, y_j) in x.iter().zip(y).take(i) {
            // The sign, as the discriminant of an ordering.
            let [s, t] = [x_i.partial_cmp(x_j)?, y_i.partial_cmp(y_j)?];
            let (s, t) = (f64::from(s as i8), f64::from(t as i8));
            product += s * t;
            x_untied += s * s;
            y_untied += t * t;
        }
    }
    let tau = product / f64::sqrt(x_untied * y_untied);
    tau.is_finite().then_some(tau)
}
