//! The orthonormal basis Q of a Krylov space as rows (capacity, dim), and its two products Qᵀ w and
//! Q c.
//!
//! A Gram-Schmidt pass reads the basis twice from memory, whatever the number of vectors w that it is
//! for: once for the coefficients and once to take the combinations away (`flatness-kernels`).

use candle_core::{Device, Tensor};
use flatness_kernels::{ELEMENTS_AT_MOST, inner_products, norm, subtract_combinations};
use nalgebra::DMatrix;

use crate::Error;

/// Columns turned at a time by [`Basis::turn`], which bounds its second copy of the basis.
const TURNED: usize = 1 << 16;

/// Classical Gram-Schmidt passes at most. One leaves an error of ε times what it was given: the
/// second is needed where the first took more than it left, and brings Qᵀ Q to working precision
/// whatever that cancelled ("twice is enough": Parlett, The Symmetric Eigenvalue Problem, §6.9; Giraud,
/// Langou, Rozložník and van den Eshof, Numer. Math. 101, 2005).
const PASSES: usize = 2;

/// Room for a fixed number of vectors, allocated at once. A clone shares the vectors.
#[derive(Debug, Clone)]
pub(crate) struct Basis {
    /// (capacity, dim)
    vectors: Tensor,
}

impl Basis {
    /// Room for `capacity` vectors like `vector` (1, dim).
    pub(crate) fn zeros(capacity: usize, vector: &Tensor) -> Result<Self, Error> {
        let shape = (capacity, vector.dim(1)?);
        Ok(Self {
            vectors: Tensor::zeros(shape, vector.dtype(), vector.device())?,
        })
    }

    /// The basis whose vectors are the rows of `vectors` (count, dim).
    pub(crate) fn of(vectors: Tensor) -> Self {
        Self { vectors }
    }

    /// Room for `capacity` vectors of the same space.
    pub(crate) fn room(&self, capacity: usize) -> Result<Self, Error> {
        Self::zeros(capacity, &self.vectors)
    }

    /// Moves to room for `capacity` vectors, of which the first `count` are kept.
    pub(crate) fn grow(&mut self, count: usize, capacity: usize) -> Result<(), Error> {
        let grown = self.room(capacity)?;
        if count > 0 {
            grown.set(0, &self.rows(count)?)?;
        }
        *self = grown;
        Ok(())
    }

    /// Number of vectors there is room for.
    pub(crate) fn capacity(&self) -> usize {
        self.vectors.dims()[0]
    }

    /// Length of a vector.
    pub(crate) fn dim(&self) -> usize {
        self.vectors.dims()[1]
    }

    /// Where the basis lives.
    pub(crate) fn device(&self) -> &Device {
        self.vectors.device()
    }

    /// Writes vectors (rows, dim) from `index` on, as many at a time as the kernels of a device count.
    pub(crate) fn set(&self, index: usize, vectors: &Tensor) -> Result<(), Error> {
        let (rows, vectors) = (vectors.dim(0)?, vectors.contiguous()?);
        let at_a_time = (ELEMENTS_AT_MOST / self.dim().max(1)).max(1);
        for first in (0..rows).step_by(at_a_time) {
            let part = vectors.narrow(0, first, at_a_time.min(rows - first))?;
            self.vectors.slice_set(&part, 0, index + first)?;
        }
        Ok(())
    }

    /// The first `count` vectors, (count, dim): a view.
    pub(crate) fn rows(&self, count: usize) -> Result<Tensor, Error> {
        Ok(self.vectors.narrow(0, 0, count)?)
    }

    /// Takes the span of the first `count` vectors out of the rows of `vectors` (rows, dim); one
    /// reading of the basis serves all rows. Returns what is left, and what was taken out as
    /// coefficients (rows, count).
    pub(crate) fn project_out(
        &self,
        count: usize,
        vectors: &Tensor,
    ) -> Result<(Tensor, DMatrix<f64>), Error> {
        self.project_out_recent(count, 0, vectors)
    }

    /// As [`project_out`](Self::project_out), where most of what is taken out lies along the last
    /// `recent` vectors: these go first. Where the others then take little, as in a three-term
    /// recurrence, a second reading of the whole basis would change nothing and is left out.
    pub(crate) fn project_out_recent(
        &self,
        count: usize,
        recent: usize,
        vectors: &Tensor,
    ) -> Result<(Tensor, DMatrix<f64>), Error> {
        let rows = vectors.dim(0)?;
        let mut projections = DMatrix::zeros(rows, count);
        if count == 0 {
            return Ok((vectors.clone(), projections));
        }
        let remainder = vectors.force_contiguous()?;
        if recent > 0 {
            let taken = self.sweep(count - recent, recent, &remainder)?;
            projections
                .columns_mut(count - recent, recent)
                .copy_from(&taken);
        }
        for _ in 0..PASSES {
            let taken = self.sweep(0, count, &remainder)?;
            projections += &taken;
            let mut little = true;
            for row in 0..rows {
                // The row was of squared length ‖taken‖² + ‖left‖².
                little &= taken.row(row).norm() <= norm(&remainder.narrow(0, row, 1)?)?;
            }
            if little {
                break;
            }
        }
        Ok((remainder, projections))
    }

    /// One classical Gram-Schmidt pass against `count` vectors from `first` on, in place.
    fn sweep(&self, first: usize, count: usize, remainder: &Tensor) -> Result<DMatrix<f64>, Error> {
        let vectors = self.vectors.narrow(0, first, count)?;
        let coefficients = inner_products(remainder, &vectors)?;
        subtract_combinations(remainder, &coefficients, &vectors)?;
        Ok(DMatrix::from_row_slice(
            remainder.dim(0)?,
            count,
            &coefficients,
        ))
    }

    /// Replaces the first vectors by combinations of them, qᵢ ← Σⱼ qⱼ cⱼᵢ for C (count, kept) with
    /// kept ≤ count, some columns at a time.
    pub(crate) fn turn(&self, combinations: &DMatrix<f64>) -> Result<(), Error> {
        let (count, kept) = combinations.shape();
        let coefficients =
            to_tensor(&combinations.transpose(), self.device())?.to_dtype(self.vectors.dtype())?;
        let (old, new) = (self.rows(count)?, self.rows(kept)?);
        for first in (0..self.dim()).step_by(TURNED) {
            let columns = old.narrow(1, first, TURNED.min(self.dim() - first))?;
            let turned = coefficients.matmul(&columns.contiguous()?)?;
            new.slice_set(&turned, 1, first)?;
        }
        Ok(())
    }

    /// C Qᵀ for the rows of C (rows, count) over the first `count` vectors: (rows, dim).
    pub(crate) fn combine(&self, coefficients: &DMatrix<f64>) -> Result<Tensor, Error> {
        let vectors = self.rows(coefficients.ncols())?;
        let coefficients = to_tensor(coefficients, self.device())?.to_dtype(vectors.dtype())?;
        Ok(coefficients.matmul(&vectors)?)
    }
}

/// A matrix as a float64 tensor (rows, columns).
pub(crate) fn to_tensor(matrix: &DMatrix<f64>, device: &Device) -> Result<Tensor, Error> {
    let shape = matrix.shape();
    // The transpose is stored row by row in the order of the matrix's own rows.
    Ok(Tensor::from_slice(
        matrix.transpose().as_slice(),
        shape,
        device,
    )?)
}
