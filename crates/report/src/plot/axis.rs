//! Axes: a map from values to [0, 1], with ticks and a title.

use crate::number::power_of_ten;

/// One axis of a chart.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    /// Quantity and unit.
    pub(super) title: String,
    /// Value and label of every labelled tick.
    pub(super) ticks: Vec<(f64, String)>,
    scale: Scale,
    /// Ends of the axis in the coordinate of the scale.
    low: f64,
    high: f64,
}

#[derive(Debug, Clone, Copy)]
enum Scale {
    Linear,
    /// log₁₀; values that are not positive have no place.
    Logarithmic,
    /// log₁₀, with zero set apart at this coordinate.
    LogarithmicWithZero(f64),
}

/// Room between the outermost value and the end of the axis, as a share of the axis.
const PADDING: f64 = 0.06;

impl Axis {
    /// A linear axis around `values`.
    pub(super) fn linear(title: &str, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = extent(values).unwrap_or((0.0, 1.0));
        let (low, high) = padded(low, high);
        let ticks = linear_ticks(low, high, round_step((high - low) / 4.0));
        Self {
            title: title.to_owned(),
            ticks,
            scale: Scale::Linear,
            low,
            high,
        }
    }

    /// A linear axis from `low` to `high` with ticks of the caller's choice.
    pub(super) fn with_ticks(title: &str, low: f64, high: f64, ticks: Vec<(f64, String)>) -> Self {
        Self {
            title: title.to_owned(),
            ticks,
            scale: Scale::Linear,
            low,
            high,
        }
    }

    /// A logarithmic axis around the positive ones of `values`.
    pub(super) fn logarithmic(title: &str, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = extent(values.filter(|&value| value > 0.0).map(f64::log10))
            .map_or((0.0, 1.0), |(low, high)| padded(low, high));
        let ticks = logarithmic_ticks(low, high);
        Self {
            title: title.to_owned(),
            ticks,
            scale: Scale::Logarithmic,
            low,
            high,
        }
    }

    /// A logarithmic axis around the positive ones of `values`, with zero at its left end.
    pub(super) fn logarithmic_with_zero(title: &str, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) =
            extent(values.filter(|&value| value > 0.0).map(f64::log10)).unwrap_or((0.0, 1.0));
        let zero = low - 0.2 * (high - low).max(1.0);
        let (padded_low, padded_high) = padded(zero, high);
        let ticks = std::iter::once((0.0, "0".to_owned()))
            .chain(logarithmic_ticks(low - 1e-9, padded_high))
            .collect();
        Self {
            title: title.to_owned(),
            ticks,
            scale: Scale::LogarithmicWithZero(zero),
            low: padded_low,
            high: padded_high,
        }
    }

    /// Ends a linear axis at the outermost of `values`, and takes away the ticks beyond them.
    pub(super) fn end_at(&mut self, values: &[f64]) {
        if let Some((low, high)) = extent(values.iter().copied()).filter(|(low, high)| low < high) {
            (self.low, self.high) = (low, high);
            self.ticks
                .retain(|&(value, _)| (low..=high).contains(&value));
        }
    }

    /// Where `value` lies between the ends of the axis, 0 to 1; beyond them it is clipped.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        let coordinate = match self.scale {
            Scale::Linear => value,
            Scale::LogarithmicWithZero(zero) if value == 0.0 => zero,
            Scale::Logarithmic | Scale::LogarithmicWithZero(_) => value.log10(),
        };
        let place = (coordinate - self.low) / (self.high - self.low);
        place.is_finite().then(|| place.clamp(0.0, 1.0))
    }

    /// Where the axis is interrupted between zero and its logarithmic part.
    pub(super) fn break_place(&self) -> Option<f64> {
        let Scale::LogarithmicWithZero(_) = self.scale else {
            return None;
        };
        let (zero, first) = (self.place(0.0)?, self.place(self.ticks.get(1)?.0)?);
        Some(zero + 0.4 * (first - zero))
    }
}

fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .filter(|value| value.is_finite())
        .fold(None, |extent, value| match extent {
            None => Some((value, value)),
            Some((low, high)) => Some((f64::min(low, value), f64::max(high, value))),
        })
}

/// A constant gets some room too, lest the axis have no length.
fn padded(low: f64, high: f64) -> (f64, f64) {
    let room = if high > low {
        PADDING * (high - low)
    } else {
        0.5 * low.abs().max(1.0)
    };
    (low - room, high + room)
}

/// Ticks at the multiples of `step` from `low` to `high`.
fn linear_ticks(low: f64, high: f64, step: f64) -> Vec<(f64, String)> {
    let first = (low / step).ceil() as i64;
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    (first..first + 12)
        .map(|index| index as f64 * step)
        .take_while(|&value| value <= high)
        .map(|value| (value, format!("{value:.decimals$}").replace('-', "−")))
        .collect()
}

/// The largest of 1, 2, 5 times a power of ten that is at most 1.5 times `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let leading = [5.0, 2.0]
        .into_iter()
        .find(|leading| leading * power <= 1.5 * step);
    power * leading.unwrap_or(1.0)
}

/// Ticks at powers of ten, thinned over many decades, at 1-2-5 within few, and evenly where those are fewer than
/// three; ends are log₁₀.
fn logarithmic_ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let (leading, every): (&[i32], i32) = match high - low {
        span if span < 2.0 => (&[1, 2, 5], 1),
        span if span < 6.0 => (&[1], 1),
        span => (&[1], (span / 5.0).ceil() as i32),
    };
    let ticks = round_ticks(low, high, leading, every);
    if ticks.len() > 2 {
        return ticks;
    }
    let (low, high) = (10f64.powf(low), 10f64.powf(high));
    let step = round_step((high - low) / 4.0);
    // Beyond these, even ticks would need too many digits.
    if !(1e-3..=1e4).contains(&step) {
        return ticks;
    }
    linear_ticks(low, high, step)
}

/// Ticks at `leading` digits times every so many powers of ten; ends are log₁₀.
fn round_ticks(low: f64, high: f64, leading: &[i32], every: i32) -> Vec<(f64, String)> {
    let mut ticks = Vec::new();
    for exponent in low.floor() as i32..=high.ceil() as i32 {
        for &digit in leading {
            let coordinate = f64::from(exponent) + f64::from(digit).log10();
            if exponent.rem_euclid(every) == 0 && (low..=high).contains(&coordinate) {
                ticks.push((10f64.powf(coordinate), logarithmic_label(digit, exponent)));
            }
        }
    }
    ticks
}

fn logarithmic_label(digit: i32, exponent: i32) -> String {
    match (digit, exponent) {
        (_, 0..=3) => (i64::from(digit) * 10i64.pow(exponent.unsigned_abs())).to_string(),
        (_, -2..=-1) => {
            let decimals = exponent.unsigned_abs() as usize;
            format!("{:.decimals$}", f64::from(digit) * 10f64.powi(exponent))
        }
        (1, _) => power_of_ten(exponent),
        _ => format!("{digit}·{}", power_of_ten(exponent)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_numbers_inside_the_axis() {
        let cases: [(Axis, &[&str]); 7] = [
            (
                Axis::linear("", [0.0, 1.0].into_iter()),
                &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"],
            ),
            (
                Axis::logarithmic("", [0.01, 100.0].into_iter()),
                &["0.01", "0.1", "1", "10", "100"],
            ),
            (
                Axis::logarithmic("", [3.0, 30.0].into_iter()),
                &["5", "10", "20"],
            ),
            (
                Axis::logarithmic("", [0.8, 1.25].into_iter()),
                &["0.8", "0.9", "1.0", "1.1", "1.2"],
            ),
            (Axis::logarithmic("", [3e-5, 6e-5].into_iter()), &["5·10⁻⁵"]),
            (
                Axis::logarithmic("", [1e-8, 1e4].into_iter()),
                &["10⁻⁶", "10⁻³", "1", "1000"],
            ),
            (
                Axis::logarithmic_with_zero("", [0.0, 1e-5, 1e-3].into_iter()),
                &["0", "10⁻⁵", "10⁻⁴", "10⁻³"],
            ),
        ];
        for (axis, expected) in cases {
            assert_eq!(labels(&axis), expected);
            for (value, label) in &axis.ticks {
                let place = axis.place(*value).expect("a tick has a place");
                assert!((0.0..=1.0).contains(&place), "{label} at {place}");
            }
        }
    }

    #[test]
    fn zero_lies_left_of_the_break_and_the_break_left_of_the_smallest_value() {
        let axis = Axis::logarithmic_with_zero("", [0.0, 1e-5, 5e-3].into_iter());
        let places = [axis.place(0.0), axis.break_place(), axis.place(1e-5)];
        assert!(places.is_sorted() && places[0] < places[2], "{places:?}");
    }

    #[test]
    fn a_constant_and_no_value_still_make_an_axis() {
        for axis in [
            Axis::linear("", [3.0, 3.0].into_iter()),
            Axis::linear("", std::iter::empty()),
            Axis::logarithmic("", std::iter::empty()),
            Axis::logarithmic_with_zero("", [0.0].into_iter()),
        ] {
            assert!(axis.place(1.0).is_some());
        }
        assert_eq!(
            Axis::logarithmic("", [1.0, 10.0].into_iter()).place(-1.0),
            None
        );
    }
}
