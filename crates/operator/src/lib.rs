//! Symmetric real linear operators on flat vectors: the seam between whoever can multiply by a
//! matrix and whoever wants to know its spectrum.
//!
//! The noun is [`LinearOperator`]: a dimension, an element type, a device, and the product A V for
//! the rows of a block V. [`from_fn`] makes an operator of a closure, [`GradientDifferences`] the Hessian of whatever
//! has a gradient; [`Congruence`] (D A D) and [`Principal`] (the rows and columns at some indices) build operators from
//! operators.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use flatness_operator::{Congruence, LinearOperator, from_fn};
//!
//! let matrix = Tensor::new(&[[2.0_f64, 1.0], [1.0, 2.0]], &Device::Cpu)?;
//! let products = from_fn(2, DType::F64, &Device::Cpu, |vectors| vectors.matmul(&matrix));
//! let operator = Congruence::new(products, &Tensor::new(&[1.0_f64, 3.0], &Device::Cpu)?)?;
//! let product = operator.apply(&Tensor::new(&[1.0_f64, 0.0], &Device::Cpu)?)?;
//! assert_eq!(product.to_vec1::<f64>()?, [2.0, 3.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
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
