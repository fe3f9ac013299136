//! From the records of a reproduction to verdicts, tables, plots and one HTML page.
//!
//! A [`Claim`] is a data file: gates, predicates, figures and tables that name their experiment, a [`Statistic`] and quantities, which are
//! [`Expression`]s of the names in records. A [`Reproduction`] holds the records; judging it gives a [`ClaimVerdict`] per claim and
//! model. Everything else renders that: [`terminal_table`], [`report_html`], [`results_markdown`], [`results_csv`], [`results_json`],
//! [`figures`]. A [`TrainedRun`] has its losses besides, for [`curves_svg`] and [`curves_csv`]. One measurement is drawn by [`density_svg`], [`signed_density_svg`],
//! [`stems_svg`], [`loss_line_svg`] and [`landscape_svg`], from plain numbers. The feature `png` adds `png`, which turns any of
//! these figures into pixels.
//!
//! `cargo run --release --example verdict`:
//!
//! ```
#![doc = include_str!("../examples/verdict.rs")]
//! ```
//!
//! Every function here is pure. This crate deliberately does not know tensors, training, or the disk: the caller reads the
//! records and writes the results.

mod axis;
mod chart;
mod claim;
mod curves;
mod error;
mod expression;
mod figures;
mod landscape;
mod number;
mod optimizer;
mod page;
mod picture;
#[cfg(feature = "png")]
mod png;
mod reading;
mod reproduction;
mod results;
mod selection;
mod settings;
mod statistic;
mod student;
mod summary;
mod svg;
mod table;
mod verdict;

pub use claim::{Claim, FigureSpec, Judged, Plot, Predicate, Scope, TableSpec};
pub use curves::{TrainedRun, curves_csv, curves_svg};
pub use error::Error;
pub use expression::{Expression, Reading};
pub use figures::{Figure, figures};
pub use landscape::{Landscape, landscape_svg};
pub use optimizer::optimizer_name;
pub use page::report_html;
pub use picture::{Curve, LossLine, density_svg, loss_line_svg, signed_density_svg, stems_svg};
#[cfg(feature = "png")]
pub use png::png;
pub use reading::Place;
pub use reproduction::{ClaimVerdict, Experiment, PredicateVerdict, Reproduction};
pub use results::{results_csv, results_json, results_markdown, terminal_table};
pub use selection::{Condition, Selection};
pub use statistic::{
    Comparison, Of, Once, Path, Ranking, Sample, SeedValue, Sides, Slope, Statistic, kendall_tau,
};
pub use student::{student_quantile, student_tail};
pub use summary::{Reader, Summary};
pub use verdict::{Estimate, Test, Threshold, Verdict, holm};
