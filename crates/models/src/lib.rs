//! The networks of the paper, with PyTorch's parameter names and shapes, and their checkpoints.
//!
//! [`ZOO`] lists the [`Architecture`]s; [`Architecture::network`] builds one for a kind of data. A
//! [`checkpoint`] is a file of named tensors, PyTorch's state dict: written as safetensors, read from
//! that or from what `torch.save` writes.
//!
//! ```
//! use candle_core::{DType, Device, Module, Tensor};
//! use flatness_layers::Predictor;
//! use flatness_models::{Architecture, checkpoint};
//!
//! let network = Architecture::find("mlp")?.network(&[1, 28, 28], 10)?;
//! assert_eq!(network.layout().dim(), 9_960);
//! let theta = network.layout().initialize(0, DType::F32, &Device::Cpu)?;
//!
//! // Inference, as any other candle module.
//! let logits = Predictor::new(&network, &theta)?.forward(&Tensor::zeros((2, 1, 28, 28), DType::F32, &Device::Cpu)?)?;
//! assert_eq!(logits.dims(), [2, 10]);
//!
//! // Out and in again.
//! let buffers = network.buffers().initialize(0, DType::F32, &Device::Cpu)?;
//! let bytes = checkpoint::encode(&network, &theta, &buffers, "mlp")?;
//! let loaded = checkpoint::decode(&bytes, "memory")?.parameters(&network, "memory")?;
//! assert_eq!(loaded.to_vec1::<f32>()?, theta.to_vec1::<f32>()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate does not know data sets or training.

pub mod checkpoint;
mod cnn;
mod error;
mod mlp;
mod preresnet;
mod vgg;
mod wide_resnet;
mod zoo;

pub use error::Error;
pub use zoo::{Architecture, FORMS, ZOO};
