//! The matrices of PyHessian's tutorial and of curvlinops' documentation and tests, computed anew with
//! true answers: closed forms, limits of their laws, and nalgebra's eigenvalues of the same matrix.

use candle_core::DType;
use flatness_operator::{Dense, LinearOperator};
use flatness_spectrum::{EigenpairsSettings, Eigenvalue, Probe, QuadratureSettings, XDiagSettings};
use nalgebra::DMatrix;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::diagonal::host;
use crate::matrices::{Diagonal, tensor};
use crate::methods::{RULES, SEARCH, SKETCH, moments, quadrature, rules, search, xdiag};

const SEED: u64 = 9;

fn gaussian(rows: usize, columns: usize, seed: u64) -> DMatrix<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    DMatrix::from_fn(rows, columns, |_, _| rng.sample(StandardNormal))
}

fn uniform(rows: usize, columns: usize, seed: u64) -> DMatrix<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    DMatrix::from_fn(rows, columns, |_, _| rng.random::<f64>())
}

/// In descending order.
fn eigenvalues(matrix: &DMatrix<f64>) -> Vec<f64> {
    let mut values: Vec<f64> = matrix.clone().symmetric_eigenvalues().data.into();
    values.sort_by(|left, right| right.total_cmp(left));
    values
}

fn dense(matrix: &DMatrix<f64>) -> Dense {
    Dense::new(&tensor(matrix)).unwrap()
}

fn top(operator: &dyn LinearOperator, count: usize) -> Vec<Eigenvalue> {
    let settings = EigenpairsSettings {
        top: count,
        bottom: 0,
        basis: operator.dim().min(60),
        ..SEARCH
    };
    let pairs = search(operator, &settings);
    assert!(pairs.top.iter().all(|value| value.converged));
    pairs.top
}

/// B = A Aᵀ with normal A (10, 10), the matrix on which PyHessian's tutorial shows power iteration.
#[test]
fn eigenvalue_and_sums_of_the_tutorial() {
    for seed in 0..12 {
        let factor = gaussian(10, 10, seed);
        let matrix = &factor * factor.transpose();
        let exact = eigenvalues(&matrix);
        let operator = dense(&matrix);
        let lambda = top(&operator, 1)[0];
        assert!((lambda.value - exact[0]).abs() <= lambda.residual + 1e-13 * exact[0]);
        // Tr B = Σ aᵢⱼ², ‖B‖_F² = ‖Aᵀ A‖_F² and ln det B = 2 ln |det A|.
        let rules = rules(&operator, 30, 10, SEED);
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
}

/// The diagonal matrices on which curvlinops tests the ends of a spectrum.
#[test]
fn the_ends_of_small_diagonal_matrices_are_exact() {
    for entries in [[1.0, 2.0, 3.0, 4.0, 5.0], [-2.0, -1.0, 3.0, 4.0, 5.0]] {
        let operator = Diagonal::new(entries.to_vec(), DType::F64);
        let settings = EigenpairsSettings {
            top: 1,
            bottom: 1,
            basis: 5,
            ..SEARCH
        };
        let found = search(&operator, &settings);
        for (end, truth) in [
            (found.bottom[0], entries[0]),
            (found.top[0], entries[4]),
            (found.spectral_norm().unwrap(), 5.0),
        ] {
            assert!(end.converged && (end.value - truth).abs() <= 1e-13);
        }
        // Signs give every eigenvalue the same weight: ranks are exact, and tell the least |λ|.
        let settings = QuadratureSettings {
            probes: 2,
            steps: 5,
            probe: Probe::Rademacher,
            ..RULES
        };
        let rules = quadrature(&operator, None, &settings).unwrap();
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
            let settings = XDiagSettings {
                probes: 4,
                seed,
                ..SKETCH
            };
            let mut estimates = host(&xdiag(&operator, &settings).unwrap().values);
            let moments = moments(&operator, None, 4, seed);
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

/// diag(5, 4, 3, 0, …) + Z Zᵀ / n with normal Z (n, n), with which curvlinops verifies its density
/// after Papyan's Figure 15a (JMLR 21, 2020).
fn spiked(dim: usize) -> DMatrix<f64> {
    let factor = gaussian(dim, dim, 3);
    let mut matrix = &factor * factor.transpose() / dim as f64;
    for (index, spike) in [5.0, 4.0, 3.0].into_iter().enumerate() {
        matrix[(index, index)] += spike;
    }
    matrix
}

/// The angle φ of an eigenvalue 4 sin² φ of the Marchenko-Pastur law of a square Z, of which
/// (2 φ + sin 2φ) / π of the eigenvalues lie below.
fn share_below(value: f64) -> f64 {
    let twice = 2.0 * (value / 4.0).sqrt().asin();
    (twice + twice.sin()) / std::f64::consts::PI
}

#[test]
fn outliers_over_a_bulk_are_where_free_probability_puts_them() {
    let dim = 300;
    let matrix = spiked(dim);
    let exact = eigenvalues(&matrix);
    let found = top(&dense(&matrix), 3);
    for ((found, exact), spike) in found.iter().zip(&exact).zip([5.0, 4.0, 3.0_f64]) {
        assert!((found.value - exact).abs() <= found.residual + 1e-12);
        // A spike above 2 drives an eigenvalue out of the bulk to s² / (s − 1) as the dimension
        // grows (Benaych-Georges and Nadakuditi, Adv. Math. 227, 2011). At 300 dimensions it spreads
        // by 0.1 around that.
        let limit = spike * spike / (spike - 1.0);
        assert!(
            (found.value - limit).abs() <= 0.5,
            "{} {limit}",
            found.value
        );
    }
    // As many steps as dimensions, so that steps in the spectrum cost nothing.
    let rules = rules(&dense(&matrix), 10, dim, SEED);
    for (low, high, outside) in [(0.25, 1.0, 0.0), (0.5, 2.5, 0.0), (1.0, 9.0, 3.0)] {
        let bulk = dim as f64 - 3.0;
        let expected = bulk * (share_below(f64::min(high, 4.0)) - share_below(low)) + outside;
        let found = rules.count(low..=high).unwrap();
        // Eigenvalues repel each other: their number in an interval is off by a few and no more.
        let allowed = found.half_width(0.9999).unwrap() + 4.0;
        assert!(
            (found.value - expected).abs() <= allowed,
            "{found:?} {expected}"
        );
    }
}

#[test]
fn the_density_of_a_bulk_is_that_of_marchenko_and_pastur() {
    let dim = 300;
    let rules = rules(&dense(&spiked(dim)), 10, 80, SEED);
    let sigma = 0.1;
    let grid: Vec<f64> = (1..=8).map(|i| 0.5 * f64::from(i)).chain([5.0]).collect();
    let density = rules.density(&grid, sigma).unwrap();
    let kernel =
        |t: f64| (-0.5 * (t / sigma).powi(2)).exp() / (sigma * std::f64::consts::TAU.sqrt());
    let points = 4000;
    for (index, &point) in grid.iter().enumerate() {
        // λ = 4 sin² φ has the density (4/π) cos² φ over 0 < φ < π/2.
        let step = std::f64::consts::FRAC_PI_2 / f64::from(points);
        let bulk: f64 = (0..points)
            .map(|i| {
                let (sine, cosine) = (step * (f64::from(i) + 0.5)).sin_cos();
                step * 4.0 / std::f64::consts::PI
                    * cosine.powi(2)
                    * kernel(point - 4.0 * sine.powi(2))
            })
            .sum();
        let expected = bulk * (1.0 - 3.0 / dim as f64);
        let found = (density.values[index], density.standard_errors[index]);
        // 7.9 standard errors of ten probes miss once in 40,000 times; one eigenvalue of 300 more or
        // less within the kernel is 0.013, which is also what an outlier has at its top.
        let allowed = 7.9 * found.1 + 0.014;
        assert!(
            (found.0 - expected).abs() <= allowed,
            "{point}: {found:?} {expected}"
        );
    }
}

/// Z Zᵀ / 2n with Z (n, 2n) of Pareto's law of index 1, whose eigenvalues span seven decades:
/// curvlinops' verification on the logarithmic axis, Papyan's Figure 15b.
#[test]
fn the_log_density_of_a_heavy_tailed_matrix_is_that_of_its_eigenvalues() {
    let dim = 60;
    let factor = uniform(dim, 2 * dim, 4).map(|uniform| (1.0 - uniform).recip() - 1.0);
    let matrix = &factor * factor.transpose() / (2.0 * dim as f64);
    let exact = eigenvalues(&matrix);
    assert!(exact[0] > 1e4 * exact[dim - 1] && exact[dim - 1] > 0.0);
    let rules = rules(&dense(&matrix), 60, dim, SEED);
    let sigma = 0.2;
    let grid: Vec<f64> = (-4..=12).map(|i| 0.5 * f64::from(i)).collect();
    let density = rules.log_density(&grid, sigma).unwrap();
    for (point, found) in grid.iter().zip(&density.positive) {
        let sum: f64 = exact
            .iter()
            .map(|value| (-0.5 * ((point - value.log10()) / sigma).powi(2)).exp())
            .sum();
        let expected = sum / (dim as f64 * sigma * std::f64::consts::TAU.sqrt());
        // The rules' nodes are right to rounding, 1e-15 of the largest of six decades.
        let allowed = found.half_width(0.9999).unwrap() + 1e-8;
        assert!(
            (found.value - expected).abs() <= allowed,
            "{point}: {found:?} {expected}"
        );
    }
    assert!(density.negative.iter().all(|found| found.value == 0.0));
    assert_eq!(density.signs.below_resolution.value, 0.0);
}
