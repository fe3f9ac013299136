//! ONNX files, as PyTorch's exporters write them, read into networks.
//!
//! [`read`] gives an [`Imported`] network with the values of its parameters, under their names in PyTorch. A file goes through
//! three forms: the messages of protobuf; a plan, operations on one example with every extent, mask and scale computed; and
//! layers. Both of PyTorch's exporters are read, by tracing and by `torch.export`, from opset 13 on, with data in files beside
//! the model or in it.
//!
//! ```
//! let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/lenet.onnx");
//! let imported = flatness_onnx::read(path.as_ref(), &[])?;
//! let names = imported.network.layout().parameters().iter().map(|parameter| &parameter.name);
//! assert_eq!(imported.network.input_shape(), [1, 12, 12]);
//! assert_eq!(names.take(2).collect::<Vec<_>>(), ["conv1.weight", "conv1.bias"]);
//! # Ok::<(), flatness_onnx::Error>(())
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
