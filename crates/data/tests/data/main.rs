//! Tests of `flatness-data` from the outside, one module per noun.

mod augmentation;
mod batches;
mod check;
mod cifar;
mod cifar_sets;
mod dataset;
mod encode;
mod examples;
#[cfg(feature = "fetch")]
mod fetch;
#[cfg(feature = "hub")]
mod hub;
mod idx;
mod idx_sets;
mod properties;
#[cfg(feature = "fetch")]
mod server;
mod tensors;
