//! H = ∇²L and G = (1/N) Σᵢ Jᵢᵀ Aᵢ Jᵢ at a fixed θ, as operators on blocks of vectors.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use flatness_layers::{CurvedLinearization, Linearization};
use flatness_operator::{LinearOperator, check_block};

use crate::mean_loss::Selection;
use crate::{Error, MeanLoss};

/// What happens to the activations between products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// They are kept: a product takes one forward and one backward sweep of tangents.
    Retain,
    /// They are computed anew for each block: less memory, one more gradient's work per block.
    Recompute,
}

impl Retention {
    /// Retains when `bytes` fit the `budget`, both in bytes.
    #[must_use]
    pub fn within(budget: usize, bytes: usize) -> Self {
        if bytes <= budget {
            Self::Retain
        } else {
            Self::Recompute
        }
    }
}

/// A mean loss at a point θ, ready for products.
#[derive(Debug)]
pub struct Curvature<'a> {
    mean_loss: &'a MeanLoss<'a>,
    /// Views of θ.
    parameters: Vec<Tensor>,
    chunks: Chunks<'a>,
}

#[derive(Debug)]
enum Chunks<'a> {
    Retained(Vec<CurvedLinearization<'a>>),
    Recomputed(Vec<Range<usize>>),
}

/// The Hessian of the mean loss.
#[derive(Debug, Clone, Copy)]
pub struct Hessian<'c>(&'c Curvature<'c>);

/// The generalised Gauss-Newton matrix of the mean loss.
#[derive(Debug, Clone, Copy)]
pub struct GaussNewton<'c>(&'c Curvature<'c>);

#[derive(Clone, Copy)]
enum Matrix {
    Hessian,
    GaussNewton,
}

impl<'a> Curvature<'a> {
    pub(crate) fn new(
        mean_loss: &'a MeanLoss<'a>,
        theta: &Tensor,
        retention: Retention,
    ) -> Result<Self, Error> {
        // A copy: whoever goes on training changes θ in place.
        let parameters = mean_loss.parameters(&theta.copy()?)?;
        let ranges = mean_loss.chunks(mean_loss.data().len());
        let chunks = match retention {
            Retention::Recompute => Chunks::Recomputed(ranges),
            Retention::Retain => {
                let shares = mean_loss.shares(ranges.len(), |share| {
                    ranges[share]
                        .iter()
                        .map(|range| {
                            Ok(linearize(mean_loss, &parameters, range)?.with_cotangents()?)
                        })
                        .collect::<Result<Vec<_>, Error>>()
                })?;
                Chunks::Retained(shares.into_iter().flatten().collect())
            }
        };
        Ok(Self {
            mean_loss,
            parameters,
            chunks,
        })
    }

    /// What happens to the activations between products.
    #[must_use]
    pub fn retention(&self) -> Retention {
        match self.chunks {
            Chunks::Retained(_) => Retention::Retain,
            Chunks::Recomputed(_) => Retention::Recompute,
        }
    }

    /// The Hessian operator.
    #[must_use]
    pub fn hessian(&self) -> Hessian<'_> {
        Hessian(self)
    }

    /// The Gauss-Newton operator.
    #[must_use]
    pub fn gauss_newton(&self) -> GaussNewton<'_> {
        GaussNewton(self)
    }

    fn product(&self, matrix: Matrix, vectors: &Tensor) -> Result<Tensor, Error> {
        let mean_loss = self.mean_loss;
        let tangents = mean_loss.network().layout().split(vectors)?;
        let count = match &self.chunks {
            Chunks::Retained(points) => points.len(),
            Chunks::Recomputed(ranges) => ranges.len(),
        };
        let shares = mean_loss.shares(count, |share| {
            let sums = mean_loss.zeros(vectors.dim(0)?)?;
            match &self.chunks {
                Chunks::Retained(points) => {
                    points[share].iter().try_for_each(|point| match matrix {
                        Matrix::Hessian => point.add_hessian_product(&tangents, sums.pieces()),
                        Matrix::GaussNewton => point
                            .linearization()
                            .add_gauss_newton_product(&tangents, sums.pieces()),
                    })?
                }
                Chunks::Recomputed(ranges) => {
                    for range in &ranges[share] {
                        let point = linearize(mean_loss, &self.parameters, range)?;
                        match matrix {
                            Matrix::Hessian => {
                                point
                                    .with_cotangents()?
                                    .add_hessian_product(&tangents, sums.pieces())?;
                            }
                            Matrix::GaussNewton => {
                                point.add_gauss_newton_product(&tangents, sums.pieces())?
                            }
                        }
                    }
                }
            }
            Ok::<_, Error>(sums)
        })?;
        mean_loss.mean(shares, mean_loss.data().len())
    }
}

/// The examples of `range`, linearised.
fn linearize<'a>(
    mean_loss: &MeanLoss<'a>,
    parameters: &[Tensor],
    range: &Range<usize>,
) -> Result<Linearization<'a>, Error> {
    let batch = mean_loss.batch(Selection::All, range)?;
    let network = mean_loss.network();
    Ok(network.linearize(parameters, &batch.images, &batch.labels, mean_loss.loss())?)
}

macro_rules! operator {
    ($type:ident) => {
        impl LinearOperator for $type<'_> {
            fn dim(&self) -> usize {
                self.0.mean_loss.network().layout().dim()
            }

            fn dtype(&self) -> DType {
                self.0.mean_loss.settings().dtype
            }

            fn device(&self) -> &Device {
                &self.0.mean_loss.settings().device
            }

            fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, flatness_operator::Error> {
                check_block(self, vectors)?;
                let product = self.0.product(Matrix::$type, vectors);
                product.map_err(flatness_operator::Error::from_source)
            }
        }
    };
}
operator!(Hessian);
operator!(GaussNewton);
