//! Claims as data: one TOML file per claim, compiled into the crate, its thresholds fixed before the runs.
//!
//! A claim names its gates, predicates, figures and tables; those name their experiment, statistic and quantities. A claim of
//! known statistics needs no Rust. A statistic or threshold that changes after a run was seen is a new `version`, and
//! `changes` says what and why.

use serde::{Deserialize, Serialize};

use crate::reading::Place;
use crate::{Error, Expression, Selection, Statistic, Threshold};

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

/// One claim of the paper, what decides it and what shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Short name, such as `C1`.
    pub id: String,
    /// Counts the changes of what is tested, from 1.
    pub version: u32,
    /// The claim as a heading.
    pub title: String,
    /// What the paper says, in our words.
    pub statement: String,
    /// Where it says so.
    pub source: String,
    /// How the predicates stand for the claim, and what they leave out.
    pub note: String,
    /// What each version after the first changed, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// Experiments that a profile must have, with what they must vary and measure.
    pub needs: String,
    /// Why it fails where it fails, in one sentence; written after such runs, and shown beside a failure only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What must be so for the claim to be tested at all.
    #[serde(default, rename = "gate", skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Predicate>,
    /// Those with a threshold must all hold for the claim to hold; the others are reported.
    #[serde(rename = "predicate")]
    pub predicates: Vec<Predicate>,
    /// Figures in the order of the page.
    #[serde(default, rename = "figure", skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<FigureSpec>,
    /// Tables below the figures.
    #[serde(default, rename = "table", skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableSpec>,
}

/// One testable statement, judged for each model by itself, or a gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicate {
    /// Name that figures refer to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The statement in plain words.
    pub text: String,
    /// Experiment whose runs are used.
    pub experiment: String,
    /// Models it is judged on, with `*` for any letters; none: every model of the experiment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// One verdict for each model, or one for the runs of all models.
    #[serde(default)]
    pub scope: Scope,
    /// What is computed from the runs.
    pub statistic: Statistic,
    /// Where it must lie: a factor where the statistic is the logarithm of one. Absent: it is reported and not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
    /// What must lie there. Gates are always judged in every seed.
    #[serde(default)]
    pub judged: Judged,
}

/// Runs that a number is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Those of one model.
    #[default]
    Model,
    /// Those of all models of the experiment.
    Together,
}

/// What a threshold is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judged {
    /// The mean over seeds, of which the seeds are a sample.
    #[default]
    Mean,
    /// Every seed: a theorem or a condition, which one run refutes.
    Every,
}

/// A figure: panels for each model, or one of all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FigureSpec {
    /// File name without extension.
    pub id: String,
    /// What is shown.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// Experiments whose runs are shown.
    pub experiments: Vec<String>,
    /// One panel for each model, or one of all.
    #[serde(default)]
    pub scope: Scope,
    /// What the panels are.
    pub plot: Plot,
}

/// Kinds of panels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Plot {
    /// The numbers behind predicates: a row for each model, a point for each seed, mean, interval and threshold. One panel
    /// for each predicate.
    Seeds {
        /// The predicates' ids.
        predicates: Vec<String>,
    },
    /// y against x over runs: means over seeds, and a point for each run.
    Runs {
        /// Abscissa.
        x: Expression,
        /// Ordinates, a line each.
        y: Vec<Expression>,
        /// Field whose values are a line each, where there is one y.
        #[serde(default)]
        by: Option<String>,
        /// Divides by the run of the same seed that this selects.
        #[serde(default)]
        relative_to: Option<Selection>,
        /// Where the numbers are read.
        #[serde(default)]
        at: Option<Place>,
        /// Runs that are shown.
        #[serde(default)]
        select: Selection,
    },
    /// y against x, a panel for each y: a point for each run.
    Scatter {
        /// Abscissa.
        x: Expression,
        /// Ordinates.
        y: Vec<Expression>,
        /// Fields whose values, one beside the other, are a colour each.
        by: Vec<String>,
    },
    /// y along training or a curve: means over seeds, and a point for each run.
    Along {
        /// `training`, or the name of a curve.
        along: String,
        /// Abscissa; absent: the epoch, or the place on the curve.
        #[serde(default)]
        x: Option<Expression>,
        /// Ordinates, a line each.
        y: Vec<Expression>,
        /// Field whose values are a line each, where there is one y.
        #[serde(default)]
        by: Option<String>,
        /// Runs that are shown.
        #[serde(default)]
        select: Selection,
        /// Level that is marked.
        #[serde(default)]
        guide: Option<f64>,
    },
    /// Spectral density of the Hessian of the first seed, a line for each value of a field.
    Density {
        /// The field.
        by: String,
    },
    /// All eigenvalues of the first seed by rank, over the largest, a line for each model.
    Eigenvalues {},
}

/// A table of runs: a row for each value of fields, means over seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// What is shown.
    pub title: String,
    /// Experiment whose runs are shown.
    pub experiment: String,
    /// Fields whose values have a row each, such as `optimizer`.
    pub rows: Vec<String>,
    /// A column each.
    pub columns: Vec<Expression>,
    /// Divides by the run of the same seed that this selects; means are geometric then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_to: Option<Selection>,
    /// Where the numbers are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Place>,
    /// Runs that count.
    #[serde(default)]
    pub select: Selection,
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
    /// [`Error::Syntax`] with the line for anything that is not exactly a claim, [`Error::Field`] for a claim that judges
    /// nothing, a gate without a threshold, a threshold that is not ordered, not finite or no factor where one is
    /// meant, a choice by no quantity, or a figure of a predicate that is not there.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, Error> {
        let claim: Self = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let before = text.bytes().take(start);
            Error::Syntax {
                origin: origin.to_owned(),
                line: 1 + before.filter(|&byte| byte == b'\n').count(),
                message: error.message().replace('\n', " "),
            }
        })?;
        match claim.problem() {
            None => Ok(claim),
            Some((field, expected, got)) => {
                let origin = origin.to_owned();
                Err(Error::Field {
                    origin,
                    field,
                    expected,
                    got,
                })
            }
        }
    }

    fn problem(&self) -> Option<(&'static str, &'static str, String)> {
        if self
            .predicates
            .iter()
            .all(|predicate| predicate.threshold.is_none())
        {
            let expected = "there with a threshold at least once";
            return Some(("predicate", expected, "none".to_owned()));
        }
        if self.version as usize != 1 + self.changes.len() {
            let got = format!(
                "version {} and {} changes",
                self.version,
                self.changes.len()
            );
            return Some(("changes", "one for each version after the first", got));
        }
        if let Some(gate) = self.gates.iter().find(|gate| gate.threshold.is_none()) {
            return Some(("gate.threshold", "there", gate.text.clone()));
        }
        for one in self.tests() {
            let logarithmic = one.statistic.is_logarithmic();
            let wrong = one
                .threshold
                .filter(|threshold| !threshold.is_valid(logarithmic));
            if let Some(threshold) = wrong {
                let expected = "finite, ascending, and positive where it is a factor";
                return Some((
                    "threshold",
                    expected,
                    format!("{threshold:?} of `{}`", one.text),
                ));
            }
            let selections = one.statistic.selections().into_iter();
            let mut highest = selections.filter_map(Selection::highest);
            if let Some(Err(message)) = highest.find(Result::is_err) {
                return Some(("highest", "a quantity", message));
            }
        }
        let mut shown = self.figures.iter().flat_map(|figure| match &figure.plot {
            Plot::Seeds { predicates } => predicates.as_slice(),
            _ => &[],
        });
        let is_known = |id: &String| {
            self.predicates
                .iter()
                .any(|one| one.id.as_ref() == Some(id))
        };
        let unknown = shown.find(|id| !is_known(id))?;
        Some((
            "figure.plot.predicates",
            "ids of predicates",
            unknown.clone(),
        ))
    }

    fn tests(&self) -> impl Iterator<Item = &Predicate> {
        self.gates.iter().chain(&self.predicates)
    }

    /// The experiments that decide it.
    pub fn experiments(&self) -> impl Iterator<Item = &str> {
        let judged = self.tests().filter(|one| one.threshold.is_some());
        judged.map(|one| one.experiment.as_str())
    }
}

impl Predicate {
    /// Whether it is judged on the model of this name.
    #[must_use]
    pub fn admits(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| matches(pattern, model))
    }
}

/// Whether a pattern, in which `*` stands for any letters, is the name.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|tail| {
            let starts = tail.char_indices().map(|(start, _)| start);
            starts
                .chain([tail.len()])
                .any(|start| matches(rest, &tail[start..]))
        }),
    }
}
