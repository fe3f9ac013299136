//! From bytes to batches: validated image data sets as candle tensors.
//!
//! A [`Dataset`] is labelled images kept as bytes, with the normalisation that turns them into floats and
//! a digest that names their content. [`Batches`] is one seeded epoch over it, a [`Batch`] at a time, and
//! [`Augmented`] the same images with the random crops and flips of an epoch, a [`Subset`] some of them. A
//! [`mnist::Source`] or a [`cifar100::Source`] says where the bytes came from. Readers believe nothing:
//! magic numbers, dimensions, lengths, checksums and labels are verified, and an error names the file and
//! what to do.
//!
//! ```
//! use candle_core::{DType, Device};
//! use flatness_data::mnist::{self, EmbeddedMnist};
//! use flatness_data::{Batches, Order};
//!
//! let embedded = EmbeddedMnist {
//!     train_images: flatness_fixtures::TRAIN_IMAGES,
//!     train_labels: flatness_fixtures::TRAIN_LABELS,
//!     test_images: flatness_fixtures::TEST_IMAGES,
//!     test_labels: flatness_fixtures::TEST_LABELS,
//!     description: flatness_fixtures::DESCRIPTION,
//! };
//! let data = mnist::load(mnist::find(None, None, embedded)?)?;
//! let (train, validation) = data.train.split_tail(1_000)?;
//! assert_eq!((train.len(), validation.len(), data.test.len()), (9_000, 1_000, 10_000));
//!
//! let order = Order::Shuffled { seed: 0, epoch: 3 };
//! for batch in Batches::new(&train, 128, order, DType::F32, &Device::Cpu)?.take(2) {
//!     assert_eq!(batch?.images.dims(), [128, 1, 28, 28]);
//! }
//! # Ok::<(), flatness_data::Error>(())
//! ```
//!
//! Downloads are in [`fetch`], the inspection of a directory in [`check`], the file format in [`idx`].
//! With the feature `hub`, the module `hub` converts to and from `candle_datasets`.
//!
//! This crate does not know networks, the command line, the clock or the environment: paths, proxies and
//! embedded files are handed to it.

mod augmentation;
mod batches;
pub mod check;
pub mod cifar100;
mod dataset;
mod error;
mod examples;
pub mod fetch;
mod hex;
#[cfg(feature = "hub")]
pub mod hub;
pub mod idx;
pub mod mnist;
mod normalization;
mod subset;

pub use augmentation::{Augmentation, Augmented, Flip};
pub use batches::{Batch, Batches, Order};
pub use dataset::Dataset;
pub use error::{Attempt, Error, Result};
pub use examples::{Examples, LabelledTensors};
pub use normalization::Normalization;
pub use subset::Subset;
