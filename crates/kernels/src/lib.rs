//! The arithmetic under the layers: products and fused elementwise passes on candle tensors.
//!
//! Every function has up to three paths. On the CPU it works on the slices of contiguous tensors in the
//! fewest passes, and in one thread, since callers run several examples side by side, unless they
//! grant it more by [`with_threads`]. [`update_elements`], [`dot`], [`inner_products`] and
//! [`subtract_combinations`] are for vectors that belong to no example, and take the threads of the pool
//! that they are called in. On a CUDA device, opened by [`open_cuda`], most are kernels of our own, products of cuBLAS and
//! convolutions of cuDNN, all of which a [`launch::Launcher`] is asked for. On every other device, and for what has no
//! kernel, a function is a composition of candle operations. All paths give the same numbers up to rounding.
//!
//! Tangents and cotangents are *blocks*: an axis of V vectors stands directly behind the batch
//! axis, (B, V, ...). So a block of V tangents folds into the batch of an ordinary product without
//! a copy, and the product of B primal inputs with V weight tangents is one matrix product whose
//! result already has the layout (B, V, ...).
//!
//! `cargo run --release --example convolution`:
//!
//! ```
#![doc = include_str!("../examples/convolution.rs")]
//! ```
//!
//! This crate does not know layers, parameters or losses over data sets.
//!
//! # Unsafe code
//!
//! In `product`, since the `gemm` crate takes raw pointers, and writing a product straight into
//! spare capacity saves a pass over memory: that module checks every extent against the slices it
//! is given before it hands out a pointer. In `collect`, for the same saving in elementwise passes:
//! that module counts the elements written before it calls them a vector's. In `device`, to turn off events between streams
//! where there is one stream, and to let a device's memory pool keep what it has. In `cuda`, to launch kernels, call cuBLAS and
//! cuDNN, and leave new tensors unset until they are written: `launch` checks the lengths of all operands, and that nothing
//! that is written overlaps anything else, before `cuda` is asked.

mod activation;
pub mod affine;
pub mod batch_norm;
#[cfg(test)]
mod bilinear;
pub mod broadcast;
mod collect;
pub mod conv2d;
pub mod convolution;
pub mod cross_entropy;
#[cfg(feature = "cuda")]
mod cuda;
mod device;
mod dot;
pub mod dropout;
mod elementwise;
mod function;
pub mod images;
pub mod launch;
pub mod layer_norm;
mod lines;
pub mod losses;
mod number;
mod pairing;
mod parallel;
pub mod pool;
mod product;
mod real;
mod rows;
#[cfg(test)]
mod seeded;
pub mod softmax;
mod totals;
mod vectorised;
mod vectors;

pub use activation::Activation;
pub use device::{ELEMENTS_AT_MOST, cuda_devices, free_memory, home, open_cuda};
pub use dot::{dot, norm};
pub use elementwise::{Elementwise, add, add_in_place, scale_in_place, update_elements};
pub use function::{Function, add_curvature_product, evaluate, slope_product};
pub use number::Number;
pub use pairing::{Pairing, Side};
pub use parallel::with_threads;
pub use real::{Real, takes_cpu_path, with_candle_path};
pub use rows::{inner_products, subtract_combinations};
pub use totals::Totals;
