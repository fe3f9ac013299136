//! The orthonormal basis Q of a Krylov space, and its two products Qᵀ w and Q c.
//!
//! Vectors are cut into segments short enough to stay in cache: the basis is (segments, steps,
//! length), row j of segment s holding entries s·length … of q_j, the last segment padded with
//! zeros. Both products are then batched matrix products over segments that read every basis entry
//! once from memory and the vector from cache, on any device, and the sum of Qᵀ w over segments
//! runs in double precision.

use candle_core::{DType, Device, Tensor};

use crate::Error;

/// Entries of a vector per segment at most: 16 KiB of float32 or 32 KiB of float64, one level-1
/// cache.
const SEGMENT: usize = 4096;

/// Room for a fixed number of vectors, allocated at once.
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

    /// Number of vectors there is room for.
    pub(crate) fn capacity(&self) -> usize {
        self.vectors.dims()[1]
    }

    /// Where the basis lives.
    pub(crate) fn device(&self) -> &Device {
        self.vectors.device()
    }

    /// (1, dim) -> (segments, 1, length)
    pub(crate) fn split(&self, vector: &Tensor) -> Result<Tensor, Error> {
        let (segments, _, length) = self.vectors.dims3()?;
        let padded = vector.pad_with_zeros(1, 0, segments * length - self.dim)?;
        Ok(padded.reshape((segments, 1, length))?)
    }

    /// (segments, rows, length) -> (rows, dim)
    pub(crate) fn join(&self, pieces: &Tensor) -> Result<Tensor, Error> {
        let (segments, rows, length) = pieces.dims3()?;
        let padded = pieces.transpose(0, 1)?.reshape((rows, segments * length))?;
        Ok(padded.narrow(1, 0, self.dim)?.contiguous()?)
    }

    /// Writes vector `index`, given as (segments, 1, length).
    pub(crate) fn set(&self, index: usize, pieces: &Tensor) -> Result<(), Error> {
        Ok(self.vectors.slice_set(pieces, 1, index)?)
    }

    /// The first `count` vectors, (count, dim).
    pub(crate) fn rows(&self, count: usize) -> Result<Tensor, Error> {
        self.join(&self.vectors.narrow(1, 0, count)?)
    }

    /// Qᵀ w for the first `count` vectors and w as (segments, 1, length): (count), float64.
    pub(crate) fn coefficients(&self, count: usize, pieces: &Tensor) -> Result<Tensor, Error> {
        let vectors = self.vectors.narrow(1, 0, count)?;
        let by_segment = pieces.matmul(&vectors.transpose(1, 2)?)?;
        Ok(by_segment.squeeze(1)?.to_dtype(DType::F64)?.sum(0)?)
    }

    /// C Qᵀ for the rows of C (rows, count), float64, over the first `count` vectors: (segments,
    /// rows, length).
    pub(crate) fn combine(&self, coefficients: &Tensor) -> Result<Tensor, Error> {
        let (rows, count) = coefficients.dims2()?;
        let vectors = self.vectors.narrow(1, 0, count)?;
        let coefficients =
            coefficients
                .to_dtype(vectors.dtype())?
                .expand((vectors.dim(0)?, rows, count))?;
        Ok(coefficients.matmul(&vectors)?)
    }
}
