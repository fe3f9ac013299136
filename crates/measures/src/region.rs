//! Where a perturbation may lie: y = C z with z (q) in a box or in a ball.
//!
//! ```text
//! C       identity (q = P), or a few columns A (P, q)
//! box     |zᵢ| ≤ sᵢ
//! ball    ‖z‖ ≤ ρ
//! gap     max over the region of g·(z' − z): what the linear model at z still promises
//! ```

use candle_core::Tensor;
use flatness_kernels::dot;

use crate::Error;
use crate::vector::{largest, norm, sum};

/// C: from coordinates z to perturbations y.
#[derive(Debug)]
pub(crate) enum Chart {
    Identity,
    /// Aᵀ, (q, P).
    Columns(Tensor),
}

/// The z allowed.
#[derive(Debug)]
pub(crate) enum Region {
    /// s, (q).
    Box(Tensor),
    /// ρ.
    Ball(f64),
}

impl Chart {
    /// C z, (P).
    pub(crate) fn displacement(&self, z: &Tensor) -> Result<Tensor, Error> {
        Ok(match self {
            Self::Identity => z.clone(),
            Self::Columns(rows) => z.unsqueeze(0)?.matmul(rows)?.squeeze(0)?,
        })
    }

    /// Cᵀ g, (q).
    pub(crate) fn pull_back(&self, gradient: &Tensor) -> Result<Tensor, Error> {
        Ok(match self {
            Self::Identity => gradient.clone(),
            Self::Columns(rows) => rows.matmul(&gradient.unsqueeze(1)?)?.squeeze(1)?,
        })
    }
}

impl Region {
    /// The nearest point of the region.
    pub(crate) fn project(&self, z: &Tensor) -> Result<Tensor, Error> {
        Ok(match self {
            Self::Box(half_widths) => z.minimum(half_widths)?.maximum(&half_widths.neg()?)?,
            Self::Ball(radius) => {
                let length = norm(z)?;
                if length <= *radius {
                    z.clone()
                } else {
                    (z * (radius / length))?
                }
            }
        })
    }

    /// The gap at z with the gradient g.
    pub(crate) fn gap(&self, z: &Tensor, g: &Tensor) -> Result<f64, Error> {
        match self {
            // Term by term, so that a corner where every sign fits has a gap of exactly zero.
            Self::Box(half_widths) => sum(&((half_widths * g.abs()?)? - (g * z)?)?),
            Self::Ball(radius) => Ok(radius * norm(g)? - dot(g, z)?),
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

    /// The positive multiple of `z` on the border.
    pub(crate) fn onto_border(&self, z: &Tensor) -> Result<Tensor, Error> {
        let size = match self {
            Self::Box(half_widths) => largest(&(z / half_widths)?)?,
            Self::Ball(radius) => norm(z)? / radius,
        };
        Ok((z / size)?)
    }
}
