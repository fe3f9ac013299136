//! Claims as data: one TOML file per claim, compiled into the crate, its thresholds frozen before the runs.

use serde::{Deserialize, Serialize};

use crate::{Error, Measure, Statistic, Threshold};

/// Name and text of every claim file.
const FILES: [(&str, &str); 8] = [
    ("c1.toml", include_str!("../claims/c1.toml")),
    ("c2.toml", include_str!("../claims/c2.toml")),
    ("c3.toml", include_str!("../claims/c3.toml")),
    ("c4.toml", include_str!("../claims/c4.toml")),
    ("c5.toml", include_str!("../claims/c5.toml")),
    ("c6.toml", include_str!("../claims/c6.toml")),
    ("c7.toml", include_str!("../claims/c7.toml")),
    ("c8.toml", include_str!("../claims/c8.toml")),
];

/// A line of the terminal table must hold the text of a predicate beside its numbers.
const LONGEST_TEXT: usize = 46;

/// One claim of the paper and the predicates that decide it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Short name, such as `C1`.
    pub id: String,
    /// The claim as a heading.
    pub title: String,
    /// The claim in one sentence.
    pub statement: String,
    /// How the predicates stand for the claim, and what they leave out.
    pub note: String,
    /// Why it fails where it fails, in one sentence; written after runs in which it failed, and shown beside a failure only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Every predicate must hold for the claim to hold.
    #[serde(rename = "predicate")]
    pub predicates: Vec<Predicate>,
}

/// One testable statement, judged for each model by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicate {
    /// The statement in plain words.
    pub text: String,
    /// Experiment whose runs are used.
    pub experiment: String,
    /// Models it is judged on; absent: every model of the experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// What is computed from the runs of one model.
    pub statistic: Statistic,
    /// Where its mean over seeds must lie.
    pub threshold: Threshold,
}

impl Claim {
    /// The claims that come with this crate, in the order of their names.
    ///
    /// # Errors
    /// As [`Claim::from_toml`]; never for the files as published, which a test reads.
    pub fn embedded() -> Result<Vec<Self>, Error> {
        FILES
            .iter()
            .map(|(origin, text)| Self::from_toml(text, origin))
            .collect()
    }

    /// Reads a claim from TOML; `origin` names the text in errors.
    ///
    /// # Errors
    /// [`Error::Syntax`] with the line for anything that is not exactly a claim, [`Error::Field`]
    /// for a claim without predicates, a text too long for the table, a threshold that is not finite or not
    /// ordered, or a scaling statistic of a quantity that scale points do not have.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, Error> {
        let claim: Self = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            Error::Syntax {
                origin: origin.to_owned(),
                line: 1 + text
                    .bytes()
                    .take(start)
                    .filter(|&byte| byte == b'\n')
                    .count(),
                message: error.message().replace('\n', " "),
            }
        })?;
        claim.validate(origin)?;
        Ok(claim)
    }

    fn validate(&self, origin: &str) -> Result<(), Error> {
        let field = |field, expected, got: String| {
            let origin = origin.to_owned();
            Err(Error::Field {
                origin,
                field,
                expected,
                got,
            })
        };
        if self.predicates.is_empty() {
            return field("predicate", "not empty", "[]".to_owned());
        }
        for predicate in &self.predicates {
            let length = predicate.text.chars().count();
            if length > LONGEST_TEXT {
                let got = format!("{length} in `{}`", predicate.text);
                return field("predicate.text", "at most 46 characters", got);
            }
            if !predicate.threshold.is_ordered() {
                let got = predicate.threshold.to_string();
                return field("predicate.threshold", "finite and ascending", got);
            }
            if let Statistic::ScalingEndOverPeak { quantity } = &predicate.statistic
                && !matches!(
                    quantity,
                    Measure::SpectralNorm | Measure::Trace | Measure::Frobenius
                )
            {
                let expected = "spectral_norm, trace or frobenius at a·θ";
                return field(
                    "predicate.statistic.quantity",
                    expected,
                    format!("{quantity:?}"),
                );
            }
        }
        Ok(())
    }
}
