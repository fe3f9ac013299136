//! What a statistic computes, as a formula for readers.

use super::{Once, Statistic};
use crate::number::significant;
use crate::reading::{Place, TRAINING};
use crate::selection::decimal;

impl Statistic {
    /// The number in a formula, such as `λ₁: decay 5e-4 over decay 0`.
    #[must_use]
    pub fn formula(&self) -> String {
        match self {
            Self::LogRatio {
                quantity,
                treatment,
                control,
                at,
            } => {
                let (one, other) = (treatment.words(), control.words());
                format!(
                    "{}{}: {one} over {other}",
                    quantity.symbol(),
                    place(at.as_ref())
                )
            }
            Self::Difference {
                quantity,
                treatment,
                control,
                at,
            } => {
                let (one, other) = (treatment.words(), control.words());
                format!(
                    "{}{}: {one} minus {other}",
                    quantity.symbol(),
                    place(at.as_ref())
                )
            }
            Self::AccuracyGain { treatment, control } => {
                format!(
                    "test accuracy: {} minus {}",
                    treatment.words(),
                    control.words()
                )
            }
            Self::Value {
                quantity,
                select,
                at,
            }
            | Self::Factor {
                quantity,
                select,
                at,
            } => {
                format!(
                    "{}{}{}",
                    quantity.symbol(),
                    place(at.as_ref()),
                    of(&select.words())
                )
            }
            Self::EndOverPeak {
                quantity,
                along,
                select,
            } => {
                format!(
                    "{}: end over peak {}{}",
                    quantity.symbol(),
                    path(along),
                    of(&select.words())
                )
            }
            Self::Range {
                quantity,
                along,
                select,
            } => {
                let words = of(&select.words());
                format!(
                    "{}: largest minus smallest {}{words}",
                    quantity.symbol(),
                    path(along)
                )
            }
            Self::LogRange {
                quantity,
                along,
                select,
            } => {
                let words = of(&select.words());
                format!(
                    "{}: largest over smallest {}{words}",
                    quantity.symbol(),
                    path(along)
                )
            }
            Self::Slope {
                x,
                y,
                along,
                once,
                at,
                select,
            } => {
                let over = along
                    .as_deref()
                    .map_or_else(|| "over the runs".to_owned(), path);
                let once = once
                    .as_ref()
                    .map_or_else(String::new, |Once { quantity, at_least }| {
                        format!(", once {} ≥ {}", quantity.symbol(), decimal(*at_least))
                    });
                let words = of(&select.words());
                format!(
                    "slope of ln {} on ln {} {over}{}{once}{words}",
                    y.symbol(),
                    x.symbol(),
                    place(at.as_ref())
                )
            }
            Self::RankCorrelation(ranking) => {
                let y = ranking.y.symbol();
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
                let beyond = ranking.beyond.as_ref().map_or_else(String::new, |other| {
                    format!(" − {tau}({}, {y}{given})", other.symbol())
                });
                let over = ranking
                    .along
                    .as_deref()
                    .map_or_else(String::new, |along| format!(" {}", path(along)));
                format!(
                    "{tau}({}, {y}{given}){beyond}{over}{}",
                    ranking.x.symbol(),
                    of(&ranking.select.words())
                )
            }
        }
    }
}

fn of(selection: &str) -> String {
    if selection.is_empty() {
        String::new()
    } else {
        format!(", {selection}")
    }
}

fn path(along: &str) -> String {
    match along {
        TRAINING => "along training".to_owned(),
        curve => format!("along {curve}"),
    }
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
