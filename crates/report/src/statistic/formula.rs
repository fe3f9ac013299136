//! What a statistic computes, as a formula for readers.

use super::{Of, Path, Statistic};
use crate::number::significant;
use crate::reading::{Place, TRAINING};
use crate::selection::decimal;

impl Statistic {
    /// The number in a formula, such as `λ₁: decay 5e-4 over decay 0`.
    #[must_use]
    pub fn formula(&self) -> String {
        match self {
            Self::LogRatio(one) | Self::Difference(one) => {
                let word = if self.is_logarithmic() {
                    "over"
                } else {
                    "minus"
                };
                let (treatment, control) = (one.treatment.words(), one.control.words());
                let place = place(one.at.as_ref());
                format!(
                    "{}{place}: {treatment} {word} {control}",
                    one.quantity.symbol()
                )
            }
            Self::AccuracyGain(sides) => {
                format!(
                    "test accuracy: {} minus {}",
                    sides.treatment.words(),
                    sides.control.words()
                )
            }
            Self::Value(of) | Self::Factor(of) => {
                let Of {
                    quantity,
                    select,
                    at,
                } = of;
                format!(
                    "{}{}{}",
                    quantity.symbol(),
                    place(at.as_ref()),
                    of_runs(&select.words())
                )
            }
            Self::EndOverPeak(path) => along_path(path, "end over peak"),
            Self::Range(path) => along_path(path, "largest minus smallest"),
            Self::LogRange(path) => along_path(path, "largest over smallest"),
            Self::Slope(slope) => {
                let over = slope
                    .along
                    .as_deref()
                    .map_or_else(|| "over the runs".to_owned(), route);
                let once = slope.once.as_ref().map_or_else(String::new, |once| {
                    format!(
                        ", once {} ≥ {}",
                        once.quantity.symbol(),
                        decimal(once.at_least)
                    )
                });
                let (x, y, place) = (slope.x.symbol(), slope.y.symbol(), place(slope.at.as_ref()));
                let runs = of_runs(&slope.select.words());
                format!("slope of ln({y}) on ln({x}) {over}{place}{once}{runs}")
            }
            Self::RankCorrelation(ranking) => {
                let given: Vec<String> = ranking.given.iter().map(|one| one.symbol()).collect();
                let given = if given.is_empty() {
                    String::new()
                } else {
                    format!(" | {}", given.join(", "))
                };
                let tau = if ranking.granulated.is_empty() {
                    "τ"
                } else {
                    "granulated τ"
                };
                let y = ranking.y.symbol() + &given;
                let beyond = ranking
                    .beyond
                    .as_ref()
                    .map(|other| format!(" − {tau}({}, {y})", other.symbol()));
                let along = ranking
                    .along
                    .as_deref()
                    .map(|along| format!(" {}", route(along)));
                let (beyond, along) = (beyond.unwrap_or_default(), along.unwrap_or_default());
                let runs = of_runs(&ranking.select.words());
                format!("{tau}({}, {y}){beyond}{along}{runs}", ranking.x.symbol())
            }
        }
    }
}

fn along_path(path: &Path, what: &str) -> String {
    let (route, runs) = (route(&path.along), of_runs(&path.select.words()));
    format!("{}: {what} {route}{runs}", path.quantity.symbol())
}

fn of_runs(selection: &str) -> String {
    if selection.is_empty() {
        String::new()
    } else {
        format!(", {selection}")
    }
}

fn route(along: &str) -> String {
    format!(
        "along {}",
        if along == TRAINING { "training" } else { along }
    )
}

fn place(at: Option<&Place>) -> String {
    match at {
        None => String::new(),
        Some(Place::Curve { curve, x }) => format!(" at {} on {curve}", decimal(*x)),
        Some(Place::Crossing {
            quantity,
            falls_to: Some(level),
        }) => {
            format!(
                " where {} falls to {}",
                quantity.symbol(),
                significant(*level, 1)
            )
        }
        Some(Place::Crossing {
            quantity,
            falls_to: None,
        }) => {
            format!(" at the lowest {} that both reach", quantity.symbol())
        }
    }
}
