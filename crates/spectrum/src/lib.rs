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
//! `cargo run --release --example eigenpairs`:
//!
//! ```
#![doc = include_str!("../examples/eigenpairs.rs")]
//! ```
//!
//! Of any candle model: `cargo run --release --example candle_model`.
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
