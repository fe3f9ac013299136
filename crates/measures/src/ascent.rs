//! max of L(θ + y) − L(θ) over y in a [`region`](crate::region): projected gradient ascent from several starts.
//!
//! ```text
//! y ← Π(y + t d),   t ≤ 2 halved until L rises by 1e-4 of g·(new y − y), g = ∇L(θ + y)
//! ```
//!
//! with Π the projection and d the steps of the region in turn. From d = 2 (towards a corner) a step
//! may cross the whole region, which for a convex L never lowers it. The ascent ends where the gap,
//! all that the linear model still promises, is small against the rise (converged), where no step
//! rises, at the bound on iterations, or where the caller says so. Each start ends at a local maximum at best: the greatest of
//! the rises is a lower bound of the maximum, and their spread a sign of how rugged L is.

use candle_core::Tensor;
use flatness_kernels::{dot, norm};

use crate::estimate::rounding;
use crate::objective::{Sweeps, unless_interrupted};
use crate::region::{Region, ends};
use crate::vector::{Draw, check_count, check_positive};
use crate::{Cost, Error, Objective, Stop, Watch};

/// Part of the linear model's rise that a step has to reach: Nocedal and Wright, "Numerical
/// Optimization" (2006), section 3.1.
const SUFFICIENT: f64 = 1e-4;

/// Halvings of a step before its direction is given up; 2⁻³⁰ of the region is below what float32
/// weights resolve.
const HALVINGS: usize = 30;

/// How a maximum is searched for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AscentSettings {
    /// Random starts, besides the one at θ itself.
    pub random_starts: usize,
    /// Most iterations from each start, at least 1; each takes one gradient and a few losses.
    pub max_iterations: usize,
    /// Gap, relative to the rise, at which a start has converged.
    pub tolerance: f64,
    /// Seed of the random starts.
    pub seed: u64,
}

/// The greatest rise found: a lower bound of the maximum.
#[derive(Debug, Clone, PartialEq)]
pub struct Ascent {
    /// L(θ + y) − L(θ); at least zero, which y = 0 has.
    pub rise: f64,
    /// ‖y‖ of the greatest rise.
    pub displacement_norm: f64,
    /// Upper bound of what the linear model of L at the greatest rise still promises in the region:
    /// where L is concave, of what is missing to the maximum.
    pub gap: f64,
    /// What rounding of the two losses may have changed the rise by.
    pub rounding: f64,
    /// What ended the start with the greatest rise; converged where its gap is within the tolerance of the
    /// rise. Interrupted where that or any later start was.
    pub stop: Stop,
    /// Iterations of the start with the greatest rise.
    pub iterations: usize,
    /// Rise from every start that was made, in order.
    pub start_rises: Vec<f64>,
    /// Sweeps over the data, of all starts.
    pub cost: Cost,
}

impl AscentSettings {
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_count("max_iterations", self.max_iterations)?;
        check_positive("tolerance", self.tolerance)
    }
}

/// The point θ with its loss, and the region around it.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    pub(crate) theta: &'a Tensor,
    pub(crate) loss: f64,
    pub(crate) region: &'a Region,
}

/// One start's end.
struct End {
    y: Tensor,
    loss: f64,
    rise: f64,
    gap: f64,
    iterations: usize,
    stop: Stop,
}

impl Search<'_> {
    /// The greatest rise from zero, from `starts` and from random starts, with its y.
    /// Every start lies in the region.
    pub(crate) fn maximize(
        &self,
        sweeps: &mut Sweeps<'_>,
        starts: Vec<Tensor>,
        settings: &AscentSettings,
    ) -> Result<(Ascent, Tensor), Error> {
        let random = (0..settings.random_starts).map(|index| self.random_start(index, settings));
        let mut best = self.ascend(sweeps, self.theta.zeros_like()?, settings)?;
        let mut start_rises = vec![best.rise];
        let mut interrupted = best.stop == Stop::Interrupted;
        for start in starts.into_iter().map(Ok).chain(random) {
            if interrupted {
                break;
            }
            let Some(end) = unless_interrupted(self.ascend(sweeps, start?, settings), true)? else {
                interrupted = true;
                break;
            };
            interrupted = end.stop == Stop::Interrupted;
            start_rises.push(end.rise);
            if end.rise > best.rise {
                best = end;
            }
        }
        let ascent = Ascent {
            rise: best.rise,
            displacement_norm: norm(&best.y)?,
            gap: best.gap,
            rounding: rounding(2.0 * self.loss.abs() + best.rise.abs()),
            stop: if interrupted {
                Stop::Interrupted
            } else {
                best.stop
            },
            iterations: best.iterations,
            start_rises,
            cost: sweeps.take_cost(),
        };
        Ok((ascent, best.y))
    }

    /// Uniform in the box; uniform in direction on the border of the ball.
    fn random_start(&self, index: usize, settings: &AscentSettings) -> Result<Tensor, Error> {
        let dim = self.theta.elem_count();
        let draw = |draw: Draw| draw.vector(dim, self.theta, settings.seed, index);
        match self.region {
            Region::Box(half_widths) => Ok((draw(Draw::Uniform)? * half_widths)?),
            Region::Ball(_) => self.region.onto_border(&draw(Draw::Gaussian)?),
        }
    }

    fn ascend(
        &self,
        sweeps: &mut Sweeps<'_>,
        start: Tensor,
        settings: &AscentSettings,
    ) -> Result<End, Error> {
        let mut sizes = [2.0; 2];
        let (mut end, mut g) = self.look(sweeps, start, 0)?;
        loop {
            // A gap of zero without a rise is a stationary start, which says nothing of the maximum.
            end.stop = if end.rise > 0.0 && end.gap <= settings.tolerance * end.rise {
                Stop::Converged
            } else if end.gap <= 0.0 {
                Stop::NoRise
            } else if end.iterations == settings.max_iterations {
                Stop::Iterations
            } else {
                let next = self.step(sweeps, &end, &g, &mut sizes).and_then(|y| {
                    y.map(|y| self.look(sweeps, y, end.iterations + 1))
                        .transpose()
                });
                match unless_interrupted(next, true)? {
                    Some(Some(next)) => {
                        (end, g) = next;
                        continue;
                    }
                    Some(None) => Stop::NoRise,
                    None => Stop::Interrupted,
                }
            };
            return Ok(end);
        }
    }

    /// What is known at y, with ∇f there.
    fn look(
        &self,
        sweeps: &mut Sweeps<'_>,
        y: Tensor,
        iterations: usize,
    ) -> Result<(End, Tensor), Error> {
        let (loss, g) = sweeps.gradient(&(self.theta + &y)?)?;
        let end = End {
            rise: loss - self.loss,
            gap: self.region.gap(&y, &g)?,
            y,
            loss,
            iterations,
            stop: Stop::Iterations,
        };
        Ok((end, g))
    }

    /// A point that is enough higher than y, where one of the steps leads to one. The steps take
    /// turns to be tried first; `sizes` are their t.
    fn step(
        &self,
        sweeps: &mut Sweeps<'_>,
        end: &End,
        g: &Tensor,
        sizes: &mut [f64; 2],
    ) -> Result<Option<Tensor>, Error> {
        let steps = self.region.steps(g)?;
        for turn in 0..steps.len() {
            let which = (end.iterations + turn) % steps.len();
            let mut size = sizes[which];
            for _ in 0..HALVINGS {
                let next = self.region.project(&(&end.y + (&steps[which] * size)?)?)?;
                let promised = dot(g, &(&next - &end.y)?)?;
                let rises = |loss: f64| loss - end.loss >= SUFFICIENT * promised;
                if promised > 0.0 && rises(sweeps.loss(&(self.theta + &next)?)?) {
                    sizes[which] = (2.0 * size).min(2.0);
                    return Ok(Some(next));
                }
                size /= 2.0;
            }
            sizes[which] = 2.0;
        }
        Ok(None)
    }
}

/// The greatest rise of the objective in the ball of this `radius` above 0 around `theta` (P): max over ‖d‖ ≤ r of
/// f(θ + d) − f(θ), a lower bound. Both ends of each of the `directions` (P), such as the top eigenvector, are starts too.
///
/// To second order, where the gradient vanishes, it is λ_max r² / 2 (Granziol 2020, equation 1, without the ½); where
/// training was decayed that is the gradient of the [`Objective`] with its L2 term, and λ_max that of H + γ I.
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
