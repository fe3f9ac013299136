//! Learning rate over initial rate at a position of a run: epochs or steps done, of a total number.
//!
//! ```text
//! constant     1
//! paper        1                                   t <= 0.5,  t = position / total
//!              1 - (1 - r)(t - 0.5) / 0.4          0.5 < t <= 0.9
//!              r                                   t > 0.9
//! averaging    the paper's with t = position / start
//! steps        γ^⌊position / every⌋
//! cosine       r + (1 - r)(1 + cos(π t)) / 2
//! warm-up      f + (1 - f) position / length       position < length, then another schedule
//! ```
//!
//! The paper's schedule is that of the authors' public software, after Izmailov et al. (2018), SWA,
//! and so is its averaging form: the rate reaches its floor before averaging starts and keeps it.
//! Steps and cosine are the closed forms of `torch.optim.lr_scheduler.StepLR` and
//! `CosineAnnealingLR` (Loshchilov & Hutter 2017, eq. 5, without restarts; beyond the total the
//! cosine stays at r, where `torch` rises again). Warm-up is `LinearLR` followed by the other
//! schedule over the rest of the run, as `SequentialLR` joins them (Goyal et al. 2017).

use std::f64::consts::PI;

use crate::{Error, checks};

/// Learning-rate schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule(Course);

#[derive(Debug, Clone, PartialEq)]
enum Course {
    Constant,
    Paper {
        ratio: f64,
    },
    Averaging {
        start: f64,
        ratio: f64,
    },
    Steps {
        every: f64,
        factor: f64,
    },
    Cosine {
        ratio: f64,
    },
    WarmUp {
        length: f64,
        from: f64,
        then: Box<Schedule>,
    },
}

impl Schedule {
    /// The initial rate throughout.
    #[must_use]
    pub fn constant() -> Self {
        Self(Course::Constant)
    }

    /// The paper's: constant, linear to `ratio` times the rate, flat. `ratio` is r, 0.01 in the
    /// paper's runs.
    ///
    /// # Errors
    /// [`Error::Range`] for a ratio that is negative or not finite.
    pub fn paper(ratio: f64) -> Result<Self, Error> {
        checks::finite_and_not_negative("the ratio of the rates", ratio)?;
        Ok(Self(Course::Paper { ratio }))
    }

    /// The paper's for runs that average iterates from `start` on (161 epochs in the paper's runs);
    /// `ratio` is the rate while averaging over the initial one.
    ///
    /// # Errors
    /// [`Error::Range`] for a start that is not above 0, or a ratio as for [`Schedule::paper`].
    pub fn averaging(start: f64, ratio: f64) -> Result<Self, Error> {
        positive("the start of averaging", start)?;
        checks::finite_and_not_negative("the ratio of the rates", ratio)?;
        Ok(Self(Course::Averaging { start, ratio }))
    }

    /// Multiplies the rate by `factor` after `every` epochs or steps.
    ///
    /// # Errors
    /// [`Error::Range`] for a length that is not above 0, or a factor that is negative or not
    /// finite.
    pub fn steps(every: f64, factor: f64) -> Result<Self, Error> {
        positive("the length of a step of the rate", every)?;
        checks::finite_and_not_negative("the factor of the rate", factor)?;
        Ok(Self(Course::Steps { every, factor }))
    }

    /// Half a cosine from the rate to `ratio` times it.
    ///
    /// # Errors
    /// [`Error::Range`] for a ratio that is negative or not finite.
    pub fn cosine(ratio: f64) -> Result<Self, Error> {
        checks::finite_and_not_negative("the ratio of the rates", ratio)?;
        Ok(Self(Course::Cosine { ratio }))
    }

    /// This schedule over what is left behind `length` epochs or steps, in which the rate rises
    /// from `from` times the initial one.
    ///
    /// # Errors
    /// [`Error::Range`] for a length that is not above 0, or `from` outside [0, 1].
    pub fn after_warm_up(self, length: f64, from: f64) -> Result<Self, Error> {
        positive("the length of the warm-up", length)?;
        let inside = (0.0..=1.0).contains(&from);
        checks::range("the first factor of the warm-up", from, "in [0, 1]", inside)?;
        let then = Box::new(self);
        Ok(Self(Course::WarmUp { length, from, then }))
    }

    /// Rate over the initial rate when `position` of `total` epochs, or steps, are done.
    #[must_use]
    pub fn factor(&self, position: f64, total: f64) -> f64 {
        match self.0 {
            Course::Constant => 1.0,
            Course::Paper { ratio } => papers(position / total, ratio),
            Course::Averaging { start, ratio } => papers(position / start, ratio),
            Course::Steps { every, factor } => factor.powf((position / every).floor()),
            Course::Cosine { ratio } => {
                let t = (position / total).min(1.0);
                ratio + (1.0 - ratio) * (1.0 + (PI * t).cos()) / 2.0
            }
            Course::WarmUp { length, from, .. } if position < length => {
                from + (1.0 - from) * position / length
            }
            Course::WarmUp {
                length, ref then, ..
            } => then.factor(position - length, total - length),
        }
    }
}

fn papers(t: f64, ratio: f64) -> f64 {
    if t <= 0.5 {
        1.0
    } else if t <= 0.9 {
        1.0 - (1.0 - ratio) * (t - 0.5) / 0.4
    } else {
        ratio
    }
}

fn positive(name: &'static str, got: f64) -> Result<(), Error> {
    let holds = got.is_finite() && got > 0.0;
    checks::range(name, got, "that is finite and above 0", holds)
}
