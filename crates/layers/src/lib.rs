//! Layers with exact first and second derivatives, and networks made of them.
//!
//! A [`Layer`] has four rules (forward, jvp, vjp, second order); a [`LinearMap`] is one by itself, and a [`Function`] with its
//! derivatives as [`Elementwise`]. A [`Network`] is a graph of named layers, of one input or several, built by a [`Graph`],
//! over one flat vector of parameters, which may be used twice, laid out by a [`ParamLayout`].
//! At a point and a batch it becomes a [`Linearization`], whose sweeps give gradients and products
//! with the Gauss-Newton and the empirical Fisher matrix, and, with the primal cotangents, with the
//! Hessian and its residual, for whole blocks of vectors. The same sweep trains and measures.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use flatness_layers::{
//!     Affine, BatchNorm, Conv2d, GlobalAveragePool, Graph, Loss, MaxPool, Relu, Window,
//! };
//!
//! let window = Window { stride: 1, padding: 1 };
//! let mut graph = Graph::new(&[1, 4, 4]);
//! let x = graph.layer("conv0", Conv2d::new(1, 2, 3, window), graph.input())?;
//! let x = graph.layer("pool0", MaxPool::new(2, 2), x)?;
//! let skip = graph.layer("bn0", BatchNorm::new(2), x)?;
//! let x = graph.layer("relu0", Relu, skip)?;
//! let x = graph.layer("conv1", Conv2d::new(2, 2, 3, window), x)?;
//! let x = graph.add("sum", skip, x)?;
//! let x = graph.layer("mean", GlobalAveragePool, x)?;
//! let x = graph.layer("fc", Affine::new(2, 3), x)?;
//! let network = graph.finish(x)?;
//!
//! let (layout, cpu) = (network.layout(), &Device::Cpu);
//! let theta = layout.initialize(0, DType::F64, cpu)?;
//! let inputs = Tensor::arange(0f64, 64.0, cpu)?.sin()?.reshape((4, 1, 4, 4))?;
//! let labels = Tensor::new(&[0u32, 1, 2, 1], cpu)?;
//! let point = network.linearize(&layout.views(&theta)?, &inputs, &labels, Loss::CrossEntropy)?;
//!
//! // The gradient of the summed loss; that of the last bias is Σ (p - y), and p and y sum to one.
//! let gradient = layout.zeros(1, DType::F64, cpu)?;
//! point.add_gradient(&gradient)?;
//! let bias = gradient[layout.parameters().len() - 1].sum_all()?;
//! assert!(bias.to_scalar::<f64>()?.abs() < 1e-14);
//!
//! // Statistics of the batch, fixed: a network of the same parameters whose examples are independent.
//! let frozen = network.freeze(&point.batch_statistics()?)?;
//! assert!(network.couples_examples() && !frozen.couples_examples());
//! assert_eq!(frozen.layout(), layout);
//!
//! // Exact Hessian products with a block of two vectors u, v: u·Hv = v·Hu.
//! let block = Tensor::arange(0f64, 2.0 * layout.dim() as f64, cpu)?.cos()?.reshape((2, layout.dim()))?;
//! let products = layout.zeros(2, DType::F64, cpu)?;
//! point.with_cotangents()?.add_hessian_product(&layout.split(&block)?, &products)?;
//! let forms = block.matmul(&layout.join(&products)?.t()?)?.to_vec2::<f64>()?;
//! assert!((forms[0][1] - forms[1][0]).abs() < 1e-12 * forms[0][1].abs());
//! # Ok::<(), flatness_layers::Error>(())
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
pub use flatness_kernels::{Function, Number, add_in_place};
pub use graph::{Graph, Value};
pub use group_norm::GroupNorm;
pub use initializer::Initializer;
pub use layer::{Cotangent, Homogeneity, Layer, Point, SecondOrder, SecondOrderRule, Tangent};
pub use layer_norm::LayerNorm;
pub use layout::{ParamLayout, Parameter};
pub use learned::{Learned, Offset, Scale};
pub use linear_map::LinearMap;
pub use linearization::{CurvedLinearization, Linearization};
pub use loss::{IGNORED, Loss, LossPoint};
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
