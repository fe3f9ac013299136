//! Scales of charts and their ticks.

use crate::number::{power_of_ten, significant};

/// How values are spread along an axis.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scale {
    /// Even from the smallest value to the largest, with a little room.
    Linear,
    /// Even in the logarithms of the positive values; the others have no place.
    Logarithmic,
    /// Logarithmic for values that are not negative and span a decade, zeros before all others; else linear.
    Fitting,
}

#[derive(Debug, Clone)]
pub(crate) struct Axis {
    pub(crate) title: String,
    logarithmic: bool,
    /// Ends, on the scale of the axis.
    ends: [f64; 2],
    pub(crate) ticks: Vec<(f64, String)>,
    /// Zero has a place of its own on a logarithmic axis: before all others.
    zero: bool,
}

impl Axis {
    /// Over finite values.
    pub(crate) fn new(title: impl Into<String>, scale: Scale, values: &[f64]) -> Self {
        let positive = || values.iter().copied().filter(|value| *value > 0.0);
        let spans_a_decade = || {
            ends(positive()).is_some_and(|[low, high]| high >= 10.0 * low)
                && values.iter().all(|value| *value >= 0.0)
        };
        let axis = match scale {
            Scale::Logarithmic => Self::logarithmic(positive(), false),
            Scale::Fitting if spans_a_decade() => {
                Self::logarithmic(positive(), values.contains(&0.0))
            }
            Scale::Linear | Scale::Fitting => Self::linear(values),
        };
        Self {
            title: title.into(),
            ..axis
        }
    }

    fn linear(values: &[f64]) -> Self {
        let [mut low, mut high] = ends(values.iter().copied()).unwrap_or([0.0, 1.0]);
        if low == high {
            let room = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
            [low, high] = [low - room, high + room];
        }
        let room = 0.04 * (high - low);
        let (low, high) = (low - room, high + room);
        let within = |step: f64| ((high / step).floor() - (low / step).ceil()) as i32 + 1;
        let coarse = round_step((high - low) / 4.0);
        // One tick is no scale.
        let step = match within(coarse) {
            ..=1 => round_step((high - low) / 8.0),
            _ => coarse,
        };
        let first = (low / step).ceil();
        let ticks = (0..8).map(|tick| (first + f64::from(tick)) * step);
        let digits = (2.0 + (low.abs().max(high.abs()) / step).log10().floor()) as i32;
        let label = |value: f64| {
            let value = if value.abs() < 1e-9 * step {
                0.0
            } else {
                value
            };
            (value, shortened(&significant(value, digits.clamp(1, 6))))
        };
        Self {
            title: String::new(),
            logarithmic: false,
            ends: [low, high],
            ticks: ticks.filter(|value| *value <= high).map(label).collect(),
            zero: false,
        }
    }

    fn logarithmic(positive: impl Iterator<Item = f64>, zero: bool) -> Self {
        let [low, high] = ends(positive.map(f64::log10)).unwrap_or([-1.0, 0.0]);
        let room = (0.04 * (high - low)).max(0.05);
        let (mut low, high) = (low - room, high + room);
        let decades = high - low;
        let every = (decades / 5.0).ceil().max(1.0) as i32;
        let mut ticks: Vec<(f64, String)> = (low.ceil() as i32..=high.floor() as i32)
            .filter(|exponent| exponent.rem_euclid(every) == 0)
            .map(|exponent| (10f64.powi(exponent), plain_power(exponent)))
            .collect();
        if ticks.len() < 2 {
            let steps: &[f64] = if decades > 0.7 {
                &[1.0, 2.0, 5.0]
            } else {
                &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0]
            };
            ticks = (low.floor() as i32..=high.ceil() as i32)
                .flat_map(|exponent| steps.iter().map(move |step| step * 10f64.powi(exponent)))
                .filter(|value| (low..=high).contains(&value.log10()))
                .map(|value| (value, shortened(&significant(value, 2))))
                .collect();
        }
        if zero {
            low -= 0.15 * (high - low);
            ticks.insert(0, (0.0, "0".to_owned()));
        }
        Self {
            title: String::new(),
            logarithmic: true,
            ends: [low, high],
            ticks,
            zero,
        }
    }

    /// One place for each name, the first at the top.
    pub(crate) fn rows(names: &[String]) -> Self {
        let ticks = (0..).zip(names);
        Self {
            title: String::new(),
            logarithmic: false,
            ends: [0.5 - names.len() as f64, 0.5],
            ticks: ticks
                .map(|(row, name)| (-f64::from(row), name.clone()))
                .collect(),
            zero: false,
        }
    }

    /// Exactly from the first to the last of these.
    pub(crate) fn end_at(&mut self, values: &[f64]) {
        if let [first, .., last] = values {
            self.ends = [*first, *last];
            self.ticks
                .retain(|(value, _)| (*first..=*last).contains(value));
        }
    }

    /// The values at the ends.
    pub(crate) fn ends(&self) -> [f64; 2] {
        self.ends.map(|end| {
            if self.logarithmic {
                10f64.powf(end)
            } else {
                end
            }
        })
    }

    /// Share of the way from the low end to the high one; `None` off the axis.
    pub(crate) fn share(&self, value: f64) -> Option<f64> {
        let [low, high] = self.ends;
        let place = match (self.logarithmic, value) {
            (true, 0.0) if self.zero => low + 0.05 * (high - low),
            (true, value) => value.log10(),
            (false, value) => value,
        };
        let share = (place - low) / (high - low);
        (-1e-9..=1.0 + 1e-9).contains(&share).then_some(share)
    }
}

fn ends(values: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    let finite = values.filter(|value| value.is_finite());
    finite.fold(None, |ends, value| {
        let [low, high] = ends.unwrap_or([value, value]);
        Some([f64::min(low, value), f64::max(high, value)])
    })
}

/// The next of 1, 2, 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let unit = 10f64.powf(step.log10().floor());
    let mut steps = [1.0, 2.0, 5.0].into_iter().map(|factor| factor * unit);
    steps
        .find(|&one| one >= step * 0.999)
        .unwrap_or(10.0 * unit)
}

/// Without zeros that say nothing.
fn shortened(number: &str) -> String {
    match number.split_once('×') {
        Some((mantissa, power)) => format!("{}×{power}", shortened(mantissa)),
        None if number.contains('.') => number
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
        None => number.to_owned(),
    }
}

fn plain_power(exponent: i32) -> String {
    if (-2..=3).contains(&exponent) {
        10f64.powi(exponent).to_string()
    } else {
        power_of_ten(exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_has_several_ticks_wherever_it_begins_and_ends() {
        for low in 0..200 {
            for length in 1..400 {
                let [low, length] = [low, length].map(|hundredths| f64::from(hundredths) / 100.0);
                let axis = Axis::new("", Scale::Linear, &[low, low + length]);
                let ticks = axis.ticks.len();
                assert!(
                    (2..=8).contains(&ticks),
                    "{low} to {}: {ticks}",
                    low + length
                );
            }
        }
    }
}
