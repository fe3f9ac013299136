//! How much noise the weights bear: the σ at which the expected loss rise reaches a target (Jiang et al. 2020).
//!
//! ```text
//! σ*:   E L(θ + σ* ξ) − L(θ) = target,   ξ standard normal
//! ```
//!
//! Memory: 4 vectors in double precision. Cost: 16 losses for each σ tried, 14 or so. Error: standard error over antithetic pairs of
//! noise and rounding, through the slope of the rise.

use flatness_measures::{Draws, Noise, Objective, SigmaSettings, pac_bayes_sigma};
use flatness_records::Request;

use super::{Kind, Measure, length};
use crate::Error;
use crate::context::Context;
use crate::cost::Span;
use crate::quantity::{cost, drawn, ended};
use crate::room::{BLOCK, Refusal, Room};

/// Antithetic pairs of noise.
const PAIRS: usize = 8;

/// First σ tried, relative to the root mean square of the parameters.
const FIRST_SIGMA: f64 = 0.1;

/// Relative width of σ at the end.
const SIGMA_TOLERANCE: f64 = 0.01;

const BISECTIONS: usize = 40;

/// σ tried at least: two of a bracket, of width 2, and seven halvings of its logarithm to the tolerance; three at the end.
const SIGMAS: usize = 12;

/// σ tried at most: 30 doublings more.
const MOST_SIGMAS: usize = 41;

#[derive(Debug)]
pub(super) struct PacBayes(pub(super) f64);

fn losses(sigmas: usize) -> usize {
    1 + 2 * PAIRS * sigmas
}

impl Measure for PacBayes {
    fn kind(&self) -> Kind {
        Kind::LOSS
    }

    fn memory(&self, room: &Room<'_>) -> Result<usize, Refusal> {
        room.hold("--what pac-bayes", room.kept + 4 * room.whole)?;
        Ok(BLOCK)
    }

    fn cost(&self, _: &Request, _: usize) -> Span {
        Span::between([0, losses(SIGMAS), 0], [0, losses(MOST_SIGMAS), 0])
    }

    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let theta = context.theta;
        let root_mean_square = length(context)? / (theta.elem_count() as f64).sqrt();
        let settings = SigmaSettings {
            target: self.0,
            initial: FIRST_SIGMA * root_mean_square,
            tolerance: SIGMA_TOLERANCE,
            max_iterations: BISECTIONS,
            draws: Draws {
                noise: Noise::Plain,
                pairs: PAIRS,
                seed: context.streams.seed("pac-bayes"),
            },
        };
        let objective = Objective::new(context.mean_loss, 0.0)?;
        context.meter.stage("noise", "losses", losses(SIGMAS));
        let found =
            context.watched(|watch| pac_bayes_sigma(&objective, theta, &settings, watch))?;
        let spent = cost(found.cost);
        context.meter.count(spent);
        let mut number = drawn(&found.sigma, spent);
        number.stop = ended(found.stop);
        context
            .results
            .numbers
            .insert(format!("pac_bayes_sigma({:e})", self.0), number);
        Ok(())
    }
}
