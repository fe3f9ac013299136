//! One engine that measures what a [`Request`](flatness_records::Request) names, for specs and for the command line.
//!
//! The nouns: a [`Subject`] (a network at given parameters over given examples), [`Resources`] (threads, device,
//! memory, the caller's limit of time), and what was [`Found`]. [`plan`] refuses what cannot be measured before any
//! work, [`measure`] does it, and [`cost`] says what it takes at least and at most.
//!
//! There is one file for each measure, with its equation, memory, cost and error; the planner folds over them and knows
//! none. What takes differences of losses, or all eigenvalues, is done in double precision, whatever the number type of
//! the parameters.
//!
//! `cargo run --release --example measure`:
//!
//! ```
#![doc = include_str!("../examples/measure.rs")]
//! ```
//!
//! Deliberately not known here: names of models, files of data, the command line, a clock, and how results are shown.

mod agreement;
mod context;
mod cost;
mod error;
mod found;
mod identity;
mod journal;
mod measures;
mod meter;
mod operators;
mod plan;
mod point;
mod quantity;
mod room;
mod sampling;
mod session;
mod subject;
mod suite;

pub use cost::{Size, Span, Work, cost};
pub use error::Error;
pub use found::{Found, Line, NamedDiagonal, Plane};
pub use journal::JournalError;
pub use operators::curvature_matrix;
pub use plan::{Plan, plan};
pub use point::part;
pub use room::Refusal;
pub use session::measure;
pub use subject::{JournalFile, Observer, Resources, Subject, Weights};
