//! Power iteration: the eigenvalue of largest magnitude by a method that shares nothing with
//! Lanczos but its products.
//!
//! ```text
//! w = A v,   λ = vᵀ w,   v ← w / ‖w‖,   ‖v‖ = 1
//! ```
//!
//! The residual ‖w − λ v‖ bounds the distance of λ to an eigenvalue. It shrinks by |λ₂ / λ₁| an
//! iteration.

use flatness_operator::LinearOperator;

use crate::error::{check_positive, check_positive_real};
use crate::product::{epsilon, multiply, norm, row_dots};
use crate::{Error, Probe};

/// What [`power_iteration`] is to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerSettings {
    /// Products allowed, at least 1.
    pub max_iterations: usize,
    /// Stop when the residual is at most this fraction of |λ|. Below the machine epsilon of the
    /// operator's element type it is never reached.
    pub tolerance: f64,
    /// Seed of the start vector, which is probe 0 of [`Probe::Gaussian`]: the start vector of
    /// [`crate::Lanczos`] with the same seed, so that an independent check takes another.
    pub seed: u64,
}

/// The outcome of [`power_iteration`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerIteration {
    /// The Rayleigh quotient λ, with its sign.
    pub value: f64,
    /// ‖A v − λ v‖ for the unit vector v of the last iteration, and never less than the machine
    /// epsilon of the operator's element type times |λ|.
    pub residual: f64,
    /// Iterations run.
    pub iterations: usize,
    /// Matrix-vector products used, one an iteration.
    pub products: usize,
    /// The residual came within the tolerance. If not, `value` may be far off: with eigenvalues +λ
    /// and −λ of the same magnitude the vector keeps a part of each, and the quotient stays
    /// strictly between them.
    pub converged: bool,
    /// Seed of the start vector.
    pub seed: u64,
}

/// Iterates until the residual is within the tolerance or the products are used up, which is no
/// error but `converged = false`.
///
/// # Errors
///
/// [`Error::Zero`] for no iterations or an operator of dimension 0, [`Error::OutOfRange`] for a
/// tolerance that is not a positive number, [`Error::UnsupportedDType`],
/// [`Error::NonFiniteProduct`] with the iteration, [`Error::ProductMismatch`], and the operator's
/// own.
pub fn power_iteration<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    settings: &PowerSettings,
) -> Result<PowerIteration, Error> {
    let PowerSettings {
        max_iterations,
        tolerance,
        seed,
    } = *settings;
    check_positive("max_iterations", max_iterations)?;
    check_positive_real("tolerance", tolerance)?;
    check_positive("the operator's dimension", operator.dim())?;
    let epsilon = epsilon(operator.dtype())?;
    let start = Probe::Gaussian.rows(operator, 0..1, seed)?;
    let mut vector = start.affine(norm(&start)?.recip(), 0.0)?;
    let mut outcome = PowerIteration {
        value: f64::NAN,
        residual: f64::INFINITY,
        iterations: 0,
        products: 0,
        converged: false,
        seed,
    };
    while !outcome.converged && outcome.iterations < max_iterations {
        let product = multiply(operator, &vector)?;
        let value: f64 = row_dots(&vector, &product)?.iter().sum();
        let length = norm(&product)?;
        if !(value.is_finite() && length.is_finite()) {
            return Err(Error::NonFiniteProduct {
                probe: 0,
                product: outcome.iterations,
            });
        }
        let residual = norm(&(&product - vector.affine(value, 0.0)?)?)?;
        outcome.value = value;
        outcome.residual = residual.max(epsilon * value.abs());
        outcome.iterations += 1;
        outcome.products += 1;
        outcome.converged = outcome.residual <= tolerance * value.abs();
        // A product of zero has a residual of zero and ends the loop as converged, before this
        // divides by it.
        if !outcome.converged {
            vector = product.affine(length.recip(), 0.0)?;
        }
    }
    Ok(outcome)
}
