//! The greatest rise of the loss in a Euclidean ball around θ: max over ‖d‖ ≤ r of L(θ + d) − L(θ).
//!
//! To second order, where the gradient vanishes, it is λ_max r² / 2 (Granziol 2020, equation 1, without
//! the ½); where training was decayed that is the gradient of the [`Objective`] with its L2 term, and λ_max
//! that of H + γ I. The maximum is searched for by projected gradient ascent, see [`Ascent`](crate::Ascent): a
//! lower bound. L is a mean over the data.

use candle_core::Tensor;

use crate::ascent::Search;
use crate::objective::Sweeps;
use crate::region::{Region, ends};
use crate::vector::check_positive;
use crate::{Ascent, AscentSettings, Error, Objective, Watch};

/// The greatest rise of the objective in the ball of this `radius` above 0 around `theta` (P). Both ends of each of the
/// `directions` (P), such as the top eigenvector, are starts too.
///
/// # Errors
/// [`Error::OutOfRange`] and [`Error::Zero`] for settings, directions that are not like `theta` or
/// have no length, [`Error::Interrupted`] before there is a rise, a loss that is not finite, and those
/// of the mean loss.
pub fn ball_rise(
    objective: &Objective<'_>,
    theta: &Tensor,
    radius: f64,
    directions: &[Tensor],
    ascent: &AscentSettings,
    watch: Watch<'_>,
) -> Result<Ascent, Error> {
    ascent.check()?;
    check_positive("the radius", radius)?;
    let region = Region::Ball(radius);
    let ends = ends("a direction of the ball", theta, directions)?;
    let starts = ends.iter().map(|end| region.onto_border(end));
    let starts = starts.collect::<Result<_, _>>()?;
    let mut sweeps = Sweeps::new(objective, watch);
    let search = Search {
        theta,
        loss: sweeps.loss(theta)?,
        region: &region,
    };
    Ok(search.maximize(&mut sweeps, starts, ascent)?.0)
}
