//! All eigenvalues against the chosen spectrum.

use candle_core::DType;
use flatness_spectrum::{Budget, dense_spectrum};
use nalgebra::DMatrix;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::matrices::{Matrix, dense, tensor};
use crate::methods::near;

#[test]
fn every_eigenvalue_is_the_chosen_one_whatever_the_block() {
    let repeated = vec![10.0, 10.0, 3.0, 1e-6, 0.0, 0.0, -4.0];
    for case in [
        Matrix::new("repeated and zero", repeated),
        Matrix::new("one by one", vec![-7.0]),
    ] {
        for block in [1, 3, 100] {
            let operator = case.operator(DType::F64);
            let spectrum = dense_spectrum(&operator, block, &Budget::UNLIMITED).unwrap();
            assert_eq!(spectrum.products, case.eigenvalues.len());
            assert!(spectrum.asymmetry < 1e-14 * case.norm(), "{}", case.name);
            for (got, chosen) in spectrum.eigenvalues.iter().zip(&case.eigenvalues) {
                near(case.name, *got, *chosen, 1e-13 * case.norm());
            }
        }
    }
}

#[test]
fn the_rank_counts_magnitudes_above_the_threshold() {
    let case = Matrix::new("case", vec![10.0, 1.0, 1e-4, 0.0, -5.0, -1e-4]);
    let spectrum = dense_spectrum(&case.operator(DType::F64), 4, &Budget::UNLIMITED).unwrap();
    for (threshold, rank) in [(0.6, 1), (0.2, 2), (1e-3, 3), (1e-6, 5)] {
        assert_eq!(spectrum.rank(threshold), rank, "{threshold}");
    }
}

#[test]
fn a_matrix_with_many_rows_of_zeros_has_eigenvalues() {
    // Pixels that are never lit. On some of these matrices nalgebra's QR iterations end in NaN.
    for dim in [100, 300, 600] {
        for seed in 0..6 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let lit: Vec<bool> = (0..dim).map(|_| rng.random_range(0..4) == 0).collect();
            let rank = dim / 12;
            let factor: DMatrix<f64> = DMatrix::from_fn(dim, rank, |row, column| {
                let entry: f64 = rng.sample(StandardNormal);
                f64::from(u8::from(lit[row])) * entry * 0.8_f64.powi(column as i32)
            });
            let product = &factor * factor.transpose();
            let operator = dense(&tensor(&product));
            let spectrum = dense_spectrum(&operator, 50, &Budget::UNLIMITED).unwrap();
            assert_eq!(spectrum.eigenvalues.len(), dim);
            assert!(spectrum.eigenvalues.is_sorted_by(|a, b| a >= b));
            // One that is no number makes none of the sum.
            let trace: f64 = spectrum.eigenvalues.iter().sum();
            near(
                format!("{dim} {seed}"),
                trace,
                product.trace(),
                1e-12 * product.trace(),
            );
        }
    }
}
