//! Layers with exact first and second derivatives, and networks made of them.
//!
//! A [`Layer`] has four rules (forward, jvp, vjp, second order); a [`LinearMap`] is one by itself, and a [`Function`] with its
//! derivatives as [`Elementwise`]. A [`Network`] is a graph of named layers, of one input or several, built by a [`Graph`],
//! over one flat vector of parameters, which may be used twice, laid out by a [`ParamLayout`].
//! At a point and a batch it becomes a [`Linearization`], whose sweeps give gradients and products
//! with the Gauss-Newton and the empirical Fisher matrix, and, with the primal cotangents, with the
//! Hessian and its residual, for whole blocks of vectors. The same sweep trains and measures.
//!
//! `cargo run --release --example hessian_product`:
//!
//! ```
#![doc = include_str!("../examples/hessian_product.rs")]
//! ```
//!
//! This crate does not know data sets, optimisers or files. Devices: the CPU by kernels of its own
//! in one thread per call ([`Workers`] runs calls side by side), every other by candle's
//! operations.

mod activation;
mod affine;
mod batch_norm;
mod choice;
mod concat;
mod constant;
mod conv2d;
mod convolution;
mod convolved;
mod dropout;
mod elementwise;
mod embedding;
mod error;
mod expect;
mod filter;
mod graph;
mod group_norm;
mod groups;
mod initializer;
mod layer;
mod layer_norm;
mod layout;
mod learned;
mod linear_map;
mod linearization;
mod loss;
mod network;
mod node;
mod pairing;
mod pool;
mod predictor;
mod ranks;
mod reduce;
mod shape;
mod softmax;
mod sum;
mod sums;
mod values;
mod windows;
mod workers;

pub use affine::Affine;
pub use batch_norm::{BatchNorm, FrozenBatchNorm};
pub use choice::Choice;
pub use concat::Concat;
pub use constant::{Factors, Shift};
pub use conv2d::Conv2d;
pub use convolution::Convolution;
pub use convolved::Convolved;
pub use dropout::{Dropout, DropoutMask};
pub use elementwise::Elementwise;
pub use embedding::Embedding;
pub use error::Error;
pub use filter::Filter;
pub use flatness_kernels::Activation::{self, Relu, Softplus, Tanh};
pub use flatness_kernels::Pairing::{self, MatMul, Product};
pub use flatness_kernels::conv2d::Window;
pub use flatness_kernels::convolution::{Axis, Grid};
pub use flatness_kernels::cross_entropy::{Correct, count_correct};
pub use flatness_kernels::{Function, Number, Totals, add_in_place};
pub use graph::{Graph, Value};
pub use group_norm::GroupNorm;
pub use initializer::Initializer;
pub use layer::{Cotangent, Homogeneity, Layer, Point, SecondOrder, SecondOrderRule, Tangent};
pub use layer_norm::LayerNorm;
pub use layout::{ParamLayout, Parameter};
pub use learned::{Learned, Offset, Scale};
pub use linear_map::LinearMap;
pub use linearization::{CurvedLinearization, Linearization};
pub use loss::{IGNORED, Loss, LossPoint, LossSum};
pub use network::Network;
pub use node::Step;
pub use pool::{AveragePool, GlobalAveragePool, MaxPool};
pub use predictor::Predictor;
pub use ranks::{Ranks, RanksError};
pub use reduce::Reduce;
pub use shape::{Flatten, Pad, Reshape, Select, Transpose};
pub use softmax::AlongLast::{self, LogSoftmax, Softmax};
pub use sum::Sum;
pub use sums::Sums;
pub use windows::{Largest, WeightedSums};
pub use workers::Workers;
