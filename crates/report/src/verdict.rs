//! The decision rule, the same for every predicate of every claim (decision 13).
//!
//! A *gate* is met when every seed lies where it must; where it is not, the claim is NOT TESTED on that model.
//! With the mean x̄ over n seeds and its standard error s, T = (x̄ − b) / s against a bound b has n − 1 degrees of freedom, where
//! s² = max(Σ (xᵢ − x̄)² / (n (n − 1)), Σ mᵢ² / n²) + c²: mᵢ are measurement errors that are not common to what is compared, c the
//! error that all seeds share. A predicate HOLDS at p ≤ 0.05 that the mean is not there (a range takes two one-sided tests,
//! Schuirmann 1987). It FAILS where p that it is there is rejected by Holm's procedure (1979) at 0.05 over the predicates of the
//! claim on that model, since one failure suffices to refute. All must hold for the claim to hold, an intersection-union
//! test, which needs no correction (Berger 1982). Where s is 0 an exact test stands in for T: p = Π cᵢ, with cᵢ the chance that
//! a seed without an effect lies where it does, 1/2 on its side or, where it orders k runs perfectly, 1/k! (a permutation test).
//! What is judged in every seed (a theorem) holds or fails by itself.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Judged, Sample, student_quantile, student_tail};

/// Level of every test.
pub(crate) const LEVEL: f64 = 0.05;

/// What the seeds say about a predicate or a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is so.
    Holds,
    /// It is not so.
    Fails,
    /// Neither is shown.
    Undecided,
    /// The runs are not such that the claim speaks of them.
    NotTested,
}

/// Where a number must lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Threshold {
    /// Greater than this.
    Above(f64),
    /// Less than this.
    Below(f64),
    /// From the first to the second, both included; the second may be infinite.
    Between(f64, f64),
}

/// Mean over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// Mean over the seeds; of logarithms where the statistic is one.
    pub mean: f64,
    /// Standard error of the mean; unknown from a single seed.
    pub standard_error: Option<f64>,
    /// The 95 % interval of Student's t.
    pub interval: Option<[f64; 2]>,
    /// Number of seeds.
    pub n: usize,
}

/// The two probabilities that decide.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Test {
    /// Of such numbers if the mean were not where it must be: small where it holds.
    pub p_holds: f64,
    /// Of such numbers if the mean were where it must be: small where it fails.
    pub p_fails: f64,
    /// Whether an exact test stood in for Student's t, whose standard error was 0.
    pub exact: bool,
}

impl Estimate {
    /// Mean, error and interval of a sample; `None` when no seed has a number.
    #[must_use]
    pub fn of(sample: &Sample) -> Option<Self> {
        let values: Vec<f64> = sample.seeds.iter().map(|seed| seed.value).collect();
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let measurement: f64 = sample.seeds.iter().map(|seed| seed.error.powi(2)).sum();
        let variance =
            (squares / (n * n.saturating_sub(1)) as f64).max(measurement / (n * n) as f64);
        let shared = sample.shared_error.unwrap_or(0.0);
        let standard_error = (n > 1).then(|| (variance + shared * shared).sqrt());
        let interval = standard_error.map(|error| {
            let half = student_quantile(LEVEL / 2.0, n - 1) * error;
            [mean - half, mean + half]
        });
        (n > 0).then_some(Self {
            mean,
            standard_error,
            interval,
            n,
        })
    }
}

impl Test {
    /// Tests a sample against a threshold, whose numbers are factors where the sample is `logarithmic`; `None` where there are
    /// too few seeds.
    #[must_use]
    pub fn of(
        sample: &Sample,
        threshold: Threshold,
        judged: Judged,
        logarithmic: bool,
    ) -> Option<Self> {
        let [low, high] = threshold.bounds(logarithmic);
        let estimate = Estimate::of(sample)?;
        let values = || sample.seeds.iter().map(|seed| seed.value);
        let either = |so: bool, p: f64, exact: bool| {
            let [p_holds, p_fails] = if so { [p, 1.0] } else { [1.0, p] };
            Some(Self {
                p_holds,
                p_fails,
                exact,
            })
        };
        if judged == Judged::Every {
            let every = values().all(|value| threshold.admits(value, logarithmic));
            return either(every, 0.0, false);
        }
        let error = estimate.standard_error?;
        let largest = values().map(f64::abs).fold(0.0, f64::max);
        if error <= 1e-12 * largest || error == 0.0 {
            let p = sample.seeds.iter().map(|seed| seed.chance).product();
            return either(threshold.admits(estimate.mean, logarithmic), p, true);
        }
        // Probabilities of a mean so far on the inner side of either bound.
        let tail = |distance: f64| student_tail(distance / error, estimate.n - 1);
        let (above_low, below_high) = (tail(estimate.mean - low), tail(high - estimate.mean));
        let two_sided = low.is_finite() && high.is_finite();
        let outside = f64::min(tail(low - estimate.mean), tail(estimate.mean - high));
        Some(Self {
            p_holds: above_low.max(below_high),
            p_fails: if two_sided {
                (2.0 * outside).min(1.0)
            } else {
                outside
            },
            exact: false,
        })
    }
}

/// Which of the hypotheses Holm's procedure rejects: p₍ₖ₎ ≤ level / (m − k + 1) for all up to it in ascending order.
#[must_use]
pub fn holm(probabilities: &[f64]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&one, &other| f64::total_cmp(&probabilities[one], &probabilities[other]));
    let mut rejected = vec![false; probabilities.len()];
    for (done, &place) in order.iter().enumerate() {
        if probabilities[place] > LEVEL / (probabilities.len() - done) as f64 {
            break;
        }
        rejected[place] = true;
    }
    rejected
}

impl Verdict {
    /// The verdict on a claim all of whose predicates must hold.
    #[must_use]
    pub fn all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        let mut whole = Self::Holds;
        for part in verdicts {
            whole = match (whole, part) {
                (Self::Fails, _) | (_, Self::Fails) => Self::Fails,
                (Self::Holds, part) => part,
                (whole, _) => whole,
            };
        }
        whole
    }

    /// Sign, name for styles, and word.
    pub(crate) fn shown(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Holds => ("✓", "holds", "holds"),
            Self::Fails => ("✗", "fails", "fails"),
            Self::Undecided => ("?", "undecided", "undecided"),
            Self::NotTested => ("–", "not-tested", "not tested"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.shown().2)
    }
}

impl Threshold {
    /// The bounds, infinite where there is none, as logarithms where they are factors.
    pub(crate) fn bounds(self, logarithmic: bool) -> [f64; 2] {
        let scale = |bound: f64| if logarithmic { bound.ln() } else { bound };
        match self {
            Self::Above(bound) => [scale(bound), f64::INFINITY],
            Self::Below(bound) => [f64::NEG_INFINITY, scale(bound)],
            Self::Between(low, high) => [scale(low), scale(high)],
        }
    }

    /// Whether a number of a sample lies where it must.
    #[must_use]
    pub fn admits(self, value: f64, logarithmic: bool) -> bool {
        let [low, high] = self.bounds(logarithmic);
        match self {
            Self::Above(_) => value > low,
            Self::Below(_) => value < high,
            Self::Between(..) => (low..=high).contains(&value),
        }
    }

    /// Whether the bounds are numbers in ascending order, and positive where they are factors.
    pub(crate) fn is_valid(self, logarithmic: bool) -> bool {
        let bounds = match self {
            Self::Above(bound) | Self::Below(bound) => [bound, bound],
            Self::Between(low, high) => [low, high],
        };
        let positive = bounds[0] > 0.0 || !logarithmic;
        bounds[0].is_finite() && positive && bounds[0] <= bounds[1]
    }

    /// In words, such as `more than 10 times`.
    #[must_use]
    pub fn words(self, logarithmic: bool) -> String {
        match (self, logarithmic) {
            (Self::Above(1.0), true) => "larger: more than 1 time".to_owned(),
            (Self::Below(1.0), true) => "smaller: less than 1 time".to_owned(),
            (Self::Above(bound), true) => format!("more than {bound} times"),
            (Self::Below(bound), true) => format!("less than {bound} times"),
            (Self::Between(low, high), _) if high.is_infinite() => format!("at least {low}"),
            (Self::Between(low, high), true) if (low * high - 1.0).abs() < 1e-9 => {
                format!("within a factor of {high}")
            }
            (Self::Between(low, high), true) => format!("{low} to {high} times"),
            (Self::Above(bound), false) => format!("above {bound}"),
            (Self::Below(bound), false) => format!("below {bound}"),
            (Self::Between(low, high), false) if low == high => format!("exactly {low}"),
            (Self::Between(low, high), false) => format!("{low} to {high}"),
        }
    }
}
