//! Keskar's sharpness φ(ε) in boxes, and the same in balls of the loss with the L2 term of the training (claim C6).
//!
//! ```text
//! φ(ε) = max over y of (f(θ + y) − f(θ)) / (1 + f(θ));   box |yᵢ| ≤ ε (|θᵢ| + 1), f = L;   ball ‖y‖ ≤ ε, f = L + ½ γ ‖θ‖²
//! predicted   (λ_max(H) + γ) ε² / (2 (1 + f(θ))),   γ = 0 in the box
//! ```
//!
//! Keskar et al. 2017; the ball and the prediction are Granziol's (2020, equation 1), without his factor 2. Memory: 10 vectors in
//! double precision and the top eigenvector. Cost: at most 30 gradients and as many losses a start, 4 starts a size. Error: φ is a
//! lower bound, with the gap of its ascent.

use flatness_kernels::norm;
use flatness_measures::{
    Ascent, AscentSettings, KeskarSettings, Objective, ball_rise, keskar_sharpness,
};
use flatness_records::{CurvePoint, Numbers, Quantity, Request, Uncertainty};

use super::confidence::SWEEP;
use super::{Kind, Measure, ascending};
use crate::Error;
use crate::context::Context;
use crate::cost::Span;
use crate::quantity::{cost, ended, scaled};
use crate::room::{BLOCK, Refusal, Room};

/// Most iterations of an ascent.
const ASCENT_STEPS: usize = 30;

/// Gap, relative to the rise, at which an ascent has converged.
const ASCENT_TOLERANCE: f64 = 1e-2;

/// θ itself, a random one, and the two ends of the top eigenvector.
const STARTS: usize = 4;

/// Vectors at work.
const VECTORS: u64 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Region {
    Box,
    Ball,
}

#[derive(Debug)]
pub(super) struct Keskar {
    region: Region,
    sizes: Vec<f64>,
}

impl Keskar {
    pub(super) fn boxes(sizes: &[f64]) -> Self {
        Self {
            region: Region::Box,
            sizes: ascending(sizes),
        }
    }

    pub(super) fn balls(sizes: &[f64]) -> Self {
        Self {
            region: Region::Ball,
            sizes: ascending(sizes),
        }
    }

    /// ε, φ without its prediction, and its cost, for each size.
    fn climb(&self, context: &Context<'_>, decay: f64) -> Result<Vec<(f64, Quantity, f64)>, Error> {
        let directions = context.leading(1)?;
        let ascent = AscentSettings {
            random_starts: 1,
            max_iterations: ASCENT_STEPS,
            tolerance: ASCENT_TOLERANCE,
            seed: context.streams.seed("keskar"),
        };
        let (theta, objective) = (context.theta, Objective::new(context.mean_loss, decay)?);
        let mut found = Vec::new();
        match self.region {
            Region::Box => {
                let settings = KeskarSettings {
                    epsilons: &self.sizes,
                    directions: &directions,
                    ascent,
                };
                let boxes =
                    context.watched(|watch| keskar_sharpness(&objective, theta, &settings, watch));
                for one in boxes? {
                    found.push((one.epsilon, phi(&one.ascent, one.loss), one.loss));
                }
            }
            Region::Ball => {
                let loss = context.mean_loss.evaluate(theta)?.loss;
                context.meter.count(SWEEP);
                let loss = loss + 0.5 * decay * norm(theta)?.powi(2);
                for &radius in &self.sizes {
                    let ball = context.watched(|watch| {
                        ball_rise(&objective, theta, radius, &directions, &ascent, watch)
                    });
                    match ball.map_err(Error::from) {
                        Ok(ascent) => found.push((radius, phi(&ascent, loss), loss)),
                        Err(error) if error.leaves_others() && !found.is_empty() => break,
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(found)
    }
}

impl Measure for Keskar {
    fn kind(&self) -> Kind {
        Kind {
            leading: 1,
            ..Kind::LOSS
        }
    }

    fn memory(&self, room: &Room<'_>) -> Result<usize, Refusal> {
        room.hold("--what keskar", room.kept + VECTORS * room.whole)?;
        Ok(BLOCK)
    }

    fn cost(&self, _: &Request, _: usize) -> Span {
        let starts = STARTS * self.sizes.len();
        let most = starts * ASCENT_STEPS;
        // A step takes a few losses.
        Span::between([0, starts, starts], [0, 3 * most, most])
    }

    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let (name, decay) = match self.region {
            Region::Box => ("keskar.box", 0.0),
            Region::Ball => ("keskar.ball", context.subject.weight_decay),
        };
        let sweeps = 2 * self.sizes.len() * STARTS;
        context.meter.stage(name, "sweeps", sweeps);
        let found = self.climb(context, decay)?;
        let mut points = Vec::with_capacity(found.len());
        for (epsilon, phi, loss) in found {
            context.meter.count(phi.cost);
            let mut numbers = Numbers::new();
            if let Some(top) = context.hessian.top.first() {
                let mut lambda = top.quantity.clone();
                lambda.value += decay;
                let predicted = scaled(&lambda, 0.5 * epsilon * epsilon / (1.0 + loss));
                numbers.insert("predicted".to_owned(), predicted);
            }
            numbers.insert("phi".to_owned(), phi);
            points.push(CurvePoint {
                x: epsilon,
                numbers,
            });
        }
        context.results.curve(name, points);
        Ok(())
    }
}

fn phi(ascent: &Ascent, loss: f64) -> Quantity {
    let scale = (1.0 + loss).recip();
    let uncertainty = Uncertainty::LowerBound {
        gap: scale * ascent.gap.max(ascent.rounding),
        steps: ascent.iterations as u64,
        converged: ascent.stop == flatness_measures::Stop::Converged,
    };
    Quantity {
        stop: ended(ascent.stop),
        ..Quantity::new(scale * ascent.rise, uncertainty, cost(ascent.cost))
    }
}
