//! The expected rise of the loss under Gaussian noise, and the σ at which it reaches a target (claim
//! C8).
//!
//! ```text
//! rise(σ) = E L(θ + σ T ξ) − L(θ),   ξ standard normal, T = I (plain) or diag |θ| (weight-scaled)
//!         = ½ σ² Tr(T H T) + O(σ⁴)
//! σ*      : rise(σ*) = target
//! ```
//!
//! L is a mean over the data. Each draw is an antithetic pair ± ξ, whose mean does without the
//! gradient's share. Sources: the expected sharpness of Neyshabur, Bhojanapalli, McAllester, Srebro,
//! "Exploring Generalization in Deep Learning", NIPS 2017; as σ* with a fixed target of
//! 0.1, plain and weight-scaled ("magnitude-aware"), Jiang, Neyshabur, Mobahi, Krishnan, Bengio,
//! "Fantastic Generalization Measures and Where to Find Them", ICLR 2020, where the
//! target is for the training *error*; here it is for the loss. Flat minima have a large σ*; they use
//! 1/σ*². Two layers rescaled against each other leave the weight-scaled numbers as they are.

use candle_core::Tensor;
use flatness_curvature::MeanLoss;

use crate::draws::Draw;
use crate::sweeps::{Progress, Sweeps};
use crate::vector::{check_draws, check_positive};
use crate::{Cost, Error, Estimate};

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

/// rise(σ).
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedRise {
    /// σ
    pub sigma: f64,
    /// L(θ)
    pub loss: f64,
    /// The rise, its standard error over the pairs.
    pub rise: Estimate,
    /// Sweeps over the data.
    pub cost: Cost,
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
    /// The middle of the bracket in the logarithm.
    pub sigma: f64,
    /// Standard error over the pairs: that of the rise at σ*, divided by the slope of the rise there.
    pub standard_error: f64,
    /// σ with a rise below the target, and σ with one not below it.
    pub bracket: (f64, f64),
    /// The rise at `sigma`.
    pub rise: Estimate,
    /// Bisections.
    pub iterations: usize,
    /// Whether the bracket is as narrow as the tolerance.
    pub converged: bool,
    /// L(θ)
    pub loss: f64,
    /// Sweeps over the data.
    pub cost: Cost,
}

/// The expected rise for each of the `sigmas`, from the same draws, at `theta` (P).
///
/// # Errors
/// [`Error::OutOfRange`] for a σ that is not a positive number, [`Error::TooFewDraws`], a loss that is
/// not finite, and those of the mean loss.
pub fn expected_rise(
    mean_loss: &MeanLoss<'_>,
    theta: &Tensor,
    sigmas: &[f64],
    draws: Draws,
    progress: Progress<'_>,
) -> Result<Vec<ExpectedRise>, Error> {
    for &sigma in sigmas {
        check_positive("sigma", sigma)?;
    }
    let mut noisy = NoisyLoss::new(mean_loss, theta, draws, progress)?;
    let rise = |&sigma: &f64| {
        Ok(ExpectedRise {
            sigma,
            loss: noisy.loss,
            rise: noisy.rise(sigma)?,
            cost: noisy.sweeps.take_cost(),
        })
    };
    sigmas.iter().map(rise).collect()
}

/// The σ at which the expected rise at `theta` (P) crosses the target. From the initial σ it is halved
/// until the rise is below the target and doubled until it is not, then the bracket is bisected in
/// the logarithm. All σ share their draws, which makes the rise a smooth function of σ; where that
/// crosses the target several times, this is one of the crossings.
///
/// # Errors
/// [`Error::OutOfRange`], [`Error::Zero`] and [`Error::TooFewDraws`] for settings,
/// [`Error::NoCrossing`], a loss that is not finite, and those of the mean loss.
pub fn pac_bayes_sigma(
    mean_loss: &MeanLoss<'_>,
    theta: &Tensor,
    settings: &SigmaSettings,
    progress: Progress<'_>,
) -> Result<PacBayesSigma, Error> {
    check_positive("the target", settings.target)?;
    check_positive("the initial sigma", settings.initial)?;
    check_positive("tolerance", settings.tolerance)?;
    let mut noisy = NoisyLoss::new(mean_loss, theta, settings.draws, progress)?;
    let (mut low, mut high) = noisy.bracket(settings)?;
    let mut iterations = 0;
    while high > low * (1.0 + settings.tolerance) && iterations < settings.max_iterations {
        let middle = (low * high).sqrt();
        if noisy.rise(middle)?.value < settings.target {
            low = middle;
        } else {
            high = middle;
        }
        iterations += 1;
    }
    let sigma = (low * high).sqrt();
    let rise = noisy.rise(sigma)?;
    let (below, above) = (sigma * (1.0 - SLOPE_STEP), sigma * (1.0 + SLOPE_STEP));
    let difference = noisy.rise(above)?.value - noisy.rise(below)?.value;
    let slope = difference / (above - below);
    Ok(PacBayesSigma {
        sigma,
        standard_error: rise.standard_error / slope.abs(),
        bracket: (low, high),
        rise,
        iterations,
        converged: high <= low * (1.0 + settings.tolerance),
        loss: noisy.loss,
        cost: noisy.sweeps.take_cost(),
    })
}

/// The mean loss around θ.
struct NoisyLoss<'a, 'p> {
    sweeps: Sweeps<'a, 'p>,
    theta: &'a Tensor,
    draws: Draws,
    loss: f64,
}

impl<'a, 'p> NoisyLoss<'a, 'p> {
    fn new(
        mean_loss: &'a MeanLoss<'a>,
        theta: &'a Tensor,
        draws: Draws,
        progress: Progress<'p>,
    ) -> Result<Self, Error> {
        check_draws("pairs", draws.pairs)?;
        let mut sweeps = Sweeps::new(mean_loss, progress);
        let loss = sweeps.loss(theta)?;
        Ok(Self {
            sweeps,
            theta,
            draws,
            loss,
        })
    }

    fn rise(&mut self, sigma: f64) -> Result<Estimate, Error> {
        let Draws { noise, pairs, seed } = self.draws;
        let dim = self.theta.elem_count();
        let mut rises = Vec::with_capacity(pairs);
        for index in 0..pairs {
            let draw = (Draw::Gaussian.vector(dim, self.theta, seed, index)? * sigma)?;
            let step = match noise {
                Noise::Plain => draw,
                Noise::WeightScaled => (draw * self.theta)?,
            };
            let up = self.sweeps.loss(&(self.theta + &step)?)?;
            let down = self.sweeps.loss(&(self.theta - &step)?)?;
            rises.push(0.5 * (up + down) - self.loss);
        }
        Ok(Estimate::of(&rises, seed))
    }

    /// A σ with a rise below the target, and its double, whose rise is not.
    fn bracket(&mut self, settings: &SigmaSettings) -> Result<(f64, f64), Error> {
        let mut sigma = settings.initial;
        let starts_below = self.rise(sigma)?.value < settings.target;
        for _ in 0..DOUBLINGS {
            let next = if starts_below {
                2.0 * sigma
            } else {
                0.5 * sigma
            };
            let below = self.rise(next)?.value < settings.target;
            match (starts_below, below) {
                (true, false) => return Ok((sigma, next)),
                (false, true) => return Ok((next, sigma)),
                _ => sigma = next,
            }
        }
        Err(Error::NoCrossing {
            target: settings.target,
            low: sigma.min(settings.initial),
            high: sigma.max(settings.initial),
        })
    }
}
