//! The spectrum of a symmetric linear operator known only by its products, each number with its
//! error.
//!
//! The nouns: [`Eigenpairs`] at both ends of the spectrum, to a tolerance and in bounded memory; an
//! [`Estimate`] of trace and squared Frobenius norm from [`moments_until`]; the [`Diagonal`] from
//! [`xdiag_until`]; a [`Quadrature`] (Tr f(A), ranks, counts and the spectral density); and all eigenvalues
//! from [`dense_spectrum`]. [`Verified`] asks an operator whether it keeps its promises while it is measured.
//! Every result says what it cost in products and which seed repeats it.
//!
//! What goes on until it is accurate enough takes a [`Budget`] and reports [`Progress`]; its result
//! names the [`Stop`]. [`moments_until`] and [`quadrature_until`] take a [`Deflation`], known
//! eigenvectors that their probes then need not find.
//!
//! Vectors stay in the operator's element type, float32 or float64, and on its device; scalars are
//! float64. No error is below the rounding of that type.
//!
//! The two largest eigenvalues and the smallest to a residual of 1e-8, then a trace to 2 %:
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use flatness_operator::from_fn;
//! use flatness_spectrum::{
//!     Budget, EigenpairsSettings, Goal, MomentsSettings, Stop, eigenpairs, moments_until,
//! };
//!
//! // Eigenvalues 1, 1/4, 1/9, …, 1/2500.
//! let squares = Tensor::arange(1.0, 51.0, &Device::Cpu)?.sqr()?.recip()?;
//! let operator = from_fn(50, DType::F64, &Device::Cpu, |vectors| vectors.broadcast_mul(&squares));
//!
//! let settings = EigenpairsSettings {
//!     top: 2,
//!     bottom: 1,
//!     block: 1,
//!     basis: 20,
//!     tolerance: 1e-8,
//!     least_products: 0,
//!     seed: 7,
//! };
//! let mut shown = 0;
//! let pairs = eigenpairs(&operator, &settings, &Budget::UNLIMITED, &mut |progress| {
//!     shown = progress.products;
//! })?;
//! assert_eq!((pairs.stop, pairs.products), (Stop::Converged, shown));
//! assert!((pairs.top[1].value - 0.25).abs() <= pairs.top[1].residual);
//! assert_eq!(pairs.top_vectors()?.dims(), [2, 50]);
//!
//! assert_eq!(pairs.spectral_norm().unwrap(), pairs.top[0]);
//!
//! let measured = moments_until(
//!     &operator,
//!     &MomentsSettings { probes: 4, block: 2, seed: 7 },
//!     Some(&pairs.deflation(f64::MAX)?),
//!     &Goal::relative(0.02),
//!     &Budget::of_products(100),
//!     &mut |_| (),
//! )?;
//! let trace = measured.result.trace;
//! assert_eq!(measured.stop, Stop::Converged);
//! assert!(trace.half_width(0.95)? <= 0.02 * trace.value);
//! assert!(trace.interval(0.95)?.contains(&1.6251327));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Deliberately not known here: that the operator is a Hessian, what it costs, and how results are
//! stored. Time is the caller's: a [`Budget`] asks a closure.

mod basis;
mod block_krylov;
mod budget;
mod deflation;
mod dense;
mod density;
mod diagonal;
mod diagonal_entries;
mod eigenpairs;
mod eigenpairs_settings;
mod error;
mod estimate;
mod functions;
mod krylov;
mod probes;
mod product;
mod quadrature;
mod rule;
mod sketch;
mod sums;
mod trace;
mod tridiagonal;
mod verified;
mod xdiag;

pub use budget::{Budget, Goal, Measured, Progress, Stop};
pub use deflation::Deflation;
pub use dense::{DenseSpectrum, dense_spectrum};
pub use density::{LogDensity, Signs};
pub use diagonal::Diagonal;
pub use eigenpairs::{Eigenpairs, Eigenvalue, eigenpairs};
pub use eigenpairs_settings::{EigenpairsSettings, basis_bytes};
pub use error::Error;
pub use estimate::Estimate;
pub use probes::Probe;
pub use quadrature::{
    Function, Quadrature, QuadratureSettings, quadrature_bytes, quadrature_until,
};
pub use rule::{Rule, Tridiagonal};
pub use trace::{Moments, MomentsSettings, moments_until};
pub use verified::Verified;
pub use xdiag::{XDiagSettings, xdiag_bytes, xdiag_until};
