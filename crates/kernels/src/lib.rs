//! The arithmetic under the layers: products and fused elementwise passes on candle tensors.
//!
//! Every function has two paths. On the CPU it works on the slices of contiguous tensors, in one
//! thread and in the fewest passes; callers run several examples side by side instead. On every
//! other device it is a composition of candle operations. Both give the same numbers up to
//! rounding.
//!
//! Tangents and cotangents are *blocks*: an axis of V vectors stands directly behind the batch
//! axis, (B, V, ...). So a block of V tangents folds into the batch of an ordinary product without
//! a copy, and the product of B primal inputs with V weight tangents is one matrix product whose
//! result already has the layout (B, V, ...).
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use flatness_kernels::affine;
//!
//! let x = Tensor::new(&[[1f64, 2.0]], &Device::Cpu)?; // (B, I)
//! let weight = Tensor::new(&[[3f64, 4.0], [5.0, 6.0]], &Device::Cpu)?; // (O, I)
//! let bias = Tensor::new(&[0.5f64, -0.5], &Device::Cpu)?; // (O)
//! let y = affine::forward(&x, &weight, &bias)?;
//! assert_eq!(y.to_vec2::<f64>()?, [[11.5, 16.5]]);
//! # Ok::<(), candle_core::Error>(())
//! ```
//!
//! This crate does not know layers, parameters or losses over data sets.
//!
//! # Unsafe code
//!
//! In `product`, since the `gemm` crate takes raw pointers, and writing a product straight into
//! spare capacity saves a pass over memory: that module checks every extent against the slices it
//! is given before it hands out a pointer. In `spare`, for the same saving in elementwise passes:
//! that module counts the elements written before it calls them a vector's.

pub mod activation;
pub mod affine;
pub mod batch_norm;
pub mod conv2d;
pub mod cross_entropy;
mod expect;
mod in_place;
mod parallel;
pub mod pool;
mod product;
mod real;
mod runs;
#[cfg(test)]
mod samples;
mod spare;

pub use in_place::add_in_place;
pub use parallel::with_threads;
pub use real::on_cpu;
