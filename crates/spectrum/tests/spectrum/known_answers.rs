//! Matrices whose every number is a formula: the examples with which curvature software introduces
//! itself, and a few more.

use candle_core::{DType, Device, Tensor};
use flatness_operator::LinearOperator;
use flatness_spectrum::{Budget, Estimate, Quadrature, dense_spectrum};

use crate::matrices::{custom, dense, diagonal, largest};
use crate::methods::{self, SEARCH, moments, near, search, with};

const SEED: u64 = 8;

/// A matrix with its numbers by formula.
struct Known {
    name: &'static str,
    operator: Box<dyn LinearOperator>,
    /// In descending order.
    eigenvalues: Vec<f64>,
    trace: f64,
    frobenius_squared: f64,
    /// ln det(A + s I) with its s.
    log_determinant: (f64, f64),
}

/// Mean squared error of a linear model, L(w) = (1/N) ‖X w − y‖², with the Hessian (2/N) Xᵀ X. X (N, n) takes
/// differences of neighbours, between zeros at both ends: N = n + 1, and Xᵀ X has 2 on its diagonal and −1
/// beside it, the eigenvalues 2 − 2 cos(kπ / N), and the determinant N.
fn linear_regression(n: u32) -> Known {
    let count = n + 1;
    let scale = 2.0 / f64::from(count);
    let apply = move |vectors: &Tensor| {
        let padded = vectors.pad_with_zeros(1, 1, 1)?;
        let left = padded.narrow(1, 0, count as usize)?;
        let differences = (padded.narrow(1, 1, count as usize)? - left)?;
        let before = differences.narrow(1, 0, n as usize)?;
        (before - differences.narrow(1, 1, n as usize)?)? * scale
    };
    let cosine = |k: u32| (std::f64::consts::PI * f64::from(k) / f64::from(count)).cos();
    let dim = f64::from(n);
    Known {
        name: "linear regression",
        operator: Box::new(custom(n as usize, DType::F64, apply)),
        eigenvalues: (1..=n)
            .rev()
            .map(|k| scale * (2.0 - 2.0 * cosine(k)))
            .collect(),
        trace: scale * 2.0 * dim,
        frobenius_squared: scale * scale * (4.0 * dim + 2.0 * (dim - 1.0)),
        log_determinant: (0.0, dim * scale.ln() + f64::from(count).ln()),
    }
}

/// diag(1, 2, ..., n).
fn counting(n: u32) -> Known {
    let (dim, entries) = (f64::from(n), (1..=n).map(f64::from).collect::<Vec<_>>());
    Known {
        name: "counting",
        operator: Box::new(diagonal(&entries, DType::F64)),
        eigenvalues: (1..=n).rev().map(f64::from).collect(),
        trace: dim * (dim + 1.0) / 2.0,
        frobenius_squared: dim * (dim + 1.0) * (2.0 * dim + 1.0) / 6.0,
        // ln n!
        log_determinant: (0.0, (1..=n).map(|i| f64::from(i).ln()).sum()),
    }
}

/// a I + b 1 1ᵀ: the eigenvalue a + b n once, and a for all else.
fn compound_symmetry(n: u32, a: f64, b: f64) -> Known {
    let dim = f64::from(n);
    let apply = move |vectors: &Tensor| {
        let sums = (vectors.sum_keepdim(1)? * b)?;
        (vectors * a)?.broadcast_add(&sums)
    };
    let mut eigenvalues = vec![a; n as usize];
    eigenvalues[0] = a + b * dim;
    Known {
        name: "compound symmetry",
        operator: Box::new(custom(n as usize, DType::F64, apply)),
        eigenvalues,
        trace: dim * (a + b),
        frobenius_squared: dim * (a + b).powi(2) + dim * (dim - 1.0) * b * b,
        log_determinant: (1.0, (dim - 1.0) * (a + 1.0).ln() + (a + 1.0 + b * dim).ln()),
    }
}

/// ½ θᵀAθ of two parameters: λ = (a + c)/2 ± √((a − c)²/4 + b²), indefinite where b² > a c.
fn quadratic(a: f64, b: f64, c: f64) -> Known {
    let matrix = Tensor::new(&[[a, b], [b, c]], &Device::Cpu).unwrap();
    let (middle, half) = ((a + c) / 2.0, ((a - c) / 2.0).hypot(b));
    Known {
        name: "quadratic",
        operator: Box::new(dense(&matrix)),
        eigenvalues: vec![middle + half, middle - half],
        trace: a + c,
        frobenius_squared: a * a + 2.0 * b * b + c * c,
        log_determinant: (5.0, ((a + 5.0) * (c + 5.0) - b * b).ln()),
    }
}

fn cases() -> Vec<Known> {
    vec![
        linear_regression(30),
        counting(40),
        compound_symmetry(25, 0.5, 2.0),
        quadratic(2.0, 1.0, 2.0),
        quadratic(1.0, 3.0, -2.0),
    ]
}

impl Known {
    fn sum(&self, function: impl Fn(f64) -> f64) -> f64 {
        self.eigenvalues.iter().map(|value| function(*value)).sum()
    }

    fn dim(&self) -> usize {
        self.eigenvalues.len()
    }

    /// With all steps, so that the probes alone err.
    fn rules(&self) -> Quadrature {
        methods::rules(&*self.operator, 100, self.dim(), SEED)
    }
}

#[test]
fn the_formulas_agree_with_each_other() {
    for case in cases() {
        let (shift, log_determinant) = case.log_determinant;
        for (got, truth) in [
            (case.sum(|value| value), case.trace),
            (case.sum(|value| value * value), case.frobenius_squared),
            (case.sum(|value| (value + shift).ln()), log_determinant),
        ] {
            near(case.name, got, truth, 1e-12 * truth.abs().max(1.0));
        }
    }
}

#[test]
fn eigenvalues_are_those_of_the_formula() {
    for case in cases() {
        let (name, dim, rounding) = (case.name, case.dim(), 1e-13 * largest(&case.eigenvalues));
        let dense = dense_spectrum(&*case.operator, 7, &Budget::UNLIMITED).unwrap();
        for (got, truth) in dense.eigenvalues.iter().zip(&case.eigenvalues) {
            near(name, *got, *truth, rounding);
        }
        let settings = with(SEARCH, |it| (it.top, it.bottom) = (1.max(dim / 10), 1));
        let settings = with(settings, |it| (it.basis, it.tolerance) = (dim, 1e-10));
        let pairs = search(&*case.operator, &settings);
        let last = &case.eigenvalues[dim - 1..];
        let ends = pairs.top.iter().zip(&case.eigenvalues);
        for (found, truth) in ends.chain(pairs.bottom.iter().zip(last)) {
            assert!(found.converged, "{name}: {found:?}");
            near(name, found.value, *truth, found.residual + rounding);
        }
    }
}

/// The top eigenvector of the differences is a sine: entry j of the k-th is sin(jkπ / N).
#[test]
fn the_top_eigenvector_of_the_regression_is_a_sine() {
    let n = 30;
    let case = linear_regression(n);
    let settings = with(SEARCH, |it| (it.top, it.bottom, it.basis) = (1, 1, 30));
    let pairs = search(&*case.operator, &with(settings, |it| it.tolerance = 1e-11));
    for (vectors, k) in [(pairs.top_vectors(), n), (pairs.bottom_vectors(), 1)] {
        let found: Vec<f64> = vectors.unwrap().get(0).unwrap().to_vec1().unwrap();
        let angle = std::f64::consts::PI * f64::from(k) / f64::from(n + 1);
        // Σ sin² over a whole number of half periods is N / 2.
        let length = (f64::from(n + 1) / 2.0).sqrt();
        let entries = (1..=n).zip(&found);
        let along = entries.map(|(j, entry)| (f64::from(j) * angle).sin() / length * entry);
        // An error ε of the direction costs ε² / 2, and ε is the residual over the gap, 1e-9 at most.
        near(k, along.sum::<f64>().abs(), 1.0, 1e-12);
    }
}

/// Asserts that the truth is in the interval of Student's t that misses once in 10,000 times, and rounding.
#[track_caller]
fn check(name: &str, what: &str, estimate: Estimate, truth: f64) {
    let allowed = estimate.half_width(0.9999).unwrap() + 1e-11 * truth.abs().max(1.0);
    near(format!("{name}: {what}"), estimate.value, truth, allowed);
}

#[test]
fn traces_and_norms_are_those_of_the_formula() {
    for case in cases() {
        let found = moments(&*case.operator, None, 100, SEED);
        let gaussian = case.rules().integrate(|value| value).unwrap();
        let (name, squares) = (case.name, case.frobenius_squared);
        check(name, "the trace", found.trace, case.trace);
        check(name, "the squared norm", found.frobenius_squared, squares);
        check(name, "the trace by Gaussian probes", gaussian, case.trace);
    }
}

#[test]
fn functions_and_ratios_are_those_of_the_formula() {
    for case in cases() {
        let (norm, rules) = (largest(&case.eigenvalues), case.rules());
        let (shift, log_determinant) = case.log_determinant;
        let (half, middle) = (0.51 * norm, 0.26 * norm);
        let rank = case.sum(|value| f64::from(u8::from(value.abs() > half)));
        let inside = case.sum(|value| f64::from(u8::from((middle..=half).contains(&value))));
        let nuclear = case.sum(f64::abs);
        let entropy = case.sum(|value| -value.abs() / nuclear * (value.abs() / nuclear).ln());
        let squares = rules.frobenius_squared();
        for (what, estimate, truth) in [
            ("ln det", rules.log_determinant(shift), log_determinant),
            ("nuclear norm", rules.nuclear_norm(), nuclear),
            ("the squared norm", squares, case.frobenius_squared),
            ("the rank", rules.numerical_rank(half), rank),
            ("the count", rules.count(middle..=half), inside),
            ("the effective rank", rules.effective_rank(), entropy.exp()),
        ] {
            check(case.name, what, estimate.unwrap(), truth);
        }
    }
}
