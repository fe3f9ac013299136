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

use candle_core::{DType, Tensor};
use flatness_curvature::MeanLoss;
use nalgebra::{DMatrix, DVector};

use crate::ascent::Search;
use crate::draws::Draw;
use crate::region::{Chart, Region};
use crate::sweeps::{Progress, Sweeps};
use crate::vector::{check_like, check_positive, norm};
use crate::{Ascent, AscentSettings, Error};

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
    /// L(θ)
    pub loss: f64,
    /// The search behind it.
    pub ascent: Ascent,
}

/// φ(ε) for each ε at `theta` (P). The maximum of one box is a start in the next larger one, so that
/// φ never falls with ε.
///
/// # Errors
/// [`Error::OutOfRange`], [`Error::Zero`] and [`Error::NotIncreasing`] for settings,
/// [`Error::SubspaceTooLarge`], [`Error::DependentColumns`], directions that are not like `theta` or have
/// no length, a loss that is not finite, and those of the mean loss.
pub fn keskar_sharpness(
    mean_loss: &MeanLoss<'_>,
    theta: &Tensor,
    settings: &KeskarSettings<'_>,
    progress: Progress<'_>,
) -> Result<Vec<KeskarSharpness>, Error> {
    check(theta, settings)?;
    let mut sweeps = Sweeps::new(mean_loss, progress);
    let loss = sweeps.loss(theta)?;
    let space = Space::new(theta, settings.space)?;
    let directions = directions(&space, settings.directions)?;
    let mut results = Vec::with_capacity(settings.epsilons.len());
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
        let (ascent, z) = search.maximize(&mut sweeps, dim, starts, &settings.ascent)?;
        previous = Some(z);
        results.push(KeskarSharpness {
            epsilon,
            phi: ascent.rise / (1.0 + loss),
            loss,
            ascent,
        });
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
        let length = norm(&z)?;
        if !(length.is_finite() && length > 0.0) {
            return Err(Error::NoDirection {
                what: "a direction of the box",
            });
        }
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
        let gram = rows.matmul(&rows.t()?)?.to_dtype(DType::F64)?;
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
        let products = self.chart.pull_back(y)?.to_dtype(DType::F64)?;
        let coordinates = inverse * DVector::from_vec(products.to_vec1()?);
        Ok(
            Tensor::new(coordinates.as_slice(), &candle_core::Device::Cpu)?
                .to_dtype(y.dtype())?
                .to_device(y.device())?,
        )
    }
}
