//! One run along its measured epochs: τ_b of two numbers, and the end of one over its peak.

use flatness_records::Record;

use crate::measure::{Reading, iterates};
use crate::{Measure, kendall_tau};

pub(super) fn rank_correlation(
    run: &Record,
    x: Measure,
    y: Measure,
    readings: &mut Vec<Reading>,
) -> Option<f64> {
    let (mut x_values, mut y_values) = (Vec::new(), Vec::new());
    for measurement in iterates(run) {
        let (Some(x_reading), Some(y_reading)) = (x.of(run, measurement), y.of(run, measurement))
        else {
            continue;
        };
        x_values.push(x_reading.value);
        y_values.push(y_reading.value);
        readings.extend([x_reading, y_reading]);
    }
    kendall_tau(&x_values, &y_values)
}

/// Needs two measured epochs: a single one is its own peak.
pub(super) fn end_over_peak(
    run: &Record,
    quantity: Measure,
    readings: &mut Vec<Reading>,
) -> Option<f64> {
    let path: Vec<Reading> = iterates(run)
        .map(|measurement| quantity.of(run, measurement))
        .collect::<Option<_>>()?;
    readings.extend(&path);
    let peak = path.iter().map(|reading| reading.value).reduce(f64::max)?;
    (path.len() > 1).then_some(path.last()?.value / peak)
}
