//! A matrix held entry by entry: W = V Aᵀ, A (dim, dim), V and W (k, dim).

use candle_core::{DType, Device, Tensor};

use crate::linear_operator::check_block;
use crate::{Error, LinearOperator};

/// Rows compared with their mirrored columns at a time: the test for symmetry then needs two strips
/// of this height on the host, not a second matrix.
const STRIP: usize = 256;

/// A symmetric matrix with all its entries.
#[derive(Debug, Clone)]
pub struct Dense {
    /// (dim, dim)
    matrix: Tensor,
}

impl Dense {
    /// Takes a (dim, dim) matrix of F32 or F64 and tests that it is symmetric: |aᵢⱼ − aⱼᵢ| ≤ 8 √dim
    /// ε max|a|, ε the element type's machine epsilon. That is the size of the rounding left in
    /// entries computed as inner products of length dim.
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`] for anything but a square matrix with at least one entry,
    /// [`Error::UnsupportedDType`], [`Error::NonFiniteEntry`] with the first such entry,
    /// [`Error::NotSymmetric`] with the worst pair of entries.
    pub fn new(matrix: &Tensor) -> Result<Self, Error> {
        let what = "the matrix";
        let dim = match *matrix.dims() {
            [rows, columns] if rows == columns && rows > 0 => rows,
            _ => {
                return Err(Error::ShapeMismatch {
                    what,
                    expected: "(n, n) with n of at least 1".to_owned(),
                    got: matrix.dims().to_vec(),
                });
            }
        };
        let epsilon = match matrix.dtype() {
            DType::F32 => f64::from(f32::EPSILON),
            DType::F64 => f64::EPSILON,
            got => return Err(Error::UnsupportedDType { what, got }),
        };
        let mut largest = 0.0_f64;
        let mut worst = (0, 0, 0.0_f64, 0.0_f64);
        for start in (0..dim).step_by(STRIP) {
            let height = STRIP.min(dim - start);
            let rows = host_rows(&matrix.narrow(0, start, height)?)?;
            let columns = host_rows(&matrix.narrow(1, start, height)?.t()?)?;
            for (offset, (row, column)) in rows.iter().zip(&columns).enumerate() {
                let row_idx = start + offset;
                for (column_idx, (&upper, &lower)) in row.iter().zip(column).enumerate() {
                    if !upper.is_finite() {
                        return Err(Error::NonFiniteEntry {
                            row: row_idx,
                            column: column_idx,
                            got: upper,
                        });
                    }
                    largest = largest.max(upper.abs());
                    if column_idx > row_idx && (upper - lower).abs() > (worst.2 - worst.3).abs() {
                        worst = (row_idx, column_idx, upper, lower);
                    }
                }
            }
        }
        let tolerance = 8.0 * (dim as f64).sqrt() * epsilon * largest;
        let (row, column, upper, lower) = worst;
        // A NaN below the diagonal cannot hide here: its own row was refused above.
        if (upper - lower).abs() > tolerance {
            return Err(Error::NotSymmetric {
                row,
                column,
                upper,
                lower,
                tolerance,
            });
        }
        Ok(Self {
            matrix: matrix.clone(),
        })
    }

    /// The matrix, (dim, dim).
    #[must_use]
    pub fn matrix(&self) -> &Tensor {
        &self.matrix
    }
}

impl LinearOperator for Dense {
    fn dim(&self) -> usize {
        self.matrix.dims()[0]
    }

    fn dtype(&self) -> DType {
        self.matrix.dtype()
    }

    fn device(&self) -> &Device {
        self.matrix.device()
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        check_block(self, vectors)?;
        Ok(vectors.matmul(&self.matrix.t()?)?)
    }
}

/// The entries of a two-dimensional tensor in double precision on the host, row by row.
fn host_rows(tensor: &Tensor) -> Result<Vec<Vec<f64>>, Error> {
    Ok(tensor.to_dtype(DType::F64)?.to_vec2::<f64>()?)
}
