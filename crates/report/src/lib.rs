//! From the records of a reproduction to verdicts, tables, plots and one HTML page.
//!
//! A [`Claim`] is a data file: predicates with thresholds that were frozen before the runs. A
//! [`Predicate`] is a [`Statistic`] per seed and a [`Threshold`] for its mean. A [`Reproduction`] holds the
//! records; judging it gives a [`Verdict`] per claim and model. Everything else renders that:
//! [`terminal_table`], [`report_html`], [`results_markdown`], [`results_csv`], [`results_json`], [`figures`]. A [`TrainedRun`] has its
//! losses besides, for [`curves_svg`], [`curves_csv`] and [`curves_page`]. One measurement is drawn by [`density_svg`],
//! [`signed_density_svg`], [`stems_svg`], [`loss_line_svg`] and [`landscape_svg`], from plain numbers.
//! The feature `png` adds `png`, which turns any of these figures into pixels.
//!
//! ```
//! use flatness_report::{Claim, Estimate, Threshold, Verdict};
//!
//! let claims = Claim::embedded()?;
//! assert_eq!(claims[0].id, "C1");
//!
//! // Three seeds in which weight decay has raised ln λ₁ by about a half.
//! let estimate = Estimate::of(&[0.52, 0.47, 0.55]);
//! assert_eq!(Verdict::decide(estimate.as_ref(), Threshold::Above(0.0)), Verdict::Holds);
//! # Ok::<(), flatness_report::Error>(())
//! ```
//!
//! Every function here is pure. This crate deliberately does not know tensors, training, or the
//! disk: the caller reads the records and writes the results.

mod claim;
mod correlation;
mod csv;
mod curves;
mod error;
mod estimate;
mod html;
mod json;
mod kendall;
mod markdown;
mod measure;
mod number;
mod optimizer;
mod overview;
mod plot;
#[cfg(feature = "png")]
mod png;
mod reproduction;
mod statistic;
mod student;
mod terminal;
mod verdict;

pub use claim::{Claim, Predicate};
pub use correlation::{Correlation, correlations};
pub use csv::results_csv;
pub use curves::{TrainedRun, curves_csv, curves_page};
pub use error::Error;
pub use estimate::Estimate;
pub use html::report_html;
pub use json::results_json;
pub use kendall::kendall_tau;
pub use markdown::results_markdown;
pub use measure::{Measure, Reading, weight_decay};
pub use optimizer::optimizer_name;
pub use plot::{
    Curve, Figure, Landscape, LossLine, curves_svg, density_svg, figures, landscape_svg,
    loss_line_svg, signed_density_svg, stems_svg,
};
#[cfg(feature = "png")]
pub use png::png;
pub use reproduction::{ClaimVerdict, Experiment, PredicateVerdict, Reproduction};
pub use statistic::{Denominator, Direction, RankBound, RescaledQuantity, Sample, Statistic};
pub use student::student_quantile;
pub use terminal::terminal_table;
pub use verdict::{Threshold, Verdict};
