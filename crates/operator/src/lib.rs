//! Symmetric real linear operators on flat vectors: the seam between whoever can multiply by a
//! matrix and whoever wants to know its spectrum.
//!
//! The noun is [`LinearOperator`]: a dimension, an element type, a device, and the product A V for
//! the rows of a block V. [`Dense`] holds a matrix; [`Sum`] (A + B), [`Scaled`] (s A), [`Shifted`]
//! (A + s I), [`Congruence`] (D A D) and [`Principal`] (the rows and columns at some indices) build
//! operators from operators; [`Counted`] counts the vectors multiplied, while the operator is at work.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use flatness_operator::{Counted, Dense, LinearOperator, Shifted};
//!
//! let matrix = Tensor::new(&[[2.0_f64, 1.0], [1.0, 2.0]], &Device::Cpu)?;
//! let operator = Counted::new(Shifted::new(Dense::new(&matrix)?, 10.0)?);
//! let product = operator.apply(&Tensor::new(&[1.0_f64, 0.0], &Device::Cpu)?)?;
//! assert_eq!(product.to_vec1::<f64>()?, [12.0, 1.0]);
//! assert_eq!(operator.products(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Deliberately not known here: networks, data, losses, and the Krylov methods that consume an
//! operator. Symmetry is a promise of the implementer; only [`Dense`], which holds every entry, can
//! and does test it.

mod congruence;
mod counted;
mod dense;
mod error;
mod linear_operator;
mod principal;
mod scaled;
mod shifted;
mod sum;

pub use congruence::Congruence;
pub use counted::Counted;
pub use dense::Dense;
pub use error::Error;
pub use linear_operator::{LinearOperator, check_block};
pub use principal::Principal;
pub use scaled::Scaled;
pub use shifted::Shifted;
pub use sum::Sum;
