//! From the records of a reproduction to verdicts, tables, plots and one HTML page.

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
mod svg;
mod table;
mod verdict;

pub use claim::{Claim, FigureSpec, Judged, Plot, Predicate, Scope, TableSpec};
pub use curves::{TrainedRun, compare_svg, compare_table, curves_csv, curves_page, curves_svg};
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
pub use verdict::{Estimate, Test, Threshold, Verdict, holm};
