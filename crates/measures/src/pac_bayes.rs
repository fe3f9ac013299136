//! The expected rise of the loss under Gaussian noise, and the σ at which it reaches a target (claim
//! C8).
//!
//! ```text
//! rise(σ) = E L(θ + σ T ξ) − L(θ),   ξ standard normal, T = I (plain) or diag |θ| (weight-scaled)
//!         = ½ σ² Tr(T H T) + O(σ⁴)
//! σ*      : rise(σ*) = target
//! ```
//!
//! L is a mean over the data, with the L2 term of the [`Objective`] where there is one. Each draw is an antithetic pair ± ξ, whose mean does without the
//! gradient's share. Sources: the expected sharpness of Neyshabur, Bhojanapalli, McAllester, Srebro,
//! "Exploring Generalization in Deep Learning", NIPS 2017; as σ* with a fixed target of
//! 0.1, plain and weight-scaled ("magnitude-aware"), Jiang, Neyshabur, Mobahi, Krishnan, Bengio,
//! "Fantastic Generalization Measures and Where to Find Them", ICLR 2020, where the
//! target is for the training *error*; here it is for the loss. Flat minima have a large σ*; they use
//! 1/σ*². Two layers rescaled against each other leave the weight-scaled numbers as they are.

use candle_core::Tensor;

use crate::estimate::{average, rounding};
use crate::objective::{Sweeps, unless_interrupted};
use crate::vector::{Draw, check_draws, check_positive};
use crate::{Cost, Error, Estimate, Objective, Stop, Watch};

/// Doublings or halvings of σ before the search gives up: from 0.01 they reach 1e7 and 1e-11.
const DOUBLINGS: usize = 30;

/// Half the relative width of the interval over which the slope of the rise is taken.
const SLOPE_STEP: f64 = 0.05;

/// T: how the noise scales with the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    /// θ + σ ξ
    Plain,
    /// θ ∘ (1 + σ ξ)
    WeightScaled,
}

/// The draws of the noise, the same for every σ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draws {
    /// How the noise scales.
    pub noise: Noise,
    /// Antithetic pairs, at least 2; two losses each.
    pub pairs: usize,
    /// Their seed.
    pub seed: u64,
}

/// What [`pac_bayes_sigma`] is to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SigmaSettings {
    /// Expected rise of the loss, above 0; 0.1 in the literature.
    pub target: f64,
    /// σ tried first.
    pub initial: f64,
    /// Relative width of the bracket at which the bisection ends, above 0.
    pub tolerance: f64,
    /// Most bisections.
    pub max_iterations: usize,
    /// The noise.
    pub draws: Draws,
}

/// σ*.
#[derive(Debug, Clone, PartialEq)]
pub struct PacBayesSigma {
    /// The middle of the bracket in the logarithm. Its errors, over the pairs and of rounding, are those of the
    /// rise at σ*, divided by the slope of the rise there; what is left of the bracket is not in them.
    pub sigma: Estimate,
    /// σ with a rise below the target, and σ with one not below it.
    pub bracket: (f64, f64),
    /// The rise at σ*; interrupted, that at the upper end of the bracket.
    pub rise: Estimate,
    /// Bisections.
    pub iterations: usize,
    /// Converged where the bracket is as narrow as the tolerance.
    pub stop: Stop,
    /// f(θ)
    pub loss: f64,
    /// Sweeps over the data.
    pub cost: Cost,
}

/// The σ at which the expected rise of the objective at `theta` (P) crosses the target. From the initial σ it is
/// halved until the rise is below the target and doubled until it is not, then the bracket is bisected in
/// the logarithm. All σ share their draws, which makes the rise a smooth function of σ; where that
/// crosses the target several times, this is one of the crossings.
///
/// # Errors
/// [`Error::OutOfRange`] and [`Error::TooFewDraws`] for settings, [`Error::NoCrossing`],
/// [`Error::Unresolved`] for a rise that does not grow with σ, [`Error::Interrupted`] before there is a
/// bracket, a loss that is not finite, and those of the mean loss.
pub fn pac_bayes_sigma(
    objective: &Objective<'_>,
    theta: &Tensor,
    settings: &SigmaSettings,
    watch: Watch<'_>,
) -> Result<PacBayesSigma, Error> {
    check_positive("the target", settings.target)?;
    check_positive("the initial sigma", settings.initial)?;
    check_positive("tolerance", settings.tolerance)?;
    check_draws("pairs", settings.draws.pairs)?;
    let mut sweeps = Sweeps::new(objective, watch);
    let loss = sweeps.loss(theta)?;
    let mut noisy = NoisyLoss {
        sweeps,
        theta,
        draws: settings.draws,
        loss,
    };
    let mut ends = noisy.bracket(settings)?;
    let mut iterations = 0;
    let mut stop = loop {
        if ends[1].sigma <= ends[0].sigma * (1.0 + settings.tolerance) {
            break Stop::Converged;
        }
        if iterations == settings.max_iterations {
            break Stop::Iterations;
        }
        let middle = (ends[0].sigma * ends[1].sigma).sqrt();
        let Some(middle) = unless_interrupted(noisy.at(middle), true)? else {
            break Stop::Interrupted;
        };
        ends[usize::from(middle.rise.value >= settings.target)] = middle;
        iterations += 1;
    };
    let sigma = (ends[0].sigma * ends[1].sigma).sqrt();
    let around = match stop {
        Stop::Interrupted => None,
        _ => unless_interrupted(noisy.around(sigma), true)?,
    };
    let (rise, [below, above]) = around.unwrap_or_else(|| {
        stop = Stop::Interrupted;
        (ends[1].rise, ends)
    });
    let growth = Estimate {
        value: above.rise.value - below.rise.value,
        standard_error: 0.0,
        rounding: above.rise.rounding + below.rise.rounding,
        draws: 0,
    };
    let growth = growth.resolved("the growth of the rise with sigma")?.value;
    let slope = (growth / (above.sigma - below.sigma)).abs();
    Ok(PacBayesSigma {
        sigma: Estimate {
            value: sigma,
            standard_error: rise.standard_error / slope,
            rounding: rise.rounding / slope,
            draws: rise.draws,
        },
        bracket: (ends[0].sigma, ends[1].sigma),
        rise,
        iterations,
        stop,
        loss,
        cost: noisy.sweeps.take_cost(),
    })
}

/// The rise at a σ.
#[derive(Clone, Copy)]
struct RiseAt {
    sigma: f64,
    rise: Estimate,
}

/// The objective around θ.
struct NoisyLoss<'a> {
    sweeps: Sweeps<'a>,
    theta: &'a Tensor,
    draws: Draws,
    loss: f64,
}

impl NoisyLoss<'_> {
    fn at(&mut self, sigma: f64) -> Result<RiseAt, Error> {
        let Draws { noise, pairs, seed } = self.draws;
        let dim = self.theta.elem_count();
        let (mut rises, mut terms) = (Vec::with_capacity(pairs), Vec::with_capacity(pairs));
        for index in 0..pairs {
            let draw = (Draw::Gaussian.vector(dim, self.theta, seed, index)? * sigma)?;
            let step = match noise {
                Noise::Plain => draw,
                Noise::WeightScaled => (draw * self.theta)?,
            };
            let up = self.sweeps.loss(&(self.theta + &step)?)?;
            let down = self.sweeps.loss(&(self.theta - &step)?)?;
            rises.push(0.5 * (up + down) - self.loss);
            terms.push(0.5 * (up.abs() + down.abs()) + self.loss.abs());
        }
        let rise = Estimate::mean(&rises, rounding(average(&terms)));
        Ok(RiseAt { sigma, rise })
    }

    /// The rise at σ, with those on either side of it.
    fn around(&mut self, sigma: f64) -> Result<(Estimate, [RiseAt; 2]), Error> {
        let rise = self.at(sigma)?.rise;
        let below = self.at(sigma * (1.0 - SLOPE_STEP))?;
        Ok((rise, [below, self.at(sigma * (1.0 + SLOPE_STEP))?]))
    }

    /// A σ with a rise below the target, and its double, whose rise is not.
    fn bracket(&mut self, settings: &SigmaSettings) -> Result<[RiseAt; 2], Error> {
        let mut here = self.at(settings.initial)?;
        let starts_below = here.rise.value < settings.target;
        let factor = if starts_below { 2.0 } else { 0.5 };
        for _ in 0..DOUBLINGS {
            let next = self.at(factor * here.sigma)?;
            match (starts_below, next.rise.value < settings.target) {
                (true, false) => return Ok([here, next]),
                (false, true) => return Ok([next, here]),
                _ => here = next,
            }
        }
        Err(Error::NoCrossing {
            target: settings.target,
            low: here.sigma.min(settings.initial),
            high: here.sigma.max(settings.initial),
        })
    }
}
