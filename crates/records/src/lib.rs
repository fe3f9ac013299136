//! The files of a run: what it is asked to do and what came out.
//!
//! A [`Spec`] is what a user writes in TOML; [`Spec::validate`] turns it into a [`Run`], which has
//! an [`id`](Run::id), the hash of its contents, and named random [`Streams`]. A [`Record`] is what
//! a finished run leaves behind: provenance, data, training, and every [`Measurement`] as
//! [`Quantity`] values that carry their own error.
//!
//! `cargo run --release --example spec`:
//!
//! ```
#![doc = include_str!("../examples/spec.rs")]
//! ```
//!
//! This crate knows serde and nothing else: no tensors, no models, no clock.

mod check;
mod error;
mod file;
mod hits;
mod lock;
mod loss;
mod measurement;
mod metrics;
mod number;
mod optimizer;
mod provenance;
mod quantity;
mod record;
mod request;
mod run;
mod spec;
mod streams;
mod what;

pub use error::Error;
pub use file::{
    TEMPORARY_PREFIX, create_directories, file_digest, read_json, read_sealed, write_atomic,
    write_atomic_by, write_json, write_sealed,
};
pub use hits::Hits;
pub use lock::{Lock, holder};
pub use loss::{ClassWeights, LossSpec, are_class_weights};
pub use measurement::{
    Curve, CurvePoint, Density, Iterate, LogDensity, MatrixRecord, Measured, Measurement,
    Retention, Stem,
};
pub use metrics::{
    EpochEvaluation, EpochMetrics, SplitEvaluation, append_json_line, json_line, read_json_lines,
};
pub use optimizer::{Decay, DecayExclusion, MomentSpec, OptimizerSpec, PadamSpec};
pub use provenance::{DataRecord, ModelRecord, NetworkFile, Provenance, Segment};
pub use quantity::{Cost, Numbers, Quantity, Stop, Uncertainty};
pub use record::{Outcome, Record, Training};
pub use request::{BatchNorm, Matrix, Request, Split};
pub use run::Run;
pub use spec::{
    AugmentationSpec, AverageSpec, DataSpec, Dtype, InitialSpec, Interval, ModelSpec, ScheduleSpec,
    Spec, SubsetSpec, TrainSpec, WarmUpSpec,
};
pub use streams::Streams;
pub use what::What;
