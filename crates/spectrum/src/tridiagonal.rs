//! Eigenvalues and eigenvectors of an m × m symmetric matrix T = S Θ Sᵀ, tridiagonal or full, m a
//! few hundred at most.

use nalgebra::{DMatrix, SymmetricEigen};

use crate::Error;

/// QR sweeps allowed per row, LAPACK's bound (`dsteqr`); two or three are usual. A bound is needed
/// because nalgebra's unbounded constructor can loop for ever (nalgebra issue 1025).
const SWEEPS_PER_ROW: usize = 30;

/// T = S Θ Sᵀ with the eigenvalues in descending order.
#[derive(Debug, Clone)]
pub(crate) struct Eigen {
    /// θ₁ ≥ θ₂ ≥ …, (m)
    pub(crate) values: Vec<f64>,
    /// S, (m, m): column i belongs to value i.
    pub(crate) vectors: DMatrix<f64>,
}

impl Eigen {
    /// `diagonal` is (m) with m at least 1, `off_diagonal` (m − 1), all finite.
    pub(crate) fn of(diagonal: &[f64], off_diagonal: &[f64]) -> Result<Self, Error> {
        let size = diagonal.len();
        let matrix = DMatrix::from_fn(size, size, |row, column| match row.abs_diff(column) {
            0 => diagonal[row],
            1 => off_diagonal[row.min(column)],
            _ => 0.0,
        });
        Self::of_matrix(matrix)
    }

    /// `matrix` is symmetric and finite with at least one row.
    pub(crate) fn of_matrix(matrix: DMatrix<f64>) -> Result<Self, Error> {
        let size = matrix.nrows();
        let iterations = SWEEPS_PER_ROW * size;
        let eigen = SymmetricEigen::try_new(matrix, f64::EPSILON, iterations)
            // Its iterations end in NaN on some matrices with rows of zeros.
            .filter(|eigen| eigen.eigenvalues.iter().all(|value| value.is_finite()))
            .ok_or(Error::TridiagonalNotConverged { size, iterations })?;
        let mut order: Vec<usize> = (0..size).collect();
        order.sort_by(|&left, &right| eigen.eigenvalues[right].total_cmp(&eigen.eigenvalues[left]));
        Ok(Self {
            values: order
                .iter()
                .map(|&index| eigen.eigenvalues[index])
                .collect(),
            vectors: eigen.eigenvectors.select_columns(&order),
        })
    }

    /// The largest |θ|.
    pub(crate) fn largest(&self) -> f64 {
        let sizes = self.values.iter().map(|value| value.abs());
        sizes.fold(0.0, f64::max)
    }

    /// Squared first components of the eigenvectors, (m): the weights of the Gauss quadrature rule,
    /// of sum 1.
    pub(crate) fn weights(&self) -> Vec<f64> {
        self.vectors
            .row(0)
            .iter()
            .map(|entry| entry * entry)
            .collect()
    }

    /// Absolute last components of the eigenvectors, (m).
    pub(crate) fn last_components(&self) -> Vec<f64> {
        let last = self.vectors.nrows() - 1;
        self.vectors
            .row(last)
            .iter()
            .map(|entry| entry.abs())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use nalgebra::DMatrix;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::Eigen;
    use crate::Error;

    #[test]
    fn an_eigenvalue_that_is_no_number_is_an_error() {
        let mut refused = 0;
        for seed in 0..6 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let lit: Vec<bool> = (0..100).map(|_| rng.random_range(0..4) == 0).collect();
            let factor: DMatrix<f64> = DMatrix::from_fn(100, 8, |row, column| {
                let entry: f64 = rng.sample(StandardNormal);
                f64::from(u8::from(lit[row])) * entry * 0.8_f64.powi(column as i32)
            });
            match Eigen::of_matrix(&factor * factor.transpose()) {
                Ok(eigen) => assert!(eigen.values.iter().all(|value| value.is_finite())),
                Err(error) => {
                    assert!(matches!(error, Error::TridiagonalNotConverged { .. }));
                    refused += 1;
                }
            }
        }
        // Else these matrices would show nothing.
        assert!(refused > 0);
    }
}
