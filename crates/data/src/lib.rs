//! From bytes to batches: validated image data sets, and files of tensors, as candle tensors.
//!
//! A [`Dataset`] is labelled images kept as bytes, with the [`Normalization`] that turns them into floats, which
//! is the caller's, and a digest that names their content. An [`Order`] is that of one seeded epoch over it, a [`Batch`] some of its examples
//! as floats, [`Augmented`] the same images with the random crops and flips of an epoch, a [`Subset`] some of them. A
//! [`Set`] finds its files, a [`Source`], by their names, and [`Loaded`] says what they hold, by their digests. A [`TensorFile`] has inputs and
//! labels of any kind, classes or values, as [`LabelledTensors`], and test examples beside them. Both are [`Divisible`] into training and
//! validation. Readers believe nothing:
//! magic numbers, dimensions, lengths, checksums and labels are verified, and an error names the file and
//! what to do.
//!
//! `cargo run --release --example epoch`:
//!
//! ```
#![doc = include_str!("../examples/epoch.rs")]
//! ```
//!
//! The file format is in [`idx`]. With the feature `fetch`, the module `fetch` downloads; without it, neither
//! HTTP nor TLS is compiled. With the feature `hub`, the module `hub` converts to and from `candle_datasets`.
//!
//! This crate does not know networks, the command line, the clock or the environment: paths, proxies and
//! embedded files are handed to it.

mod augmentation;
mod batches;
mod cifar;
mod dataset;
mod divisible;
mod error;
mod examples;
#[cfg(feature = "fetch")]
pub mod fetch;
mod forms;
#[cfg(feature = "hub")]
pub mod hub;
pub mod idx;
mod idx_set;
mod loaded;
mod normalization;
mod resident;
mod set;
mod subset;
mod tensors;

pub use augmentation::{Augmentation, Augmented, Flip};
pub use batches::{Batch, Order};
pub use dataset::Dataset;
pub use divisible::Divisible;
pub use error::{Error, Result};
pub use examples::{Examples, LabelledTensors, class_labels};
pub use idx_set::EmbeddedMnist;
pub use loaded::{Classes, Completeness, Loaded, file_digest};
pub use normalization::Normalization;
pub use set::{Set, Source};
pub use subset::Subset;
pub use tensors::{TensorFile, check_probabilities};
