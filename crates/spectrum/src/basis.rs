//! The orthonormal basis Q of a Krylov space, and its two products Qᵀ w and Q c.
//!
//! Vectors are cut into segments short enough to stay in cache: the basis is (segments, steps,
//! length), row j of segment s holding entries s·length … of q_j, the last segment padded with
//! zeros. Both products are then batched matrix products over segments that read every basis entry
//! once from memory and the vector from cache, on any device, and the sum of Qᵀ w over segments
//! runs in double precision.

use candle_core::{DType, Device, Tensor};
use nalgebra::DMatrix;

use crate::Error;
use crate::product::norm;
use crate::small::{from_tensor, to_tensor};

/// Entries of a vector per segment at most: 16 KiB of float32 or 32 KiB of float64, one level-1
/// cache.
const SEGMENT: usize = 4096;

/// Segments turned at a time by [`Basis::turn`], which bounds its second copy of the basis.
const TURNED: usize = 16;

/// Classical Gram-Schmidt passes at most. One leaves an error of ε times what it was given: the
/// second is needed where the first took more than it left, and brings Qᵀ Q to working precision
/// whatever that cancelled ("twice is enough": Parlett, The Symmetric Eigenvalue Problem, §6.9; Giraud,
/// Langou, Rozložník and van den Eshof, Numer. Math. 101, 2005).
const PASSES: usize = 2;

/// Room for a fixed number of vectors, allocated at once. A clone shares the vectors.
#[derive(Debug, Clone)]
pub(crate) struct Basis {
    /// (segments, steps, length)
    vectors: Tensor,
    dim: usize,
}

impl Basis {
    /// Room for `steps` vectors like `vector` (1, dim).
    pub(crate) fn zeros(steps: usize, vector: &Tensor) -> Result<Self, Error> {
        let dim = vector.dim(1)?;
        let segments = dim.div_ceil(SEGMENT);
        let shape = (segments, steps, dim.div_ceil(segments));
        Ok(Self {
            vectors: Tensor::zeros(shape, vector.dtype(), vector.device())?,
            dim,
        })
    }

    /// Room for `count` vectors of the same space.
    pub(crate) fn room(&self, count: usize) -> Result<Self, Error> {
        let (segments, _, length) = self.vectors.dims3()?;
        let (dtype, device) = (self.vectors.dtype(), self.vectors.device());
        Ok(Self {
            vectors: Tensor::zeros((segments, count, length), dtype, device)?,
            dim: self.dim,
        })
    }

    /// Moves to room for `capacity` vectors, of which the first `count` are kept.
    pub(crate) fn grow(&mut self, count: usize, capacity: usize) -> Result<(), Error> {
        let grown = self.room(capacity)?;
        if count > 0 {
            grown.set(0, &self.vectors.narrow(1, 0, count)?.contiguous()?)?;
        }
        *self = grown;
        Ok(())
    }

    /// Number of vectors there is room for.
    pub(crate) fn capacity(&self) -> usize {
        self.vectors.dims()[1]
    }

    /// Length of a vector.
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// Where the basis lives.
    pub(crate) fn device(&self) -> &Device {
        self.vectors.device()
    }

    /// (rows, dim) -> (segments, rows, length)
    pub(crate) fn split(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        let (segments, _, length) = self.vectors.dims3()?;
        let rows = vectors.dim(0)?;
        let padded = vectors.pad_with_zeros(1, 0, segments * length - self.dim)?;
        let pieces = padded.reshape((rows, segments, length))?.transpose(0, 1)?;
        Ok(pieces.contiguous()?)
    }

    /// (segments, rows, length) -> (rows, dim)
    pub(crate) fn join(&self, pieces: &Tensor) -> Result<Tensor, Error> {
        let (segments, rows, length) = pieces.dims3()?;
        let padded = pieces.transpose(0, 1)?.reshape((rows, segments * length))?;
        Ok(padded.narrow(1, 0, self.dim)?.contiguous()?)
    }

    /// Writes vectors from `index` on, given as (segments, rows, length).
    pub(crate) fn set(&self, index: usize, pieces: &Tensor) -> Result<(), Error> {
        Ok(self.vectors.slice_set(pieces, 1, index)?)
    }

    /// The first `count` vectors, (count, dim).
    pub(crate) fn rows(&self, count: usize) -> Result<Tensor, Error> {
        self.join(&self.vectors.narrow(1, 0, count)?)
    }

    /// wᵣ · qⱼ for the first `count` vectors and the rows w of `pieces` (segments, rows, length):
    /// (rows, count), float64.
    pub(crate) fn coefficients(&self, count: usize, pieces: &Tensor) -> Result<Tensor, Error> {
        inner_products(&self.vectors.narrow(1, 0, count)?, pieces)
    }

    /// Takes the span of the first `count` vectors out of the rows of `pieces` (segments, rows,
    /// length); one reading of the basis serves all rows. Returns what is left, and what was taken
    /// out as coefficients (rows, count).
    pub(crate) fn project_out(
        &self,
        count: usize,
        pieces: &Tensor,
    ) -> Result<(Tensor, DMatrix<f64>), Error> {
        self.project_out_recent(count, 0, pieces)
    }

    /// As [`project_out`](Self::project_out), where most of what is taken out lies along the last
    /// `recent` vectors: these go first. Where the others then take little, as in a three-term
    /// recurrence, a second reading of the whole basis would change nothing and is left out.
    pub(crate) fn project_out_recent(
        &self,
        count: usize,
        recent: usize,
        pieces: &Tensor,
    ) -> Result<(Tensor, DMatrix<f64>), Error> {
        let rows = pieces.dim(1)?;
        let mut remainder = pieces.clone();
        let mut projections = DMatrix::zeros(rows, count);
        if count == 0 {
            return Ok((remainder, projections));
        }
        if recent > 0 {
            let (left, taken) = self.sweep(count - recent, recent, &remainder)?;
            remainder = left;
            projections
                .columns_mut(count - recent, recent)
                .copy_from(&taken);
        }
        for _ in 0..PASSES {
            let (left, taken) = self.sweep(0, count, &remainder)?;
            remainder = left;
            projections += &taken;
            let mut little = true;
            for row in 0..rows {
                // The row was of squared length ‖taken‖² + ‖left‖².
                little &= taken.row(row).norm() <= norm(&remainder.narrow(1, row, 1)?)?;
            }
            if little {
                break;
            }
        }
        Ok((remainder, projections))
    }

    /// One classical Gram-Schmidt pass against `count` vectors from `first` on.
    fn sweep(
        &self,
        first: usize,
        count: usize,
        pieces: &Tensor,
    ) -> Result<(Tensor, DMatrix<f64>), Error> {
        let vectors = self.vectors.narrow(1, first, count)?;
        let coefficients = inner_products(&vectors, pieces)?;
        let inside = combinations(&vectors, &coefficients)?;
        Ok(((pieces - inside)?, from_tensor(&coefficients)?))
    }

    /// Replaces the first vectors by combinations of them, qᵢ ← Σⱼ qⱼ cⱼᵢ for C (count, kept) with
    /// kept ≤ count, a few segments at a time.
    pub(crate) fn turn(&self, combinations: &DMatrix<f64>) -> Result<(), Error> {
        let (count, kept) = combinations.shape();
        let coefficients =
            to_tensor(&combinations.transpose(), self.device())?.to_dtype(self.vectors.dtype())?;
        let segments = self.vectors.dim(0)?;
        for first in (0..segments).step_by(TURNED) {
            let block = self
                .vectors
                .narrow(0, first, TURNED.min(segments - first))?;
            let turned = coefficients
                .expand((block.dim(0)?, kept, count))?
                .matmul(&block.narrow(1, 0, count)?)?;
            block.slice_set(&turned, 1, 0)?;
        }
        Ok(())
    }

    /// C Qᵀ for the rows of C (rows, count), float64, over the first `count` vectors: (segments,
    /// rows, length).
    pub(crate) fn combine(&self, coefficients: &Tensor) -> Result<Tensor, Error> {
        let vectors = self.vectors.narrow(1, 0, coefficients.dim(1)?)?;
        combinations(&vectors, coefficients)
    }
}

/// (segments, count, length) and (segments, rows, length) -> (rows, count), float64
fn inner_products(vectors: &Tensor, pieces: &Tensor) -> Result<Tensor, Error> {
    let by_segment = pieces.matmul(&vectors.transpose(1, 2)?)?;
    Ok(by_segment.to_dtype(DType::F64)?.sum(0)?)
}

/// (segments, count, length) and (rows, count), float64 -> (segments, rows, length)
fn combinations(vectors: &Tensor, coefficients: &Tensor) -> Result<Tensor, Error> {
    let (rows, count) = coefficients.dims2()?;
    let coefficients =
        coefficients
            .to_dtype(vectors.dtype())?
            .expand((vectors.dim(0)?, rows, count))?;
    Ok(coefficients.matmul(vectors)?)
}
