//! Where a perturbation y (P) may lie: in a box or in a ball.
//!
//! ```text
//! box     |yᵢ| ≤ sᵢ
//! ball    ‖y‖ ≤ ρ
//! gap     max over the region of g·(y' − y): what the linear model at y still promises
//! ```

use candle_core::Tensor;
use flatness_kernels::{dot, norm};

use crate::Error;
use crate::vector::{check_like, largest, length, sum};

/// The y allowed.
#[derive(Debug)]
pub(crate) enum Region {
    /// s, (P).
    Box(Tensor),
    /// ρ.
    Ball(f64),
}

impl Region {
    /// The nearest point of the region.
    pub(crate) fn project(&self, y: &Tensor) -> Result<Tensor, Error> {
        Ok(match self {
            Self::Box(half_widths) => y.minimum(half_widths)?.maximum(&half_widths.neg()?)?,
            Self::Ball(radius) => {
                let length = norm(y)?;
                if length <= *radius {
                    y.clone()
                } else {
                    (y * (radius / length))?
                }
            }
        })
    }

    /// The gap at y with the gradient g.
    pub(crate) fn gap(&self, y: &Tensor, g: &Tensor) -> Result<f64, Error> {
        match self {
            // Term by term, so that a corner where every sign fits has a gap of exactly zero.
            Self::Box(half_widths) => sum(&((half_widths * g.abs()?)? - (g * y)?)?),
            Self::Ball(radius) => Ok(radius * norm(g)? - dot(g, y)?),
        }
    }

    /// Steps to try for a gradient g that is not zero, of the size of the region. In the box: towards
    /// the corner that the linear model prefers, and along the gradient measured in half-widths,
    /// which can come to rest on a face or inside.
    pub(crate) fn steps(&self, g: &Tensor) -> Result<Vec<Tensor>, Error> {
        Ok(match self {
            Self::Box(half_widths) => {
                let scaled = (half_widths * g)?;
                let most = largest(&scaled)?;
                vec![
                    (half_widths * g.sign()?)?,
                    ((half_widths * scaled)? / most)?,
                ]
            }
            Self::Ball(radius) => vec![(g * (radius / norm(g)?))?],
        })
    }

    /// The positive multiple of `y` on the border.
    pub(crate) fn onto_border(&self, y: &Tensor) -> Result<Tensor, Error> {
        let size = match self {
            Self::Box(half_widths) => largest(&(y / half_widths)?)?,
            Self::Ball(radius) => norm(y)? / radius,
        };
        Ok((y / size)?)
    }
}

/// The `directions` of a region around `theta` with both signs, each like `theta` and of some length; `what` they
/// are.
pub(crate) fn ends(
    what: &'static str,
    theta: &Tensor,
    directions: &[Tensor],
) -> Result<Vec<Tensor>, Error> {
    let mut ends = Vec::with_capacity(2 * directions.len());
    for direction in directions {
        check_like(what, theta, direction)?;
        length(what, direction)?;
        ends.extend([direction.neg()?, direction.clone()]);
    }
    Ok(ends)
}
