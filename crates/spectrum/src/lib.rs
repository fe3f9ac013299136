//! The spectrum of a symmetric linear operator known only by its products, each number with its
//! error.
//!
//! The nouns: a [`RitzValue`] from [`lanczos()`] (an approximate eigenvalue with a residual bound),
//! an [`Estimate`] from [`moments`] (trace and squared Frobenius norm with standard errors), a
//! [`Quadrature`] (Tr f(A) and the spectral [`Density`]), and a [`PowerIteration`] as an
//! independent check of the spectral norm. Every result says what it cost in products and which
//! seed repeats it.
//!
//! Vectors stay in the operator's element type, float32 or float64, and on its device; scalars are
//! float64.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use flatness_operator::Dense;
//! use flatness_spectrum::{LanczosSettings, MomentsSettings, lanczos, moments};
//!
//! // Eigenvalues 3, 1 and -2.
//! let matrix = Tensor::new(
//!     &[[2.0_f64, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, -2.0]],
//!     &Device::Cpu,
//! )?;
//! let operator = Dense::new(&matrix)?;
//!
//! let spectrum = lanczos(&operator, &LanczosSettings { steps: 3, tolerance: 1e-10, seed: 7 })?;
//! assert!((spectrum.lambda_max().value - 3.0).abs() < 1e-12);
//! assert!((spectrum.lambda_min().value + 2.0).abs() < 1e-12);
//! assert!(spectrum.spectral_norm().converged);
//!
//! let moments = moments(&operator, &MomentsSettings { probes: 40, block: 8, seed: 7 })?;
//! assert!((moments.trace.value - 2.0).abs() <= 4.0 * moments.trace.standard_error);
//! let squared = moments.frobenius_squared;
//! assert!((squared.value - 14.0).abs() <= 4.0 * squared.standard_error);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Deliberately not known here: that the operator is a Hessian, what it costs, and how results are
//! stored. Time and progress are the caller's; wrap the operator in `flatness_operator::Counted` to
//! watch it at work.

mod basis;
mod dense;
mod density;
mod error;
mod estimate;
mod krylov;
mod lanczos;
mod power;
mod probes;
mod product;
mod quadrature;
mod settings;
mod trace;
mod tridiagonal;

pub use dense::{DenseSpectrum, dense_spectrum};
pub use density::Density;
pub use error::Error;
pub use estimate::Estimate;
pub use lanczos::{Lanczos, LanczosSettings, RitzValue, lanczos};
pub use power::{PowerIteration, PowerSettings, power_iteration};
pub use probes::Probe;
pub use quadrature::{Quadrature, QuadratureSettings, Rule, quadrature};
pub use trace::{Moments, MomentsSettings, moments};
