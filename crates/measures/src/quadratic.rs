//! Loss rises along given directions, to be held against their quadratic prediction (claim C5).
//!
//! ```text
//! even rise   (L(θ + r u) + L(θ − r u)) / 2 − L(θ) = ½ r² uᵀ H u + O(r⁴),    ‖u‖ = 1
//! ratio       Σ even rises / Σ ½ r² uᵀ H u over directions u: of means, since uᵀ H u may have either sign
//! Fisher-Rao  ‖θ‖²_FR = θᵀ G θ = (1/N) Σᵢ (Jᵢ θ)ᵀ Aᵢ (Jᵢ θ), with G the Gauss-Newton matrix
//! ```
//!
//! L is a mean over the data. With both signs the gradient's share cancels. Source: a Taylor expansion;
//! for u uniform on the sphere the mean of the right side is Tr H / P · r² / 2, for a top eigenvector it
//! is λ r² / 2. With the L2 term of the [`Objective`], H + γ I stands for H.
//!
//! The Fisher-Rao norm (claim C8) is *squared*, without a factor ½. For cross-entropy G is the Fisher information
//! with labels drawn from the model, so that this is the norm of the statistical literature. Liang, Poggio,
//! Rakhlin, Stokes, "Fisher-Rao Metric, Geometry, and Complexity of Neural Networks", AISTATS 2019, definition 2,
//! take the expectation over the labels of the data instead, that is (1/N) Σᵢ (θ·∇lᵢ)². Rescaling two layers of a
//! ReLU network does not change it: D θ meets D⁻¹ G D⁻¹.

use candle_core::Tensor;
use flatness_kernels::{dot, norm};
use flatness_operator::LinearOperator;

use crate::estimate::{average, rounding, rounding_of_form};
use crate::objective::{Sweeps, finite, unless_interrupted};
use crate::vector::{check_like, check_positive};
use crate::{Cost, Error, Estimate, Objective, Stop, Watch};

/// Loss rises along directions.
#[derive(Debug, Clone, PartialEq)]
pub struct LossRises {
    /// f(θ)
    pub loss: f64,
    /// For each direction, for each radius; interrupted, of the directions that were finished.
    pub rises: Vec<Vec<LossRise>>,
    /// Complete or interrupted.
    pub stop: Stop,
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
    /// What rounding of the losses may have changed each of them, and their mean, by.
    pub rounding: f64,
}

/// vᵀ A v.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Form {
    /// The number.
    pub value: f64,
    /// What rounding may have changed it by: 64 ε ‖v‖ ‖A v‖ in the number type of the product.
    pub rounding: f64,
    /// The product.
    pub cost: Cost,
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

/// The rises of the objective at `theta` (P) along each of the `units` (P), of length 1, at each of the `radii`: one
/// loss, and two for each direction and radius.
///
/// # Errors
/// [`Error::OutOfRange`] for a radius that is not a positive number, directions that are not like
/// `theta`, [`Error::Interrupted`] before the first direction is finished, a loss that is not finite, and
/// those of the mean loss.
pub fn loss_rises(
    objective: &Objective<'_>,
    theta: &Tensor,
    units: &[Tensor],
    radii: &[f64],
    watch: Watch<'_>,
) -> Result<LossRises, Error> {
    for &radius in radii {
        check_positive("a radius", radius)?;
    }
    for unit in units {
        check_like("a direction", theta, unit)?;
    }
    let mut sweeps = Sweeps::new(objective, watch);
    let loss = sweeps.loss(theta)?;
    let mut along = |unit: &Tensor, radius: f64| {
        let step = (unit * radius)?;
        let up = sweeps.loss(&(theta + &step)?)?;
        let down = sweeps.loss(&(theta - &step)?)?;
        Ok(LossRise {
            radius,
            up: up - loss,
            down: down - loss,
            rounding: rounding(loss.abs() + up.abs().max(down.abs())),
        })
    };
    let mut rises: Vec<Vec<LossRise>> = Vec::with_capacity(units.len());
    let mut stop = Stop::Complete;
    for unit in units {
        let found = radii.iter().map(|&radius| along(unit, radius)).collect();
        let Some(found) = unless_interrupted(found, !rises.is_empty())? else {
            stop = Stop::Interrupted;
            break;
        };
        rises.push(found);
    }
    Ok(LossRises {
        loss,
        rises,
        stop,
        cost: sweeps.take_cost(),
    })
}

/// The mean even rise over the mean quadratic one, of directions with these `rises` at one radius, and these `forms`
/// uᵀ H u: by pairs, with the standard error over directions.
///
/// # Errors
/// [`Error::Pairs`] for another number of forms than of rises, or none, and [`Error::Unresolved`] where the mean quadratic rise is within two errors of zero, as it may be where H
/// has eigenvalues of either sign.
pub fn rise_over_quadratic(rises: &[LossRise], forms: &[Form]) -> Result<Estimate, Error> {
    if rises.len() != forms.len() || rises.is_empty() {
        return Err(Error::Pairs {
            rises: rises.len(),
            forms: forms.len(),
        });
    }
    let of_rises = |value: fn(&LossRise) -> f64| rises.iter().map(value).collect::<Vec<f64>>();
    let pairs = || rises.iter().zip(forms);
    let quadratic = pairs().map(|(rise, form)| rise.quadratic(form.value));
    let roundings = pairs().map(|(rise, form)| rise.quadratic(form.rounding));
    Estimate::ratio(
        "the mean quadratic rise",
        [&of_rises(LossRise::even), &quadratic.collect::<Vec<_>>()],
        [
            average(&of_rises(|rise| rise.rounding)),
            average(&roundings.collect::<Vec<_>>()),
        ],
    )
}

/// vᵀ A v, summed in double precision. One product: who wants to interrupt asks before.
///
/// # Errors
/// Those of the operator, and a product that is not finite.
pub fn quadratic_form(operator: &dyn LinearOperator, vector: &Tensor) -> Result<Form, Error> {
    form(vector, &operator.apply(vector)?)
}

/// v·Av of a vector and its product.
pub(crate) fn form(vector: &Tensor, product: &Tensor) -> Result<Form, Error> {
    let value = finite("the quadratic form", dot(vector, product)?)?;
    Ok(Form {
        value,
        rounding: rounding_of_form(product.dtype(), norm(vector)? * norm(product)?),
        cost: Cost {
            products: 1,
            ..Cost::default()
        },
    })
}
