//! The matrices of PyHessian's tutorial and of curvlinops' documentation and tests, computed anew with
//! true answers: closed forms, and nalgebra's eigenvalues of the same matrix.

use candle_core::{DType, Tensor};
use flatness_operator::{Dense, LinearOperator};
use flatness_spectrum::{
    Budget, EigenpairsSettings, Eigenvalue, LanczosSettings, MomentsSettings, PowerSettings, Probe,
    Quadrature, QuadratureSettings, XDiagSettings, eigenpairs, lanczos, moments, power_iteration,
    quadrature, xdiag,
};
use nalgebra::DMatrix;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::matrices::{Diagonal, tensor};

pub(crate) fn gaussian(rows: usize, columns: usize, seed: u64) -> DMatrix<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    DMatrix::from_fn(rows, columns, |_, _| rng.sample(StandardNormal))
}

pub(crate) fn uniform(rows: usize, columns: usize, seed: u64) -> DMatrix<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    DMatrix::from_fn(rows, columns, |_, _| rng.random::<f64>())
}

/// In descending order.
pub(crate) fn eigenvalues(matrix: &DMatrix<f64>) -> Vec<f64> {
    let mut values: Vec<f64> = matrix.clone().symmetric_eigenvalues().data.into();
    values.sort_by(|left, right| right.total_cmp(left));
    values
}

pub(crate) fn dense(matrix: &DMatrix<f64>) -> Dense {
    Dense::new(&tensor(matrix)).unwrap()
}

pub(crate) fn top(operator: &dyn LinearOperator, count: usize, tolerance: f64) -> Vec<Eigenvalue> {
    let settings = EigenpairsSettings {
        top: count,
        bottom: 0,
        block: 1,
        basis: operator.dim().min(60),
        tolerance,
        least_products: 0,
        bytes: None,
        seed: 9,
    };
    let pairs = eigenpairs(operator, &settings, &Budget::UNLIMITED, &mut |_| ()).unwrap();
    assert!(pairs.top.iter().all(|value| value.converged));
    pairs.top
}

pub(crate) fn rules(operator: &dyn LinearOperator, probes: usize, steps: usize) -> Quadrature {
    let settings = QuadratureSettings {
        probes,
        steps,
        block: probes,
        bytes: None,
        probe: Probe::Gaussian,
        seed: 9,
    };
    quadrature(operator, &settings).unwrap()
}

/// B = A Aᵀ with normal A (10, 10), the matrix on which PyHessian's tutorial shows power iteration:
/// after 40 steps it is 1.3 % off there, and does not know.
#[test]
fn power_iteration_knows_how_far_off_it_is() {
    let mut unfinished = 0;
    for seed in 0..12 {
        let factor = gaussian(10, 10, seed);
        let matrix = &factor * factor.transpose();
        let exact = eigenvalues(&matrix);
        let operator = dense(&matrix);
        let settings = PowerSettings {
            max_iterations: 40,
            tolerance: 1e-3,
            seed,
        };
        let found = power_iteration(&operator, &settings).unwrap();
        let distance = exact
            .iter()
            .map(|value| (value - found.value).abs())
            .fold(f64::INFINITY, f64::min);
        assert!(distance <= found.residual);
        assert!(found.value <= exact[0] * (1.0 + 1e-14));
        if found.value < 0.999 * exact[0] {
            unfinished += 1;
            assert!(!found.converged, "{found:?} {}", exact[0]);
        }
        let lambda = top(&operator, 1, 1e-9)[0];
        assert!((lambda.value - exact[0]).abs() <= lambda.residual + 1e-13 * exact[0]);
        // Tr B = Σ aᵢⱼ², ‖B‖_F² = ‖Aᵀ A‖_F² and ln det B = 2 ln |det A|.
        let rules = rules(&operator, 30, 10);
        let gram = factor.transpose() * &factor;
        for (estimate, truth) in [
            (rules.nuclear_norm(), factor.norm_squared()),
            (rules.frobenius_squared(), gram.norm_squared()),
            (
                rules.log_determinant(0.0),
                2.0 * factor.determinant().abs().ln(),
            ),
        ] {
            let interval = estimate.unwrap().interval(0.9999).unwrap();
            assert!(interval.contains(&truth), "{interval:?} {truth}");
        }
    }
    assert!(unfinished > 0, "no matrix is as hard as the tutorial's");
}

/// The diagonal matrices on which curvlinops tests the ends of a spectrum.
#[test]
fn the_ends_of_small_diagonal_matrices_are_exact() {
    for entries in [[1.0, 2.0, 3.0, 4.0, 5.0], [-2.0, -1.0, 3.0, 4.0, 5.0]] {
        let operator = Diagonal::new(entries.to_vec(), DType::F64);
        let settings = LanczosSettings {
            steps: 5,
            tolerance: 1e-10,
            seed: 9,
        };
        let found = lanczos(&operator, &settings).unwrap();
        for (end, truth) in [
            (found.lambda_min(), entries[0]),
            (found.lambda_max(), entries[4]),
            (found.spectral_norm(), 5.0),
        ] {
            assert!(end.converged && (end.value - truth).abs() <= 1e-13);
        }
        // Signs give every eigenvalue the same weight: ranks are exact, and tell the least |λ|.
        let settings = QuadratureSettings {
            probes: 2,
            steps: 5,
            block: 2,
            bytes: None,
            probe: Probe::Rademacher,
            seed: 9,
        };
        let rules = quadrature(&operator, &settings).unwrap();
        for (threshold, rank) in [(0.999, 5.0), (1.001, 4.0), (4.5, 1.0)] {
            let found = rules.numerical_rank(threshold).unwrap();
            assert!((found.value - rank).abs() <= 1e-12, "{found:?} {rank}");
            assert!(found.standard_error <= 1e-12);
        }
    }
}

/// Matrices of uniform entries, on which curvlinops tests that its traces, diagonals and norms
/// converge to the truth: here their means over 60 seeds, within 4.5 standard errors of these means,
/// which 30 entries exceed once in 1000 times.
#[test]
fn estimates_of_a_uniform_matrix_are_unbiased() {
    let dim = 30;
    let entries = uniform(dim, dim, 5);
    let matrix = 0.5 * (&entries + entries.transpose());
    let operator = dense(&matrix);
    let seeds = 60;
    let estimates: Vec<Vec<f64>> = (0..seeds)
        .map(|seed| {
            let (probes, block) = (4, 4);
            let diagonal = XDiagSettings {
                probes,
                block,
                bytes: None,
                seed,
            };
            let sums = MomentsSettings {
                probes,
                block,
                seed,
            };
            let moments = moments(&operator, &sums).unwrap();
            let values: Tensor = xdiag(&operator, &diagonal).unwrap().values;
            let mut estimates: Vec<f64> = values.to_vec1().unwrap();
            estimates.extend([moments.trace.value, moments.frobenius_squared.value]);
            estimates
        })
        .collect();
    let mut truths: Vec<f64> = matrix.diagonal().iter().copied().collect();
    truths.extend([matrix.trace(), matrix.norm_squared()]);
    let count = seeds as f64;
    for (index, truth) in truths.iter().enumerate() {
        let mean = estimates.iter().map(|all| all[index]).sum::<f64>() / count;
        let squares: f64 = estimates
            .iter()
            .map(|all| (all[index] - mean).powi(2))
            .sum();
        let error = (squares / (count * (count - 1.0))).sqrt();
        assert!(
            (mean - truth).abs() <= 4.5 * error,
            "{index}: {mean} {truth} {error}"
        );
        assert!(error < 0.2 * truth.max(1.0), "{index}: {error}");
    }
}
