//! From the records of a reproduction to verdicts, tables, plots and one HTML page.

mod claim;
mod error;
mod expression;
mod number;
mod optimizer;
mod reading;
mod selection;
mod statistic;
mod student;
mod verdict;

pub use claim::{Claim, FigureSpec, Judged, Plot, Predicate, Scope, TableSpec};
pub use error::Error;
pub use expression::{Expression, Reading};
pub use optimizer::optimizer_name;
pub use reading::Place;
pub use selection::{Condition, Selection};
pub use statistic::{Once, Sample, SeedValue, Statistic, kendall_tau};
pub use student::{student_quantile, student_tail};
pub use verdict::{Estimate, Test, Threshold, Verdict, holm};
