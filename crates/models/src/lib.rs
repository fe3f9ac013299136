//! The networks of the paper, with PyTorch's parameter names and shapes, and their checkpoints.
//!
//! [`ZOO`] lists the [`Architecture`]s; [`Architecture::network`] builds one for a kind of data. A
//! [`checkpoint`] is a file of named tensors, PyTorch's state dict: written as safetensors, read from
//! that or from what `torch.save` writes.
//!
//! `cargo run --release --example zoo`:
//!
//! ```
#![doc = include_str!("../examples/zoo.rs")]
//! ```
//!
//! This crate does not know data sets or training.

pub mod checkpoint;
mod cnn;
mod error;
mod mlp;
mod preresnet;
mod residual;
mod vgg;
mod wide_resnet;
mod zoo;

pub use error::Error;
pub use zoo::{Architecture, FORMS, ZOO};
