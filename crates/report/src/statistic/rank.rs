//! Kendall's τ_b between two numbers at the last epoch, over the runs of one seed.

use flatness_records::Record;

use crate::measure::{Reading, weight_decay};
use crate::{Measure, kendall_tau};

pub(super) fn correlation(
    runs: &[&Record],
    x: Measure,
    y: Measure,
    weight_decay_up_to: Option<f64>,
    readings: &mut Vec<Reading>,
) -> Option<f64> {
    let limit = weight_decay_up_to.unwrap_or(f64::INFINITY);
    let (mut x_values, mut y_values) = (Vec::new(), Vec::new());
    for run in runs.iter().filter(|run| weight_decay(run) <= limit) {
        let (Some(x_reading), Some(y_reading)) = (x.at_end(run), y.at_end(run)) else {
            continue;
        };
        x_values.push(x_reading.value);
        y_values.push(y_reading.value);
        readings.extend([x_reading, y_reading]);
    }
    kendall_tau(&x_values, &y_values)
}
