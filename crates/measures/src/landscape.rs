//! The loss on a line and in a plane through θ:
//!
//! ```text
//! line    L(θ + a d)
//! plane   L(θ + a d + b e)
//! ```
//!
//! L is a mean over the data, not its rise. The directions are the caller's, such as eigenvectors, or
//! filter-normalised ones: d of independent normal elements, each filter of it scaled to the norm
//! of the same filter of θ, and zero where parameters are vectors (biases, batch-norm). Source: Li, Xu,
//! Taylor, Studer, Goldstein, "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018, section 4;
//! leaving biases and batch-norm out is their software's option `biasbn`.

use candle_core::Tensor;
use flatness_curvature::MeanLoss;
use flatness_layers::ParamLayout;

use crate::Error;
use crate::draws::Draw;
use crate::sweeps::{Progress, Sweeps, finite};
use crate::vector::{check_like, norm};

/// The loss in a plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// Offsets a along the first direction.
    pub first: Vec<f64>,
    /// Offsets b along the second.
    pub second: Vec<f64>,
    /// Loss for each a, for each b.
    pub losses: Vec<Vec<f64>>,
}

/// L(θ + a d) for each a of the `offsets`, at `theta` (P) along `direction` (P) of any length. One loss
/// each.
///
/// # Errors
/// Offsets or losses that are not finite, a direction that is not like `theta`, and those of the mean
/// loss.
pub fn loss_line(
    mean_loss: &MeanLoss<'_>,
    theta: &Tensor,
    direction: &Tensor,
    offsets: &[f64],
    progress: Progress<'_>,
) -> Result<Vec<f64>, Error> {
    check(theta, direction, offsets)?;
    let mut sweeps = Sweeps::new(mean_loss, progress);
    let loss = |&offset: &f64| sweeps.loss(&(theta + (direction * offset)?)?);
    offsets.iter().map(loss).collect()
}

/// L(θ + a d + b e) for each a and b of the `offsets`, at `theta` (P) along two `directions` (P) of any
/// length. One loss each.
///
/// # Errors
/// As [`loss_line`].
pub fn loss_plane(
    mean_loss: &MeanLoss<'_>,
    theta: &Tensor,
    directions: [&Tensor; 2],
    offsets: [&[f64]; 2],
    progress: Progress<'_>,
) -> Result<Plane, Error> {
    for (direction, offsets) in directions.into_iter().zip(offsets) {
        check(theta, direction, offsets)?;
    }
    let [first, second] = offsets;
    let mut losses = Vec::with_capacity(first.len());
    for &offset in first {
        let moved = (theta + (directions[0] * offset)?)?;
        losses.push(loss_line(
            mean_loss,
            &moved,
            directions[1],
            second,
            progress,
        )?);
    }
    Ok(Plane {
        first: first.to_vec(),
        second: second.to_vec(),
        losses,
    })
}

/// A filter-normalised random direction (P) at `theta` (P), drawn from `seed`. A filter is a row of an
/// affine weight, or the kernel of one output channel.
///
/// # Errors
/// A `theta` that is not of the layout, or a device error.
pub fn filter_normalized_direction(
    layout: &ParamLayout,
    theta: &Tensor,
    seed: u64,
) -> Result<Tensor, Error> {
    let draw = Draw::Gaussian.vector(layout.dim(), theta, seed, 0)?;
    let mut pieces = Vec::with_capacity(layout.parameters().len());
    for (weight, draw) in layout.views(theta)?.iter().zip(layout.views(&draw)?) {
        if weight.rank() < 2 {
            pieces.push(weight.zeros_like()?);
            continue;
        }
        let mut filters = Vec::with_capacity(weight.dim(0)?);
        for index in 0..weight.dim(0)? {
            let (weight, draw) = (weight.get(index)?, draw.get(index)?);
            filters.push((&draw * (norm(&weight)? / norm(&draw)?))?);
        }
        pieces.push(Tensor::stack(&filters, 0)?);
    }
    Ok(layout.concatenate(&pieces)?)
}

fn check(theta: &Tensor, direction: &Tensor, offsets: &[f64]) -> Result<(), Error> {
    check_like("a direction", theta, direction)?;
    for &offset in offsets {
        finite("an offset", offset)?;
    }
    Ok(())
}
