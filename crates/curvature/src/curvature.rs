//! A mean loss at a fixed θ (P): sums of sweeps over its chunks, divided by the examples.

use std::ops::Range;

use candle_core::{DType, Tensor};
use flatness_data::Batch;
use flatness_kernels::{dot, takes_cpu_path};
use flatness_layers::{CurvedLinearization, Linearization, Workers};

use crate::mean_loss::Selection;
use crate::{CurvatureOperator, Error, Matrix, MeanLoss};

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
                let point = |range: &Range<usize>| {
                    Ok(linearize(mean_loss, &parameters, range)?.with_cotangents()?)
                };
                let shares = mean_loss.shares(ranges.len(), |share| {
                    ranges[share]
                        .iter()
                        .map(point)
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

    /// The operator of one of the matrices. That of [`Matrix::GradientCovariance`] takes the mean
    /// gradient here, once.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a mean gradient that is infinite or not a number, or a device error.
    pub fn operator(&self, matrix: Matrix) -> Result<CurvatureOperator<'_>, Error> {
        CurvatureOperator::new(self, matrix)
    }

    /// The Hessian operator.
    #[must_use]
    pub fn hessian(&self) -> CurvatureOperator<'_> {
        CurvatureOperator::uncentred(self, Matrix::Hessian)
    }

    /// The Gauss-Newton operator.
    #[must_use]
    pub fn gauss_newton(&self) -> CurvatureOperator<'_> {
        CurvatureOperator::uncentred(self, Matrix::GaussNewton)
    }

    /// The threads and processes at work.
    #[must_use]
    pub fn workers(&self) -> &'a Workers {
        self.mean_loss.workers
    }

    /// The mean loss.
    pub(crate) fn mean_loss(&self) -> &'a MeanLoss<'a> {
        self.mean_loss
    }

    /// The mean over the examples of what `add` adds, chunk by chunk, to sums of `vectors` vectors,
    /// (V, P). What is infinite or not a number in it is an error that names `what` it is and the
    /// first chunk at fault.
    pub(crate) fn mean(
        &self,
        what: &str,
        vectors: usize,
        add: impl Fn(usize, &[Tensor]) -> Result<(), Error> + Sync + Send,
    ) -> Result<Tensor, Error> {
        let (mean_loss, examples) = (self.mean_loss, self.mean_loss.data().len());
        let shares = mean_loss.shares(self.chunks.len(), |mut share| {
            let sums = mean_loss.zeros(vectors)?;
            share.try_for_each(|chunk| add(chunk, sums.pieces()))?;
            Ok::<_, Error>(sums)
        })?;
        let mean = mean_loss.mean(shares, examples)?;
        if is_finite(&mean)? {
            return Ok(mean);
        }
        let fault = self.first_fault(vectors, add)?;
        let fault = mean_loss.first_of(fault)?.unwrap_or(0..examples);
        Err(Error::NonFinite {
            what: what.to_owned(),
            data: mean_loss.data().name().to_owned(),
            first: fault.start,
            last: fault.end - 1,
        })
    }

    /// Hands the linearisation of one chunk to `sweep`.
    pub(crate) fn linear(
        &self,
        chunk: usize,
        sweep: impl FnOnce(&Linearization<'_>) -> Result<(), flatness_layers::Error>,
    ) -> Result<(), Error> {
        match &self.chunks {
            Chunks::Retained(points) => sweep(points[chunk].linearization())?,
            Chunks::Recomputed(ranges) => {
                let point = linearize(self.mean_loss, &self.parameters, &ranges[chunk])?;
                sweep(&point)?;
            }
        }
        Ok(())
    }

    /// Hands the linearisation of one chunk, with its cotangents, to `sweep`.
    pub(crate) fn curved(
        &self,
        chunk: usize,
        sweep: impl FnOnce(&CurvedLinearization<'_>) -> Result<(), flatness_layers::Error>,
    ) -> Result<(), Error> {
        match &self.chunks {
            Chunks::Retained(points) => sweep(&points[chunk])?,
            Chunks::Recomputed(ranges) => {
                let point = linearize(self.mean_loss, &self.parameters, &ranges[chunk])?;
                sweep(&point.with_cotangents()?)?;
            }
        }
        Ok(())
    }

    /// The first chunk of this process after which the sum is not finite. None where the sum overflowed in another order.
    fn first_fault(
        &self,
        vectors: usize,
        add: impl Fn(usize, &[Tensor]) -> Result<(), Error>,
    ) -> Result<Option<Range<usize>>, Error> {
        let examples = self.mean_loss.data().len();
        let sums = self.mean_loss.zeros(vectors)?;
        for (chunk, range) in self.mean_loss.chunks(examples).into_iter().enumerate() {
            add(chunk, sums.pieces())?;
            for piece in sums.pieces() {
                if !is_finite(piece)? {
                    return Ok(Some(range));
                }
            }
        }
        Ok(None)
    }
}

impl Chunks<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Retained(points) => points.len(),
            Self::Recomputed(ranges) => ranges.len(),
        }
    }
}

/// Whether every element is finite. A sum that is finite has no other addends, and takes one pass
/// on the device; the elements themselves are asked only when it is not, since it may overflow.
pub(crate) fn is_finite(tensor: &Tensor) -> Result<bool, Error> {
    let double = |tensor: &Tensor| tensor.to_dtype(DType::F64);
    let sum = if takes_cpu_path(tensor.device()) {
        double(&tensor.sum_all()?)?.to_scalar::<f64>()?
    } else {
        // candle's sum keeps all but one part of a GPU waiting.
        dot(tensor, tensor)?
    };
    if sum.is_finite() {
        return Ok(true);
    }
    let elements = double(&tensor.flatten_all()?)?.to_vec1::<f64>()?;
    Ok(elements.iter().all(|element| element.is_finite()))
}

/// The examples of `range`, linearised.
fn linearize<'a>(
    mean_loss: &MeanLoss<'a>,
    parameters: &[Tensor],
    range: &Range<usize>,
) -> Result<Linearization<'a>, Error> {
    let batch = mean_loss.batch(Selection::All, range)?;
    let network = mean_loss.network();
    let (loss, factor) = (mean_loss.loss(), mean_loss.factor());
    let Batch { inputs, labels } = &batch;
    Ok(network.linearize_and_see(parameters, inputs, labels, loss, factor, |_| Ok(()))?)
}
