//! Losses along the top eigenvector u, with their quadratic, and over the plane of the two leading eigenvectors.
//!
//! ```text
//! L(θ + r u),   L(θ) + r u·∇L + ½ r² uᵀ H u;   L(θ + r u + s v)
//! ```
//!
//! As far as the quadratic loss rises by one, or half of ‖θ‖. Memory: 5 vectors in double precision. Cost: 41 and 289 losses, a product.
//! Error: rounding.

use candle_core::DType;
use flatness_kernels::dot;
use flatness_layers::Network;
use flatness_measures::{Objective, loss_line, loss_plane, quadratic_form};
use flatness_records::Request;

use super::density::evenly;
use super::{Kind, Measure, leading, length};
use crate::Error;
use crate::context::Context;
use crate::cost::Span;
use crate::found::{Line, Plane};
use crate::quantity::cost;
use crate::room::{Refusal, Room};

/// Losses along a line.
const LINE: usize = 41;

/// Losses along either side of a plane.
const PLANE: usize = 17;

/// Rise of the quadratic loss at the border.
const RISE: f64 = 1.0;

/// Most that a picture goes away from θ, relative to ‖θ‖.
const FARTHEST: f64 = 0.5;

/// Directions of the plane.
const EIGENVECTORS: usize = 2;

/// Vectors at work.
const VECTORS: u64 = 5;

#[derive(Debug)]
pub(super) struct Landscape;

impl Measure for Landscape {
    fn kind(&self) -> Kind {
        Kind {
            leading: EIGENVECTORS,
            ..Kind::LOSS
        }
    }

    fn check(&self, _: &Network, rows: usize) -> Result<(), Error> {
        if rows < EIGENVECTORS {
            let (end, count) = ("top", EIGENVECTORS);
            return Err(Error::Eigenvalues { end, count, rows });
        }
        Ok(())
    }

    fn memory(&self, room: &Room<'_>) -> Result<usize, Refusal> {
        room.rows("--what landscape", VECTORS * room.whole, room.product)
    }

    fn cost(&self, _: &Request, _: usize) -> Span {
        Span::of([1, LINE + PLANE * PLANE, 0])
    }

    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let (theta, known) = (context.theta, context.hessian);
        let length = length(context)?;
        let directions = leading(context, EIGENVECTORS)?;
        let ([first, second], [top, next, ..], Some(gradient)) =
            (&directions[..], &known.top[..], &known.gradient)
        else {
            return Ok(());
        };
        let objective = Objective::new(context.mean_loss, 0.0)?;
        let offsets = |steps: &[f64]| steps.iter().map(|step| step * length).collect::<Vec<f64>>();
        let border = border(top.quantity.value, length);
        let steps = evenly(-border, border, LINE);
        let slope = dot(first, &gradient.to_dtype(DType::F64)?)?;
        // Not the eigenvalue, which is that of the parameters' own number type.
        let curvature = quadratic_form(context.operator, first)?.value;
        let quadratic = offsets(&steps)
            .into_iter()
            .map(|r| known.loss + r * slope + 0.5 * curvature * r * r);
        let quadratic = quadratic.collect();
        context.meter.stage("line", "losses", LINE);
        let line = context
            .watched(|watch| loss_line(&objective, theta, first, &offsets(&steps), watch))?;
        context.meter.count(cost(line.cost));
        if line.losses.len() < LINE {
            return Err(Error::Interrupted);
        }
        context.results.line = Some(Line {
            steps,
            losses: line.losses,
            quadratic,
        });
        let sides = [top, next].map(|one| {
            let border = self::border(one.quantity.value, length);
            evenly(-border, border, PLANE)
        });
        context.meter.stage("plane", "losses", PLANE * PLANE);
        // The second direction outside, so that the losses along the first one vary fastest.
        let offsets = [offsets(&sides[1]), offsets(&sides[0])];
        let offsets = [&offsets[0][..], &offsets[1][..]];
        let plane = context
            .watched(|watch| loss_plane(&objective, theta, [second, first], offsets, watch))?;
        context.meter.count(cost(plane.cost));
        if plane.losses.len() < PLANE * PLANE {
            return Err(Error::Interrupted);
        }
        let [first, second] = sides;
        context.results.plane = Some(Plane {
            first,
            second,
            losses: plane.losses,
        });
        Ok(())
    }
}

/// How far to go, relative to ‖θ‖, for the quadratic loss to rise by [`RISE`].
fn border(eigenvalue: f64, length: f64) -> f64 {
    let radius = (2.0 * RISE / eigenvalue.abs()).sqrt() / length;
    if radius.is_finite() {
        radius.min(FARTHEST)
    } else {
        FARTHEST
    }
}
