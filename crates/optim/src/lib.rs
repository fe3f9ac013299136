//! Optimisers, averages of their iterates and learning-rate schedules over one flat parameter
//! vector.
//!
//! An [`Optimizer`] changes θ by a gradient, an [`Average`] follows θ, a [`Schedule`] says how large
//! the next step is. They know nothing of each other, and the named methods are compositions: SWA is
//! [`Sgd`] with a uniform average, GadamX [`Adam::padam`] with one, and Gadam
//!
//! `cargo run --release --example averaged_adam`:
//!
//! ```
#![doc = include_str!("../examples/averaged_adam.rs")]
//! ```
//!
//! # Models of candle
//!
//! [`VarOptimizer`] is a `candle_nn::Optimizer` over the variables of any candle model:
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use candle_nn::{Module, Optimizer as _, VarBuilder, VarMap};
//! use flatness_optim::{
//!     Decay, Momentum, Sgd, SharpnessAware, State, VarOptimizer, VarSettings, clip_by_norm,
//! };
//!
//! let varmap = VarMap::new();
//! let vars = VarBuilder::from_varmap(&varmap, DType::F64, &Device::Cpu);
//! let layer = candle_nn::linear(2, 1, vars)?;
//! // y = x₁ - 2 x₂ + 3
//! let x = Tensor::new(&[[0f64, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], &Device::Cpu)?;
//! let y = Tensor::new(&[[3f64], [4.0], [1.0], [2.0]], &Device::Cpu)?;
//! let loss = || candle_nn::loss::mse(&layer.forward(&x)?, &y);
//!
//! let settings = VarSettings {
//!     learning_rate: 0.2,
//!     make: Box::new(|theta| {
//!         let sgd = Sgd::new(Momentum::Nesterov(0.8), Decay::coupled(0.0)?, theta)?;
//!         Ok(Box::new(sgd))
//!     }),
//! };
//! let mut optimizer = VarOptimizer::from_varmap(&varmap, settings)?;
//! for _ in 0..100 {
//!     optimizer.backward_step(&loss()?)?;
//! }
//! assert!(loss()?.to_scalar::<f64>()? < 1e-6);
//!
//! // A later process goes on with what `VarMap::save` and this state hold; both know variables by
//! // their names, so the order in which a model makes them does not matter.
//! let file = optimizer.state()?.to_bytes()?;
//! optimizer.restore(&State::from_bytes(&file, &Device::Cpu)?)?;
//!
//! // The same with clipped gradients, and with one step of SAM.
//! let gradient = optimizer.gradient(&loss()?.backward()?)?;
//! clip_by_norm(&gradient, 1.0)?;
//! optimizer.step_with(&gradient)?;
//! optimizer.sharpness_aware_step(SharpnessAware::new(0.05)?, loss)?;
//! assert!(loss()?.to_scalar::<f64>()? < 1e-2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate does not know networks, losses or data: it takes gradients and changes θ in place.

mod adam;
mod average;
mod checks;
mod clip;
mod decay;
mod error;
mod optimizer;
mod schedule;
mod sgd;
mod sharpness_aware;
mod var_optimizer;

pub use adam::{Adam, MomentSettings};
pub use average::Average;
pub use clip::clip_by_norm;
pub use decay::Decay;
pub use error::Error;
pub use optimizer::{Optimizer, State};
pub use schedule::Schedule;
pub use sgd::{Momentum, Sgd};
pub use sharpness_aware::SharpnessAware;
pub use var_optimizer::{MakeOptimizer, VarOptimizer, VarSettings};
