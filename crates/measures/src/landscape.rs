//! The loss on a line and in a plane through θ:
//!
//! ```text
//! line    L(θ + a d)
//! plane   L(θ + a d + b e)
//! ```
//!
//! L is a mean over the data, with the L2 term of the [`Objective`] where there is one, not its rise. The directions
//! are the caller's, such as eigenvectors. Source: Li, Xu, Taylor, Studer, Goldstein, "Visualizing the Loss
//! Landscape of Neural Nets", NeurIPS 2018, section 2 (who draw theirs at random and scale their filters).

use candle_core::Tensor;

use crate::objective::{Sweeps, finite, unless_interrupted};
use crate::vector::check_like;
use crate::{Cost, Error, Objective, Stop, Watch};

/// Losses at the points of a line or a plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Landscape {
    /// Loss at each point in order: for each a, in a plane for each b. Interrupted, the first of them.
    pub losses: Vec<f64>,
    /// Complete or interrupted.
    pub stop: Stop,
    /// Sweeps over the data.
    pub cost: Cost,
}

/// f(θ + a d) for each a of the `offsets`, at `theta` (P) along `direction` (P) of any length. One loss
/// each.
///
/// # Errors
/// Offsets or losses that are not finite, a direction that is not like `theta`, [`Error::Interrupted`] before
/// there is a loss, and those of the mean loss.
pub fn loss_line(
    objective: &Objective<'_>,
    theta: &Tensor,
    direction: &Tensor,
    offsets: &[f64],
    watch: Watch<'_>,
) -> Result<Landscape, Error> {
    check(theta, direction, offsets)?;
    let points = offsets
        .iter()
        .map(|&offset| along(theta, direction, offset));
    losses(objective, points, watch)
}

/// f(θ + a d + b e) for each a and, within it, each b of the `offsets`, at `theta` (P) along two `directions` (P)
/// of any length. One loss each.
///
/// # Errors
/// As [`loss_line`].
pub fn loss_plane(
    objective: &Objective<'_>,
    theta: &Tensor,
    directions: [&Tensor; 2],
    offsets: [&[f64]; 2],
    watch: Watch<'_>,
) -> Result<Landscape, Error> {
    for (direction, offsets) in directions.into_iter().zip(offsets) {
        check(theta, direction, offsets)?;
    }
    let pairs = offsets[0]
        .iter()
        .flat_map(|&a| offsets[1].iter().map(move |&b| (a, b)));
    let points = pairs.map(|(a, b)| along(&along(theta, directions[0], a)?, directions[1], b));
    losses(objective, points, watch)
}

fn along(theta: &Tensor, direction: &Tensor, offset: f64) -> Result<Tensor, Error> {
    Ok((theta + (direction * offset)?)?)
}

fn losses(
    objective: &Objective<'_>,
    points: impl Iterator<Item = Result<Tensor, Error>>,
    watch: Watch<'_>,
) -> Result<Landscape, Error> {
    let mut sweeps = Sweeps::new(objective, watch);
    let mut losses: Vec<f64> = Vec::new();
    let mut stop = Stop::Complete;
    for point in points {
        let Some(loss) = unless_interrupted(sweeps.loss(&point?), !losses.is_empty())? else {
            stop = Stop::Interrupted;
            break;
        };
        losses.push(loss);
    }
    Ok(Landscape {
        losses,
        stop,
        cost: sweeps.take_cost(),
    })
}

fn check(theta: &Tensor, direction: &Tensor, offsets: &[f64]) -> Result<(), Error> {
    check_like("a direction", theta, direction)?;
    for &offset in offsets {
        finite("an offset", offset)?;
    }
    Ok(())
}
