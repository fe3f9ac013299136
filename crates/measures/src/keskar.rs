//! Keskar's sharpness φ(ε): the greatest relative rise of the loss in a box around θ (claim C6).
//!
//! ```text
//! φ(ε) = (max over y in C_ε of L(θ + y) − L(θ)) / (1 + L(θ))
//! C_ε  = { y : |yᵢ| ≤ ε (|θᵢ| + 1) }
//! ```
//!
//! L is a mean over the data. Source: Keskar, Mudigere, Nocedal, Smelyanskiy, Tang, "On Large-Batch
//! Training for Deep Learning: Generalization Gap and Sharp Minima", ICLR 2017, metric 2.1, equations 3
//! and 4 in the full space, but for their factor of 100. They maximise by ten iterations of L-BFGS-B; here it is
//! projected gradient ascent, see [`Ascent`](crate::Ascent), and also a lower bound.

use candle_core::Tensor;

use crate::ascent::Search;
use crate::objective::{Sweeps, unless_interrupted};
use crate::region::{Region, ends};
use crate::vector::{check_count, check_positive};
use crate::{Ascent, AscentSettings, Error, Objective, Stop, Watch};

/// What [`keskar_sharpness`] is to do.
#[derive(Debug, Clone, Copy)]
pub struct KeskarSettings<'s> {
    /// Box sizes ε, positive and increasing. Keskar et al. take 5e-4 and 1e-3.
    pub epsilons: &'s [f64],
    /// Directions (P), such as the top eigenvector, whose both ends in the box are starts too.
    pub directions: &'s [Tensor],
    /// The search.
    pub ascent: AscentSettings,
}

/// φ(ε) for one ε.
#[derive(Debug, Clone, PartialEq)]
pub struct KeskarSharpness {
    /// ε
    pub epsilon: f64,
    /// φ(ε), a lower bound.
    pub phi: f64,
    /// f(θ)
    pub loss: f64,
    /// The search behind it.
    pub ascent: Ascent,
}

/// φ(ε) for each ε at `theta` (P), of the objective in the place of L. The maximum of one box is a start in
/// the next larger one, so that φ never falls with ε. Interrupted, the larger ε are left out.
///
/// # Errors
/// [`Error::OutOfRange`], [`Error::Zero`] and [`Error::NotIncreasing`] for settings,
/// directions that are not like `theta` or have no length, [`Error::Interrupted`] before there is a rise, a
/// loss that is not finite, and those of the mean loss.
pub fn keskar_sharpness(
    objective: &Objective<'_>,
    theta: &Tensor,
    settings: &KeskarSettings<'_>,
    watch: Watch<'_>,
) -> Result<Vec<KeskarSharpness>, Error> {
    check(settings)?;
    let directions = ends("a direction of the box", theta, settings.directions)?;
    let mut sweeps = Sweeps::new(objective, watch);
    let loss = sweeps.loss(theta)?;
    let mut results: Vec<KeskarSharpness> = Vec::with_capacity(settings.epsilons.len());
    let mut previous = None;
    for &epsilon in settings.epsilons {
        let region = Region::Box(((theta.abs()? + 1.0)? * epsilon)?);
        let ends = directions.iter().map(|y| region.onto_border(y));
        let starts = ends.chain(previous.map(Ok)).collect::<Result<_, _>>()?;
        let search = Search {
            theta,
            loss,
            region: &region,
        };
        let found = search.maximize(&mut sweeps, starts, &settings.ascent);
        let Some((ascent, y)) = unless_interrupted(found, !results.is_empty())? else {
            break;
        };
        previous = Some(y);
        let stop = ascent.stop;
        results.push(KeskarSharpness {
            epsilon,
            phi: ascent.rise / (1.0 + loss),
            loss,
            ascent,
        });
        if stop == Stop::Interrupted {
            break;
        }
    }
    Ok(results)
}

fn check(settings: &KeskarSettings<'_>) -> Result<(), Error> {
    settings.ascent.check()?;
    check_count("the number of epsilons", settings.epsilons.len())?;
    for &epsilon in settings.epsilons {
        check_positive("epsilon", epsilon)?;
    }
    let mut pairs = settings.epsilons.windows(2);
    if let Some(pair) = pairs.find(|pair| pair[1] <= pair[0]) {
        return Err(Error::NotIncreasing {
            previous: pair[0],
            next: pair[1],
        });
    }
    Ok(())
}
