//! Curvature of a mean loss over a data set, as linear operators.
//!
//! A [`MeanLoss`] is a network, a data set and a loss: L(θ) = (1/N) Σᵢ lᵢ(θ). It evaluates and
//! differentiates L over all examples or some of them, and says how sure of them the network is
//! ([`Confidence`]). [`MeanLoss::curvature`] fixes θ and gives a
//! [`Curvature`], whose operators multiply blocks of vectors by one [`Matrix`] each: the Hessian, its
//! Gauss-Newton part and the residual between them, the empirical Fisher matrix and the covariance of
//! the gradients. All are means over the examples, never sums, and hold no L2 term. Measured on a sample,
//! a quadratic form comes with its [`sampling_error`], the Frobenius norm with [`frobenius_sampling_error`]. An
//! [`OwnedOperator`] is one of them without a lifetime.
//!
//! `cargo run --release --example operators`:
//!
//! ```
#![doc = include_str!("../examples/operators.rs")]
//! ```
//!
//! With a layer of one's own: `cargo run --release --example own_layer`.
//!
//! This crate does not know eigensolvers: they take the operators through `flatness-operator`.

mod curvature;
mod error;
mod frobenius_sampling;
mod mean_loss;
mod operator;
mod owned;
mod sampling;

pub use curvature::{Curvature, Retention};
pub use error::Error;
pub use frobenius_sampling::{FrobeniusSampling, SampledNorm, frobenius_sampling_error};
pub use mean_loss::{Confidence, Evaluation, MeanLoss, Selection, Settings, TrainingGradient};
pub use operator::{CurvatureOperator, Matrix};
pub use owned::OwnedOperator;
pub use sampling::{QuadraticForm, sampling_error};
