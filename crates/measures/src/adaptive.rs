//! Adaptive sharpness: the loss rise where every weight may move in proportion to its size (claim C8).
//!
//! ```text
//! worst case    max over ‖T⁻¹ d‖ ≤ ρ of L(θ + d) − L(θ),     T = diag(|θ| + η)
//! second order  ½ ρ² λ_max(T H T)
//! ```
//!
//! L is a mean over the data, with the L2 term of the [`Objective`] where there is one. Elementwise: T = diag(|θ|) is unchanged in relation to θ when two layers
//! of a ReLU network are rescaled, and so are both numbers. Source: Kwon, Kim, Park, Choi, "ASAM:
//! Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of Deep Neural Networks", ICML
//! 2021, definition 2 with p = 2; η, 0.01 there, is their remedy for weights near zero and breaks
//! the invariance a little. The maximum is searched for by projected gradient ascent, see
//! [`Ascent`](crate::Ascent): a lower bound.

use candle_core::Tensor;
use flatness_operator::{Congruence, LinearOperator};

use crate::ball::rise_in_ball;
use crate::region::Chart;
use crate::vector::{check_from_zero, check_like};
use crate::{Ascent, AscentSettings, BallSettings, Error, Objective, Watch};

/// What [`adaptive_rise`] is to do.
#[derive(Debug, Clone, Copy)]
pub struct AdaptiveSettings<'s> {
    /// ρ, above 0.
    pub radius: f64,
    /// η, at least 0. With zero, weights that are zero stay so.
    pub offset: f64,
    /// Directions d (P), such as T times the top eigenvector of T H T, whose both ends in the
    /// ellipsoid are starts too; their elements where T is zero are left out.
    pub directions: &'s [Tensor],
    /// The search.
    pub ascent: AscentSettings,
}

/// T A T with T = diag(|θ| + η), whose largest eigenvalue is the adaptive sharpness to second order where A is
/// the Hessian of the objective; any other matrix, or H + γ I, gives its own.
///
/// # Errors
/// [`Error::OutOfRange`] for a negative `offset`, and a `theta` that is not of the operator.
pub fn adaptive<Operator: LinearOperator>(
    operator: Operator,
    theta: &Tensor,
    offset: f64,
) -> Result<Congruence<Operator>, Error> {
    Ok(Congruence::new(operator, &scales(theta, offset)?)?)
}

/// The worst-case rise of the objective in the ellipsoid around `theta` (P).
///
/// # Errors
/// [`Error::OutOfRange`] and [`Error::Zero`] for settings, directions that are not like `theta` or
/// have no length in the ellipsoid, [`Error::Interrupted`] before there is a rise, a loss that is not
/// finite, and those of the mean loss.
pub fn adaptive_rise(
    objective: &Objective<'_>,
    theta: &Tensor,
    settings: &AdaptiveSettings<'_>,
    watch: Watch<'_>,
) -> Result<Ascent, Error> {
    let scales = scales(theta, settings.offset)?;
    let what = "a direction of the ellipsoid";
    let coordinates = settings.directions.iter().map(|direction| {
        check_like(what, theta, direction)?;
        let z = (direction / &scales)?;
        Ok(scales.gt(0.0)?.where_cond(&z, &z.zeros_like()?)?)
    });
    let coordinates = coordinates.collect::<Result<Vec<_>, Error>>()?;
    let ball = BallSettings {
        radius: settings.radius,
        directions: &coordinates,
        ascent: settings.ascent,
    };
    let chart = Chart::Diagonal(scales);
    rise_in_ball(objective, theta, &chart, what, &ball, watch)
}

/// |θ| + η, (P).
fn scales(theta: &Tensor, offset: f64) -> Result<Tensor, Error> {
    check_from_zero("the offset", offset)?;
    Ok((theta.abs()? + offset)?)
}
