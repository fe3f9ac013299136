//! The orthonormal basis Q of a Krylov space as rows (capacity, dim), and its two products Qᵀ w and
//! Q c.
//!
//! A Gram-Schmidt pass reads the basis twice from memory, whatever the number of vectors w that it is
//! for: once for the coefficients and once to take the combinations away (`flatness-kernels`).

use std::ops::Range;

use candle_core::{Device, Tensor};
use flatness_kernels::{
    ELEMENTS_AT_MOST, inner_products, norm, subtract_combinations, takes_cpu_path,
};
use nalgebra::DMatrix;

use crate::Error;

/// Columns combined at a time where a second copy of the basis is to be bounded.
const COLUMNS: usize = 1 << 16;

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
    /// Elements that a kernel of a device counts.
    countable: usize,
}

impl Basis {
    /// Room for `capacity` vectors like `vector` (1, dim).
    pub(crate) fn zeros(capacity: usize, vector: &Tensor) -> Result<Self, Error> {
        let shape = (capacity, vector.dim(1)?);
        let zeros = Tensor::zeros(shape, vector.dtype(), vector.device())?;
        Ok(Self::of(zeros))
    }

    /// The basis whose vectors are the rows of `vectors` (count, dim).
    pub(crate) fn of(vectors: Tensor) -> Self {
        Self {
            vectors,
            countable: ELEMENTS_AT_MOST,
        }
    }

    /// Room for `capacity` vectors of the same space.
    pub(crate) fn room(&self, capacity: usize) -> Result<Self, Error> {
        Ok(Self {
            countable: self.countable,
            ..Self::zeros(capacity, &self.vectors)?
        })
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

    /// Vectors among which the kernels of a device count every element.
    fn at_a_time(&self) -> usize {
        (self.countable / self.dim().max(1)).max(1)
    }

    /// `range` in parts of so many vectors.
    fn parts(&self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let (end, at_a_time) = (range.end, self.at_a_time());
        let firsts = range.step_by(at_a_time);
        firsts.map(move |first| first..end.min(first + at_a_time))
    }

    /// Writes vectors (rows, dim) from `index` on.
    pub(crate) fn set(&self, index: usize, vectors: &Tensor) -> Result<(), Error> {
        let vectors = vectors.contiguous()?;
        for part in self.parts(0..vectors.dim(0)?) {
            let rows = vectors.narrow(0, part.start, part.len())?;
            self.vectors.slice_set(&rows, 0, index + part.start)?;
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

    /// One classical Gram-Schmidt pass against `count` vectors from `first` on, in place: all coefficients are those of what
    /// was given.
    fn sweep(&self, first: usize, count: usize, remainder: &Tensor) -> Result<DMatrix<f64>, Error> {
        let all = first..first + count;
        let parts: Vec<_> = match takes_cpu_path(self.device()) {
            true => vec![all],
            false => self.parts(all).collect(),
        };
        let (mut taken, mut pieces) = (DMatrix::zeros(remainder.dim(0)?, count), Vec::new());
        for part in parts {
            let vectors = self.vectors.narrow(0, part.start, part.len())?;
            let coefficients = inner_products(remainder, &vectors)?;
            let columns = DMatrix::from_row_slice(taken.nrows(), part.len(), &coefficients);
            taken
                .columns_mut(part.start - first, part.len())
                .copy_from(&columns);
            pieces.push((coefficients, vectors));
        }
        for (coefficients, vectors) in pieces {
            subtract_combinations(remainder, &coefficients, &vectors)?;
        }
        Ok(taken)
    }

    /// Replaces the first vectors by combinations of them, qᵢ ← Σⱼ qⱼ cⱼᵢ for C (count, kept) with
    /// kept ≤ count.
    pub(crate) fn turn(&self, combinations: &DMatrix<f64>) -> Result<(), Error> {
        self.write_combinations(&combinations.transpose(), self)
    }

    /// C Qᵀ for the rows of C (rows, count) over the first `count` vectors: (rows, dim).
    pub(crate) fn combine(&self, coefficients: &DMatrix<f64>) -> Result<Tensor, Error> {
        let (rows, count) = coefficients.shape();
        if !takes_cpu_path(self.device()) && rows.max(count) > self.at_a_time() {
            let combined = self.room(rows)?;
            self.write_combinations(coefficients, &combined)?;
            return Ok(combined.vectors);
        }
        let coefficients =
            to_tensor(coefficients, self.device())?.to_dtype(self.vectors.dtype())?;
        Ok(coefficients.matmul(&self.rows(count)?)?)
    }

    /// These entries of the first `count` vectors, (count, entries), copied for as many vectors at once as candle's copies count.
    pub(crate) fn columns(&self, count: usize, entries: Range<usize>) -> Result<Tensor, Error> {
        let columns = self.parts(0..count).map(|part| {
            let vectors = self.vectors.narrow(0, part.start, part.len())?;
            vectors
                .narrow(1, entries.start, entries.len())?
                .contiguous()
        });
        Ok(Tensor::cat(&columns.collect::<Result<Vec<_>, _>>()?, 0)?)
    }

    /// Writes C Qᵀ for the rows of C (rows, count) into the first vectors of `target`, which may be this basis, some columns at
    /// a time.
    fn write_combinations(&self, c: &DMatrix<f64>, target: &Self) -> Result<(), Error> {
        let (rows, count) = c.shape();
        let coefficients = to_tensor(c, self.device())?.to_dtype(self.vectors.dtype())?;
        for first in (0..self.dim()).step_by(COLUMNS) {
            let columns = first..self.dim().min(first + COLUMNS);
            let combined = coefficients.matmul(&self.columns(count, columns)?)?;
            for part in self.parts(0..rows) {
                let vectors = target.vectors.narrow(0, part.start, part.len())?;
                vectors.slice_set(&combined.narrow(0, part.start, part.len())?, 1, first)?;
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use candle_core::{DType, bail};
    use flatness_kernels::launch::{Correlation, Launch, Launcher, Product, with_launcher};

    use super::*;

    /// Elements that [`Counting`] counts: those of three vectors of [`DIM`].
    const COUNTABLE: usize = 3 * DIM + 1;
    const DIM: usize = 7;

    /// A device that refuses tensors of more than [`COUNTABLE`] elements, and does what it is asked for by loops.
    struct Counting;

    impl Counting {
        fn numbers(tensor: &Tensor) -> candle_core::Result<Vec<f64>> {
            if tensor.elem_count() > COUNTABLE {
                bail!("{} elements", tensor.elem_count());
            }
            tensor.flatten_all()?.to_vec1()
        }
    }

    impl Launcher for Counting {
        fn room(
            &self,
            shape: &[usize],
            dtype: DType,
            like: &Tensor,
        ) -> candle_core::Result<Tensor> {
            Tensor::zeros(shape, dtype, like.device())
        }
        fn zeros(&self, count: usize, like: &Tensor) -> candle_core::Result<Tensor> {
            Tensor::zeros(count, DType::U32, like.device())
        }
        fn launch(&self, launch: &Launch<'_>) -> candle_core::Result<()> {
            let read = launch.read.iter().map(|tensor| Self::numbers(tensor));
            let read = read.collect::<candle_core::Result<Vec<_>>>()?;
            let result = launch.written[0];
            let mut values = Self::numbers(result)?;
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            match launch.name {
                "inner_products" => {
                    let rows = read[0].chunks(DIM);
                    let products = rows.flat_map(|w| read[1].chunks(DIM).map(move |q| dot(w, q)));
                    values = products.collect();
                }
                "subtract_combinations" => {
                    let count = read[0].len() / DIM;
                    for (index, value) in values.iter_mut().enumerate() {
                        let (row, column) = (index / DIM, index % DIM);
                        let vectors = (0..count)
                            .map(|k| read[1][row * count + k] * read[0][k * DIM + column]);
                        *value -= vectors.sum::<f64>();
                    }
                }
                other => bail!("a kernel {other}"),
            }
            result.slice_set(
                &Tensor::from_vec(values, result.shape(), result.device())?,
                0,
                0,
            )
        }
        fn multiply(&self, _: &Product<'_>) -> candle_core::Result<()> {
            bail!("a product")
        }
        fn correlates(&self) -> bool {
            false
        }
        fn correlate(&self, _: &Correlation<'_>) -> candle_core::Result<()> {
            bail!("a convolution")
        }
        fn read(&self, tensors: &[&Tensor]) -> candle_core::Result<Vec<Vec<f64>>> {
            tensors.iter().map(|tensor| Self::numbers(tensor)).collect()
        }
    }

    /// Entries that no rounding touches in sums of a few.
    fn integers(rows: usize, seed: usize) -> Tensor {
        let entries = (0..rows * DIM).map(|index| ((index + seed) * 7919 % 13) as f64 - 6.0);
        Tensor::from_vec(entries.collect(), (rows, DIM), &Device::Cpu).unwrap()
    }

    fn numbers(tensor: &Tensor) -> Vec<f64> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn a_long_basis_is_gone_through_in_parts_that_a_device_counts() {
        let vectors = integers(8, 1);
        let matrix = |rows, columns, seed| {
            DMatrix::from_fn(rows, columns, |row, column| {
                ((3 * row + column + seed) % 5) as f64 - 2.0
            })
        };
        let all = |countable| {
            let basis = Basis {
                countable,
                ..Basis::of(vectors.copy().unwrap())
            };
            let mut results = Vec::new();
            let remainder = integers(2, 5).copy().unwrap();
            // One pass over all, and one over some in the middle.
            for (first, count) in [(0, 8), (3, 4)] {
                let taken = basis.sweep(first, count, &remainder).unwrap();
                results.push(taken.transpose().as_slice().to_vec());
                results.push(numbers(&remainder));
            }
            results.push(numbers(&basis.combine(&matrix(5, 8, 0)).unwrap()));
            results.push(numbers(&basis.combine(&matrix(5, 2, 0)).unwrap()));
            basis.turn(&matrix(8, 5, 1)).unwrap();
            results.push(numbers(&basis.vectors));
            basis.set(1, &integers(7, 3)).unwrap();
            let mut grown = basis.clone();
            grown.grow(8, 9).unwrap();
            assert_eq!(grown.countable, countable);
            results.push(numbers(&grown.vectors));
            results
        };
        let expected = all(ELEMENTS_AT_MOST);
        assert_eq!(
            with_launcher(Rc::new(Counting), || all(COUNTABLE)),
            expected
        );
        // As a whole it is refused.
        let whole = Basis::of(vectors.copy().unwrap());
        let refused = with_launcher(Rc::new(Counting), || whole.sweep(0, 8, &integers(2, 5)));
        assert!(refused.is_err());
    }
}
