//! Layers with exact first and second derivatives, and networks made of them.
//!
//! A [`Layer`] has four rules (forward, jvp, vjp, second order). A [`Network`] is a graph of named
//! layers, built by a [`Graph`], over one flat vector of parameters, laid out by a [`ParamLayout`].
//! At a point and a batch it becomes a [`Linearization`], whose sweeps give gradients and
//! Gauss-Newton products, and, with the primal cotangents, Hessian products of whole blocks of
//! vectors. The same sweep trains and measures.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use flatness_layers::{Affine, Layer, Loss, Network, Relu};
//!
//! let layers: Vec<(String, Box<dyn Layer>)> = vec![
//!     ("fc0".to_owned(), Box::new(Affine::new(2, 3))),
//!     ("relu0".to_owned(), Box::new(Relu)),
//!     ("fc1".to_owned(), Box::new(Affine::new(3, 2))),
//! ];
//! let network = Network::chain(&[2], layers)?;
//! let layout = network.layout();
//! let theta = layout.initialize(0, DType::F64, &Device::Cpu)?;
//! let inputs = Tensor::new(&[[1.0, -2.0], [0.5, 1.5]], &Device::Cpu)?;
//! let labels = Tensor::new(&[0u32, 1], &Device::Cpu)?;
//!
//! let point = network.linearize(&layout.views(&theta)?, &inputs, &labels, Loss::CrossEntropy)?;
//! let gradient = layout.zeros(1, DType::F64, &Device::Cpu)?;
//! point.add_gradient(&gradient)?;
//!
//! // One Hessian product of the summed loss, with a vector of ones.
//! let ones = Tensor::ones((1, layout.dim()), DType::F64, &Device::Cpu)?;
//! let product = layout.zeros(1, DType::F64, &Device::Cpu)?;
//! point.with_cotangents()?.add_hessian_product(&layout.split(&ones)?, &product)?;
//! assert_eq!(layout.join(&product)?.dims(), [1, layout.dim()]);
//! # Ok::<(), flatness_layers::Error>(())
//! ```
//!
//! This crate does not know data sets, optimisers or files. Devices: the CPU by kernels of its own
//! in one thread per call ([`Workers`] runs calls side by side), every other by candle's
//! operations.

mod affine;
mod batch_norm;
mod conv2d;
mod dropout;
mod error;
mod flatten;
mod graph;
mod initializer;
mod layer;
mod layout;
mod linearization;
mod loss;
mod network;
mod pool;
mod predictor;
mod relu;
mod tanh;
mod workers;

pub use affine::Affine;
pub use batch_norm::{BatchNorm, FrozenBatchNorm};
pub use conv2d::Conv2d;
pub use dropout::{Dropout, DropoutMask};
pub use error::Error;
pub use flatness_kernels::conv2d::Window;
pub use flatten::Flatten;
pub use graph::{Graph, Value};
pub use initializer::Initializer;
pub use layer::{Layer, Point, SecondOrder, SecondOrderRule, Tangent};
pub use layout::{ParamLayout, Parameter};
pub use linearization::{CurvedLinearization, Linearization};
pub use loss::{Loss, LossPoint};
pub use network::Network;
pub use pool::{AveragePool, GlobalAveragePool, MaxPool};
pub use predictor::Predictor;
pub use relu::Relu;
pub use tanh::Tanh;
pub use workers::Workers;
