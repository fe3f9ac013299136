//! The files of a run: what it is asked to do and what came out.
//!
//! A [`Spec`] is what a user writes in TOML; [`Spec::validate`] turns it into a [`Run`], which has
//! an [`id`](Run::id), the hash of its contents, and named random [`Streams`]. A [`Record`] is what
//! a finished run leaves behind: provenance, data, training, and every [`Measurement`] as
//! [`Quantity`] values that carry their own error.
//!
//! ```
//! use flatness_records::Spec;
//!
//! let spec = Spec::from_toml(
//!     r#"
//!     seed = 0
//!     [data]
//!     set = "mnist"
//!     [model]
//!     name = "logistic"
//!     dtype = "f32"
//!     [train]
//!     epochs = 10
//!     batch_size = 128
//!     optimizer = { kind = "sgd", learning_rate = 0.01, momentum = 0.9, nesterov = false, weight_decay = 5e-4 }
//!     schedule = { kind = "constant" }
//!     "#,
//!     "example.toml",
//! )?;
//! let run = spec.validate("example.toml")?;
//! assert_eq!(run.id().len(), 16);
//! assert_ne!(run.streams().seed("shuffle"), run.streams().seed("init"));
//! # Ok::<(), flatness_records::Error>(())
//! ```
//!
//! This crate knows serde and nothing else: no tensors, no models, no clock.

mod check;
mod error;
mod file;
mod hits;
mod lock;
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
    TEMPORARY_PREFIX, read_json, write_atomic, write_atomic_by, write_json, write_sealed,
};
pub use hits::Hits;
pub use lock::{Lock, holder};
pub use measurement::{
    Curve, CurvePoint, Density, Iterate, LogDensity, MatrixRecord, Measured, Measurement,
    Retention, Stem,
};
pub use metrics::{
    EpochEvaluation, EpochMetrics, SplitEvaluation, append_json_line, json_line, read_json_lines,
};
pub use optimizer::{Decay, DecayExclusion, MomentSpec, OptimizerSpec, PadamSpec};
pub use provenance::{DataRecord, ModelRecord, Provenance, Segment};
pub use quantity::{Cost, Numbers, Quantity, Stop, Uncertainty};
pub use record::{Outcome, Record, Training};
pub use request::{BatchNorm, Matrix, Request, Split};
pub use run::Run;
pub use spec::{
    AugmentationSpec, AverageSpec, DataSpec, Dtype, Interval, ModelSpec, ScheduleSpec, Spec,
    SubsetSpec, TrainSpec, WarmUpSpec,
};
pub use streams::Streams;
pub use what::What;
