//! Keskar's sharpness φ(ε): the greatest relative rise of the loss in a box around θ (claim C6).
//!
//! ```text
//! φ(ε) = (max over z in C_ε of L(θ + A z) − L(θ)) / (1 + L(θ))
//! C_ε  = { z : |zᵢ| ≤ ε (|(A⁺ θ)ᵢ| + 1) }
//! ```
//!
//! A is the identity (z of P elements) or has p random columns; A⁺ = (AᵀA)⁻¹ Aᵀ. L is a mean over the
//! data. Source: Keskar, Mudigere, Nocedal, Smelyanskiy, Tang, "On Large-Batch Training for Deep
//! Learning: Generalization Gap and Sharp Minima", ICLR 2017, metric 2.1, equations 3 and 4, but for
//! their factor of 100. They maximise by ten iterations of L-BFGS-B; here it is projected gradient
//! ascent, see [`Ascent`](crate::Ascent), and also a lower bound. Their columns are "randomly
//! generated"; here they have independent standard normal elements, not normalised, so that ‖A z‖ is
//! about √P ‖z‖.

use candle_core::Tensor;
use nalgebra::{DMatrix, DVector};

use crate::ascent::Search;
use crate::objective::{Sweeps, unless_interrupted};
use crate::region::{Chart, Region};
use crate::vector::{Draw, check_like, check_positive, length};
use crate::{Ascent, AscentSettings, Error, Objective, Stop, Watch};

/// The space in which the maximum is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoxSpace {
    /// All P dimensions.
    Full,
    /// The span of random columns.
    RandomColumns {
        /// p, from 1 to P; p × P elements of memory. Keskar et al. take 100.
        dimension: usize,
        /// Seed of the columns.
        seed: u64,
    },
}

/// What [`keskar_sharpness`] is to do.
#[derive(Debug, Clone, Copy)]
pub struct KeskarSettings<'s> {
    /// Box sizes ε, positive and increasing. Keskar et al. take 5e-4 and 1e-3.
    pub epsilons: &'s [f64],
    /// The space of the box.
    pub space: BoxSpace,
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
    /// What rounding of the losses may have changed it by.
    pub rounding: f64,
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
/// [`Error::SubspaceTooLarge`], [`Error::DependentColumns`], directions that are not like `theta` or have
/// no length, [`Error::Interrupted`] before there is a rise, a loss that is not finite, and those of
/// the mean loss.
pub fn keskar_sharpness(
    objective: &Objective<'_>,
    theta: &Tensor,
    settings: &KeskarSettings<'_>,
    watch: Watch<'_>,
) -> Result<Vec<KeskarSharpness>, Error> {
    check(theta, settings)?;
    let mut sweeps = Sweeps::new(objective, watch);
    let loss = sweeps.loss(theta)?;
    let space = Space::new(theta, settings.space)?;
    let directions = directions(&space, settings.directions)?;
    let mut results: Vec<KeskarSharpness> = Vec::with_capacity(settings.epsilons.len());
    let mut previous = None;
    for &epsilon in settings.epsilons {
        let half_widths = ((space.coordinates.abs()? + 1.0)? * epsilon)?;
        let region = Region::Box(half_widths);
        let ends = directions.iter().map(|z| region.onto_border(z));
        let starts = ends.chain(previous.map(Ok)).collect::<Result<_, _>>()?;
        let search = Search {
            theta,
            loss,
            chart: &space.chart,
            region: &region,
        };
        let dim = space.coordinates.elem_count();
        let found = search.maximize(&mut sweeps, dim, starts, &settings.ascent);
        let Some((ascent, z)) = unless_interrupted(found, !results.is_empty())? else {
            break;
        };
        previous = Some(z);
        let stop = ascent.stop;
        results.push(KeskarSharpness {
            epsilon,
            phi: ascent.rise / (1.0 + loss),
            rounding: ascent.rounding / (1.0 + loss),
            loss,
            ascent,
        });
        if stop == Stop::Interrupted {
            break;
        }
    }
    Ok(results)
}

fn check(theta: &Tensor, settings: &KeskarSettings<'_>) -> Result<(), Error> {
    settings.ascent.check()?;
    if settings.epsilons.is_empty() {
        return Err(Error::Zero {
            field: "the number of epsilons",
        });
    }
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
    if let BoxSpace::RandomColumns { dimension, .. } = settings.space {
        let dim = theta.elem_count();
        if dimension == 0 {
            return Err(Error::Zero {
                field: "the dimension of the subspace",
            });
        }
        if dimension > dim {
            return Err(Error::SubspaceTooLarge { dimension, dim });
        }
    }
    settings
        .directions
        .iter()
        .try_for_each(|direction| check_like("a direction of the box", theta, direction))
}

/// The directions in coordinates, with both signs.
fn directions(space: &Space, directions: &[Tensor]) -> Result<Vec<Tensor>, Error> {
    let mut both = Vec::with_capacity(2 * directions.len());
    for direction in directions {
        let z = space.coordinates_of(direction)?;
        length("a direction of the box", &z)?;
        both.extend([z.neg()?, z]);
    }
    Ok(both)
}

/// A with what its pseudo-inverse needs.
struct Space {
    chart: Chart,
    /// (AᵀA)⁻¹ (p, p), where A is not the identity.
    inverse: Option<DMatrix<f64>>,
    /// A⁺ θ, (p).
    coordinates: Tensor,
}

impl Space {
    fn new(theta: &Tensor, space: BoxSpace) -> Result<Self, Error> {
        let BoxSpace::RandomColumns { dimension, seed } = space else {
            return Ok(Self {
                chart: Chart::Identity,
                inverse: None,
                coordinates: theta.clone(),
            });
        };
        let dim = theta.elem_count();
        let rows = (0..dimension).map(|index| Draw::Gaussian.vector(dim, theta, seed, index));
        let rows = Tensor::stack(&rows.collect::<Result<Vec<_>, _>>()?, 0)?;
        let gram = rows.matmul(&rows.t()?)?;
        let gram = DMatrix::from_vec(dimension, dimension, gram.flatten_all()?.to_vec1()?);
        let factor = gram
            .cholesky()
            .ok_or(Error::DependentColumns { dimension })?;
        let mut space = Self {
            chart: Chart::Columns(rows),
            inverse: Some(factor.inverse()),
            coordinates: theta.clone(),
        };
        space.coordinates = space.coordinates_of(theta)?;
        Ok(space)
    }

    /// A⁺ y, (p).
    fn coordinates_of(&self, y: &Tensor) -> Result<Tensor, Error> {
        let Some(inverse) = &self.inverse else {
            return Ok(y.clone());
        };
        let products = self.chart.pull_back(y)?.to_vec1()?;
        let coordinates = inverse * DVector::from_vec(products);
        Ok(Tensor::new(coordinates.as_slice(), y.device())?)
    }
}
