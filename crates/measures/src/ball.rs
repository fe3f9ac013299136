//! The greatest rise of the loss in a Euclidean ball around θ: max over ‖d‖ ≤ r of L(θ + d) − L(θ).
//!
//! To second order, where the gradient vanishes, it is λ_max r² / 2 (Granziol 2020, equation 1, without
//! the ½); where training was decayed that is the gradient of the [`Objective`] with its L2 term, and λ_max
//! that of H + γ I. The maximum is searched for by projected gradient ascent, see [`Ascent`](crate::Ascent): a
//! lower bound. L is a mean over the data.

use candle_core::Tensor;

use crate::ascent::Search;
use crate::objective::Sweeps;
use crate::region::{Chart, Region};
use crate::vector::{check_like, check_positive, length};
use crate::{Ascent, AscentSettings, Error, Objective, Watch};

/// What [`ball_rise`] is to do.
#[derive(Debug, Clone, Copy)]
pub struct BallSettings<'s> {
    /// r, above 0.
    pub radius: f64,
    /// Directions (P), such as the top eigenvector, whose both ends in the ball are starts too.
    pub directions: &'s [Tensor],
    /// The search.
    pub ascent: AscentSettings,
}

/// The greatest rise of the objective in the ball around `theta` (P).
///
/// # Errors
/// [`Error::OutOfRange`] and [`Error::Zero`] for settings, directions that are not like `theta` or
/// have no length, [`Error::Interrupted`] before there is a rise, a loss that is not finite, and those
/// of the mean loss.
pub fn ball_rise(
    objective: &Objective<'_>,
    theta: &Tensor,
    settings: &BallSettings<'_>,
    watch: Watch<'_>,
) -> Result<Ascent, Error> {
    settings.ascent.check()?;
    check_positive("the radius", settings.radius)?;
    let what = "a direction of the ball";
    let region = Region::Ball(settings.radius);
    let mut starts = Vec::with_capacity(2 * settings.directions.len());
    for direction in settings.directions {
        check_like(what, theta, direction)?;
        length(what, direction)?;
        let end = region.onto_border(direction)?;
        starts.extend([end.neg()?, end]);
    }
    let mut sweeps = Sweeps::new(objective, watch);
    let loss = sweeps.loss(theta)?;
    let search = Search {
        theta,
        loss,
        chart: &Chart::Identity,
        region: &region,
    };
    let (ascent, _) = search.maximize(&mut sweeps, theta.elem_count(), starts, &settings.ascent)?;
    Ok(ascent)
}
