//! Optimisers and learning-rate schedules over one flat parameter vector.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use flatness_optim::{Momentum, Schedule, Sgd};
//!
//! // Minimise ½ ‖θ‖²: the gradient is θ itself.
//! let theta = Tensor::new(&[1f64, -2.0], &Device::Cpu)?;
//! let mut sgd = Sgd::new(Momentum::HeavyBall(0.5), 0.0, &theta)?;
//! let schedule = Schedule::Constant;
//! for epoch in 0..50 {
//!     let gradient = theta.copy()?;
//!     sgd.step(&theta, &gradient, 0.2 * schedule.factor(epoch as f64 / 50.0))?;
//! }
//! assert!(theta.sqr()?.sum_all()?.to_scalar::<f64>()? < 1e-12);
//! # Ok::<(), flatness_optim::Error>(())
//! ```
//!
//! This crate does not know networks, losses or data: it takes gradients and changes θ in place.

mod combination;
mod error;
mod schedule;
mod sgd;

pub use error::Error;
pub use schedule::Schedule;
pub use sgd::{Momentum, Sgd};
