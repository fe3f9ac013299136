//! Tests of `flatness-data` from the outside, one module per noun.

mod augmentation;
mod batches;
mod check;
mod cifar;
mod cifar100;
mod dataset;
mod encode;
mod examples;
#[cfg(feature = "fetch")]
mod fetch;
#[cfg(feature = "hub")]
mod hub;
mod idx;
mod mnist;
mod properties;
#[cfg(feature = "fetch")]
mod server;
mod tensors;
