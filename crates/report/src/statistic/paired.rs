//! A treated run against its control of the same seed: ln(q_t / q_c), or q_t − q_c.

use flatness_records::Record;

use crate::Measure;
use crate::measure::{Reading, weight_decay};

pub(super) fn log_ratio(
    runs: &[&Record],
    quantity: Measure,
    treatment: f64,
    control: f64,
    readings: &mut Vec<Reading>,
) -> Option<f64> {
    let [treated, untreated] = pair(runs, quantity, treatment, control, readings)?;
    (treated > 0.0 && untreated > 0.0).then(|| (treated / untreated).ln())
}

pub(super) fn difference(
    runs: &[&Record],
    quantity: Measure,
    treatment: f64,
    control: f64,
    readings: &mut Vec<Reading>,
) -> Option<f64> {
    let [treated, untreated] = pair(runs, quantity, treatment, control, readings)?;
    Some(treated - untreated)
}

fn pair(
    runs: &[&Record],
    quantity: Measure,
    treatment: f64,
    control: f64,
    readings: &mut Vec<Reading>,
) -> Option<[f64; 2]> {
    // Both sides come from decimal literals, so equal decays have equal bits.
    let at = |decay: f64| quantity.at_end(runs.iter().find(|run| weight_decay(run) == decay)?);
    let [treated, untreated] = [at(treatment)?, at(control)?];
    readings.extend([treated, untreated]);
    Some([treated.value, untreated.value])
}
