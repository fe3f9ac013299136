//! What a statistic computes, as a formula for readers.

use super::{Once, Path, Selection, Sides, Statistic};
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
                let (symbol, place) = (one.quantity.symbol(), place(one.at.as_ref()));
                format!("{symbol}{place}: {treatment} {word} {control}")
            }
            Self::AccuracyGain(Sides { treatment, control }) => {
                format!(
                    "test accuracy: {} minus {}",
                    treatment.words(),
                    control.words()
                )
            }
            Self::Value(of) | Self::Factor(of) => {
                let (symbol, place) = (of.quantity.symbol(), place(of.at.as_ref()));
                format!("{symbol}{place}{}", of_runs(&of.select))
            }
            Self::EndOverPeak(path) => along_path(path, "end over peak"),
            Self::Range(path) => along_path(path, "largest minus smallest"),
            Self::LogRange(path) => along_path(path, "largest over smallest"),
            Self::Slope(slope) => {
                let along = slope.along.as_deref().map(route);
                let over = along.unwrap_or_else(|| "over the runs".to_owned());
                let once = slope.once.as_ref().map(|Once { quantity, at_least }| {
                    format!(", once {} ≥ {}", quantity.symbol(), decimal(*at_least))
                });
                let (x, y, once) = (slope.x.symbol(), slope.y.symbol(), once.unwrap_or_default());
                let (place, runs) = (place(slope.at.as_ref()), of_runs(&slope.select));
                format!("slope of ln({y}) on ln({x}) {over}{place}{once}{runs}")
            }
            Self::RankCorrelation(ranking) => {
                let given: Vec<String> = ranking.given.iter().map(|one| one.symbol()).collect();
                let bar = if given.is_empty() { "" } else { " | " };
                let y = ranking.y.symbol() + bar + &given.join(", ");
                let tau = if ranking.granulated.is_empty() {
                    "τ"
                } else {
                    "granulated τ"
                };
                let beyond = ranking.beyond.as_ref();
                let beyond = beyond.map(|other| format!(" − {tau}({}, {y})", other.symbol()));
                let along = ranking
                    .along
                    .as_deref()
                    .map(|along| format!(" {}", route(along)));
                let (beyond, along) = (beyond.unwrap_or_default(), along.unwrap_or_default());
                let (x, runs) = (ranking.x.symbol(), of_runs(&ranking.select));
                format!("{tau}({x}, {y}){beyond}{along}{runs}")
            }
        }
    }
}

fn along_path(path: &Path, what: &str) -> String {
    let (route, runs) = (route(&path.along), of_runs(&path.select));
    format!("{}: {what} {route}{runs}", path.quantity.symbol())
}

fn of_runs(selection: &Selection) -> String {
    match selection.words().as_str() {
        "" => String::new(),
        words => format!(", {words}"),
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
