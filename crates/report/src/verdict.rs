//! The decision rule, the same for every predicate of every claim.
//!
//! With the mean x̄ over n seeds and h = t₀.₉₅(n − 1) · s.e., the one-sided 95 % half-width: a
//! predicate HOLDS when all of [x̄ − h, x̄ + h] lies beyond its threshold, FAILS when all of it lies on
//! the other side, and is UNDECIDED otherwise, always so for n < 2. For `between` this is the
//! two-one-sided-tests procedure of Schuirmann (1987). A claim fails on a model when any predicate
//! fails, is undecided when any is undecided, and holds otherwise.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Estimate;

/// What the seeds say about a predicate or a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The whole interval is beyond the threshold.
    Holds,
    /// The whole interval is on the other side.
    Fails,
    /// Neither.
    Undecided,
}

/// Where the mean over seeds must lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Threshold {
    /// Greater than this.
    Above(f64),
    /// Less than this.
    Below(f64),
    /// From the first to the second, both included.
    Between(f64, f64),
}

impl Verdict {
    /// Applies the decision rule to an estimate; no estimate is undecided.
    #[must_use]
    pub fn decide(estimate: Option<&Estimate>, threshold: Threshold) -> Self {
        let interval = estimate.and_then(|estimate| {
            let half_width = estimate.half_width()?;
            Some((estimate.mean - half_width, estimate.mean + half_width))
        });
        let Some((low, high)) = interval else {
            return Self::Undecided;
        };
        let (inside, outside) = match threshold {
            Threshold::Above(bound) => (low > bound, high <= bound),
            Threshold::Below(bound) => (high < bound, low >= bound),
            Threshold::Between(lower, upper) => {
                (low >= lower && high <= upper, high < lower || low > upper)
            }
        };
        match (inside, outside) {
            (true, _) => Self::Holds,
            (_, true) => Self::Fails,
            _ => Self::Undecided,
        }
    }

    /// The verdict on a claim all of whose predicates must hold.
    #[must_use]
    pub fn all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts
            .into_iter()
            .fold(Self::Holds, |whole, part| match (whole, part) {
                (Self::Fails, _) | (_, Self::Fails) => Self::Fails,
                (Self::Undecided, _) | (_, Self::Undecided) => Self::Undecided,
                _ => Self::Holds,
            })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Holds => "holds",
            Self::Fails => "FAILS",
            Self::Undecided => "undecided",
        })
    }
}

impl Threshold {
    /// Whether every bound is finite and a range is not upside down.
    #[must_use]
    pub fn is_ordered(self) -> bool {
        match self {
            Self::Above(bound) | Self::Below(bound) => bound.is_finite(),
            Self::Between(lower, upper) => lower.is_finite() && upper.is_finite() && lower <= upper,
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Above(bound) => write!(f, "> {bound}"),
            Self::Below(bound) => write!(f, "< {bound}"),
            Self::Between(lower, upper) if lower == upper => write!(f, "= {lower}"),
            Self::Between(lower, upper) => write!(f, "{lower} to {upper}"),
        }
    }
}
