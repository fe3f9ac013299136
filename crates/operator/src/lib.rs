//! Symmetric real linear operators on flat vectors: the seam between whoever can multiply by a
//! matrix and whoever wants to know its spectrum.
//!
//! The noun is [`LinearOperator`]: a dimension, an element type, a device, and the product A V for
//! the rows of a block V. [`from_fn`] makes an operator of a closure, [`GradientDifferences`] the Hessian of whatever
//! has a gradient; [`Congruence`] (D A D) and [`Principal`] (the rows and columns at some indices) build operators from
//! operators.
//!
//! `cargo run --release --example congruence`:
//!
//! ```
#![doc = include_str!("../examples/congruence.rs")]
//! ```
//!
//! Deliberately not known here: networks, data, losses, and the Krylov methods that consume an
//! operator. Symmetry is a promise of the implementer.

mod congruence;
mod differences;
mod error;
mod from_fn;
mod linear_operator;
mod principal;

pub use congruence::Congruence;
pub use differences::{DifferenceError, GradientDifferences};
pub use error::Error;
pub use from_fn::{FromFn, from_fn};
pub use linear_operator::{LinearOperator, check_block, check_dim, check_like};
pub use principal::Principal;
