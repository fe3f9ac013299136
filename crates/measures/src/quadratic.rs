//! Loss rises along given directions, to be held against their quadratic prediction (claim C5).
//!
//! ```text
//! even rise   (L(θ + r u) + L(θ − r u)) / 2 − L(θ) = ½ r² uᵀ H u + O(r⁴),    ‖u‖ = 1
//! ```
//!
//! L is a mean over the data. With both signs the gradient's share cancels. Source: a Taylor expansion;
//! for u uniform on the sphere the mean of the right side is Tr H / P · r² / 2, for a top eigenvector it
//! is λ r² / 2. Rises may be as small as 1e-9 of the loss: take float64.

use candle_core::Tensor;
use flatness_curvature::MeanLoss;
use flatness_kernels::dot;
use flatness_operator::LinearOperator;

use crate::sweeps::{Progress, Sweeps, finite};
use crate::vector::{check_like, check_positive, norm};
use crate::{Cost, Error};

/// Loss rises along directions.
#[derive(Debug, Clone, PartialEq)]
pub struct LossRises {
    /// L(θ)
    pub loss: f64,
    /// For each direction, for each radius.
    pub rises: Vec<Vec<LossRise>>,
    /// Sweeps over the data.
    pub cost: Cost,
}

/// The rises at ± r u.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossRise {
    /// r, the length of the step.
    pub radius: f64,
    /// L(θ + r u) − L(θ)
    pub up: f64,
    /// L(θ − r u) − L(θ)
    pub down: f64,
}

impl LossRise {
    /// The mean of both signs.
    #[must_use]
    pub fn even(&self) -> f64 {
        0.5 * (self.up + self.down)
    }

    /// ½ r² c for the curvature c = uᵀ H u: what [`LossRise::even`] is to second order.
    #[must_use]
    pub fn quadratic(&self, curvature: f64) -> f64 {
        0.5 * self.radius * self.radius * curvature
    }
}

/// The rises at `theta` (P) along each of the `units` (P), of length 1, at each of the `radii`: one
/// loss, and two for each direction and radius.
///
/// # Errors
/// [`Error::OutOfRange`] for a radius that is not a positive number, directions that are not like
/// `theta`, a loss that is not finite, and those of the mean loss.
pub fn loss_rises(
    mean_loss: &MeanLoss<'_>,
    theta: &Tensor,
    units: &[Tensor],
    radii: &[f64],
    progress: Progress<'_>,
) -> Result<LossRises, Error> {
    for &radius in radii {
        check_positive("a radius", radius)?;
    }
    for unit in units {
        check_like("a direction", theta, unit)?;
    }
    let mut sweeps = Sweeps::new(mean_loss, progress);
    let loss = sweeps.loss(theta)?;
    let mut along = |unit: &Tensor, radius: f64| {
        let step = (unit * radius)?;
        Ok(LossRise {
            radius,
            up: sweeps.loss(&(theta + &step)?)? - loss,
            down: sweeps.loss(&(theta - &step)?)? - loss,
        })
    };
    let rises = units
        .iter()
        .map(|unit| radii.iter().map(|&radius| along(unit, radius)).collect())
        .collect::<Result<_, Error>>()?;
    Ok(LossRises {
        loss,
        rises,
        cost: sweeps.take_cost(),
    })
}

/// vᵀ A v, summed in double precision. One product.
///
/// # Errors
/// Those of the operator, and a product that is not finite.
pub fn quadratic_form<Operator: LinearOperator + ?Sized>(
    operator: &Operator,
    vector: &Tensor,
) -> Result<f64, Error> {
    let form = dot(vector, &operator.apply(vector)?)?;
    finite("the quadratic form", form)
}

/// `vector` / ‖`vector`‖, in the same shape.
///
/// # Errors
/// [`Error::NoDirection`] for one that is zero or not finite.
pub fn unit(vector: &Tensor) -> Result<Tensor, Error> {
    let length = norm(vector)?;
    if !(length.is_finite() && length > 0.0) {
        return Err(Error::NoDirection {
            what: "the vector to be normalised",
        });
    }
    Ok((vector / length)?)
}
