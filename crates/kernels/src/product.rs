//! Matrix products of strided views: C = A B and C += A B, in one thread.

#[cfg(test)]
mod tests;

use candle_core::{Result, bail};
use gemm::Parallelism;

use crate::real::Real;

/// A strided matrix inside a slice: element (i, j) at `start + i * row_stride + j * column_stride`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) start: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl Extent {
    /// A whole row-major matrix.
    pub(crate) fn row_major(rows: usize, columns: usize) -> Self {
        Self {
            start: 0,
            rows,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

    /// Rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Matrix `index` of a stack whose axis of `count` matrices stands before the last axis:
    /// (rows, count, columns), row-major.
    pub(crate) fn inner(rows: usize, count: usize, columns: usize, index: usize) -> Self {
        Self {
            start: index * columns,
            rows,
            columns,
            row_stride: count * columns,
            column_stride: 1,
        }
    }

    /// Matrix `index` of a stack (count, rows, columns), row-major.
    pub(crate) fn outer(rows: usize, columns: usize, index: usize) -> Self {
        Self {
            start: index * rows * columns,
            ..Self::row_major(rows, columns)
        }
    }

    fn is_empty(&self) -> bool {
        self.rows == 0 || self.columns == 0
    }

    fn check(&self, length: usize) -> Result<()> {
        let last = match (self.rows, self.columns) {
            (0, _) | (_, 0) => return Ok(()),
            (rows, columns) => {
                self.start + (rows - 1) * self.row_stride + (columns - 1) * self.column_stride
            }
        };
        if last >= length {
            bail!(
                "expected at least {} elements for {self:?}, got {length}",
                last + 1
            );
        }
        Ok(())
    }
}

/// A matrix to be read.
pub(crate) type Operand<'a, T> = (&'a [T], Extent);

/// C += A B for the part of `sum` that `extent` covers.
pub(crate) fn accumulate<T: Real>(
    sum: &mut [T],
    extent: Extent,
    left: Operand<'_, T>,
    right: Operand<'_, T>,
) -> Result<()> {
    check(extent, sum.len(), left, right)?;
    if !extent.is_empty() {
        multiply(sum.as_mut_ptr(), extent, true, left, right);
    }
    Ok(())
}

/// A B as a new row-major matrix.
pub(crate) fn product<T: Real>(left: Operand<'_, T>, right: Operand<'_, T>) -> Result<Vec<T>> {
    let extent = Extent::row_major(left.1.rows, right.1.columns);
    let length = extent.rows * extent.columns;
    check(extent, length, left, right)?;
    if left.1.columns == 0 {
        return Ok(vec![T::ZERO; length]);
    }
    let mut out = Vec::with_capacity(length);
    if length > 0 {
        multiply(out.as_mut_ptr(), extent, false, left, right);
    }
    // SAFETY: the capacity is `length`, and `multiply` has written every element of the row-major
    // matrix that `extent` covers, which are exactly the first `length` elements.
    #[allow(unsafe_code, reason = "see the crate root")]
    unsafe {
        out.set_len(length);
    }
    Ok(out)
}

fn check<T>(
    extent: Extent,
    length: usize,
    left: Operand<'_, T>,
    right: Operand<'_, T>,
) -> Result<()> {
    let (shapes, inner) = ((extent.rows, extent.columns), left.1.columns);
    if shapes != (left.1.rows, right.1.columns) || inner != right.1.rows {
        bail!(
            "expected conforming matrices, got {}x{} = {}x{} times {}x{}",
            extent.rows,
            extent.columns,
            left.1.rows,
            inner,
            right.1.rows,
            right.1.columns
        );
    }
    extent.check(length)?;
    left.1.check(left.0.len())?;
    right.1.check(right.0.len())
}

/// Writes (or adds) the product; the caller has checked every extent.
#[allow(unsafe_code, reason = "see the crate root")]
fn multiply<T: Real>(
    out: *mut T,
    extent: Extent,
    add: bool,
    (left, left_extent): Operand<'_, T>,
    (right, right_extent): Operand<'_, T>,
) {
    // SAFETY: `check` has found the largest offset of each of the three extents inside its slice
    // (for `product`, inside the capacity), the strides are those of the extents, and `out` comes
    // from an exclusive borrow that overlaps neither operand. With `add` false, `gemm` does not
    // read `out`.
    unsafe {
        gemm::gemm(
            extent.rows,
            extent.columns,
            left_extent.columns,
            out.add(extent.start),
            extent.column_stride as isize,
            extent.row_stride as isize,
            add,
            left.as_ptr().add(left_extent.start),
            left_extent.column_stride as isize,
            left_extent.row_stride as isize,
            right.as_ptr().add(right_extent.start),
            right_extent.column_stride as isize,
            right_extent.row_stride as isize,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
