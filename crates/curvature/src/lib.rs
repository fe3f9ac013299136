//! Curvature of a mean loss over a data set, as linear operators.
//!
//! A [`MeanLoss`] is a network, a data set and a loss: L(θ) = (1/N) Σᵢ lᵢ(θ). It evaluates and
//! differentiates L over all examples or some of them. [`MeanLoss::curvature`] fixes θ and gives a
//! [`Curvature`], whose [`Hessian`] and [`GaussNewton`] operators multiply blocks of vectors. All
//! are means over the examples, never sums, and hold no L2 term.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use flatness_curvature::{MeanLoss, Retention, Settings};
//! use flatness_data::{Dataset, Normalization};
//! use flatness_layers::{Affine, Flatten, Layer, Loss, Network, Workers};
//! use flatness_operator::LinearOperator;
//!
//! let layers: Vec<(String, Box<dyn Layer>)> = vec![
//!     ("flatten".to_owned(), Box::new(Flatten)),
//!     ("fc".to_owned(), Box::new(Affine::new(4, 2))),
//! ];
//! let network = Network::chain(&[1, 2, 2], layers)?;
//! let images = Tensor::from_vec((0..24u8).collect(), (6, 1, 2, 2), &Device::Cpu)?;
//! let labels = Tensor::new(&[0u8, 1, 0, 1, 0, 1], &Device::Cpu)?;
//! let data = Dataset::new("toy", &images, &labels, 2, Normalization::new(vec![0.5], vec![0.5])?)?;
//! let workers = Workers::new(2)?;
//! let settings = Settings { dtype: DType::F64, device: Device::Cpu, batch_size: 4 };
//!
//! let mean_loss = MeanLoss::new(&network, &data, Loss::CrossEntropy, &workers, settings)?;
//! let theta = network.layout().initialize(0, DType::F64, &Device::Cpu)?;
//! let curvature = mean_loss.curvature(&theta, Retention::Retain)?;
//! let ones = Tensor::ones(network.layout().dim(), DType::F64, &Device::Cpu)?;
//! let product = curvature.hessian().apply(&ones)?;
//! assert_eq!(product.dims(), [10]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate does not know eigensolvers: they take the operators through `flatness-operator`.

mod curvature;
mod error;
mod mean_loss;

pub use curvature::{Curvature, GaussNewton, Hessian, Retention};
pub use error::Error;
pub use mean_loss::{Evaluation, MeanLoss, Selection, Settings, TrainingGradient};
