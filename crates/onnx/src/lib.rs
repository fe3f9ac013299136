//! ONNX files, as PyTorch's exporters write them, read into networks.
//!
//! [`read`] gives an [`Imported`] network with the values of its parameters, under their names in PyTorch. A file goes through
//! three forms: the messages of protobuf; a plan, operations on one example with every extent, mask and scale computed; and
//! layers. Both of PyTorch's exporters are read, by tracing and by `torch.export`, from opset 13 on, with data in files beside
//! the model or in it.
//!
//! `cargo run --release --example import`:
//!
//! ```
#![doc = include_str!("../examples/import.rs")]
//! ```
//!
//! This crate does not know data sets, losses or the command line, and runs nothing that a file holds: whatever it reads is
//! bounded in memory by the length of the file and a constant.

mod array;
mod build;
mod error;
mod file;
mod import;
mod imported;
mod layout;
mod movement;
mod names;
mod operand;
mod operators;
mod plan;
mod proto;
mod steps;
mod tensor;
mod weights;

pub use error::Error;
pub use imported::{Imported, decode, read};
