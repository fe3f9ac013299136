//! A treated run against its control of the same seed: ln(q_t / q_c), or q_t − q_c.

use flatness_records::Record;

use crate::measure::{Reading, weight_decay};
use crate::{Measure, optimizer_name};

/// The treated run and its control.
pub(super) type Pair<'a> = [&'a Record; 2];

/// The first run of each weight decay.
pub(super) fn of_decays<'a>(runs: &[&'a Record], treatment: f64, control: f64) -> Option<Pair<'a>> {
    // Both sides come from decimal literals, so equal decays have equal bits.
    let at = |decay: f64| runs.iter().copied().find(|run| weight_decay(run) == decay);
    Some([at(treatment)?, at(control)?])
}

/// The first run of each optimiser.
pub(super) fn of_optimizers<'a>(
    runs: &[&'a Record],
    treatment: &str,
    control: &str,
) -> Option<Pair<'a>> {
    let with = |name: &str| {
        let mut runs = runs.iter().copied();
        runs.find(|run| optimizer_name(&run.spec.train) == name)
    };
    Some([with(treatment)?, with(control)?])
}

pub(super) fn log_ratio(
    pair: Pair<'_>,
    quantity: Measure,
    readings: &mut Vec<Reading>,
) -> Option<f64> {
    let [treated, untreated] = values(pair, quantity, readings)?;
    (treated > 0.0 && untreated > 0.0).then(|| (treated / untreated).ln())
}

pub(super) fn difference(
    pair: Pair<'_>,
    quantity: Measure,
    readings: &mut Vec<Reading>,
) -> Option<f64> {
    let [treated, untreated] = values(pair, quantity, readings)?;
    Some(treated - untreated)
}

fn values(pair: Pair<'_>, quantity: Measure, readings: &mut Vec<Reading>) -> Option<[f64; 2]> {
    let [treated, untreated] = pair.map(|run| quantity.at_end(run));
    let (treated, untreated) = (treated?, untreated?);
    readings.extend([treated, untreated]);
    Some([treated.value, untreated.value])
}
