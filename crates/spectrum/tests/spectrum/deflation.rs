//! Estimates outside of known eigenvectors, against the eigenvalues that the matrix is made of.

use candle_core::DType;
use flatness_spectrum::{Deflation, EigenpairsSettings, Moments, Probe, Quadrature, Stop};

use crate::coverage::check_coverage;
use crate::matrices::{Matrix, case, gaussian_kernel};
use crate::methods::{
    self, RULES, SEARCH, check_within, near, quadrature, search, search_within, with,
};

/// Twelve large eigenvalues of both signs above a bulk of 288, as curvature has them.
fn outliers() -> Matrix {
    let large = (0..12).map(|i| if i % 4 == 3 { -4.0 } else { 30.0 } / f64::from(1 + i));
    let bulk = (0..288).map(|i| 0.2 * (f64::from(i) * 0.7).sin().powi(3));
    Matrix::new("outliers", large.chain(bulk).collect())
}

/// Ritz vectors after `products` products, with a residual of at most `tolerance` × their own value.
fn deflation(case: &Matrix, products: usize, tolerance: f64) -> Deflation {
    let settings = EigenpairsSettings {
        top: 9,
        bottom: 3,
        block: 2,
        basis: products.clamp(16, case.dim()),
        tolerance: 1e-12,
        ..SEARCH
    };
    let pairs = search_within(products, &case.operator(DType::F64), &settings);
    pairs.deflation(tolerance).unwrap()
}

fn moments(case: &Matrix, deflation: Option<&Deflation>, probes: usize, seed: u64) -> Moments {
    methods::moments(&case.operator(DType::F64), deflation, probes, seed)
}

fn rules(
    case: &Matrix,
    deflation: Option<&Deflation>,
    (probe, probes, steps): (Probe, usize, usize),
    seed: u64,
) -> Quadrature {
    let settings = with(RULES, |it| {
        (it.probes, it.steps, it.block) = (probes, steps, 8)
    });
    let settings = with(settings, |it| (it.probe, it.seed) = (probe, seed));
    quadrature(&case.operator(DType::F64), deflation, &settings).unwrap()
}

#[test]
fn outside_of_all_eigenvectors_but_one_nothing_but_that_one_is_uncertain() {
    for name in ["indefinite", "clustered"] {
        let case = case(name);
        let all = deflation(&case, case.dim(), 1e-8);
        assert_eq!(all.eigenvalues.len(), case.dim() - 1, "{name}");
        // The one eigenvalue left is seen by the squared cosine of a probe, of variance 2.
        let (probes, largest, [trace, squares]) = (200, case.norm(), case.moments());
        let moments = moments(&case, Some(&all), probes, 0);
        for (estimate, truth, one) in [
            (moments.trace, trace, largest),
            (moments.frobenius_squared, squares, largest.powi(2)),
        ] {
            check_within(name, estimate, truth, 4.0);
            let most = 2.0 * one / (probes as f64).sqrt();
            near(name, estimate.standard_error, 0.0, most);
        }
        let [gaussian, signs] = [Probe::Gaussian, Probe::Rademacher].map(|probe| {
            let rules = rules(&case, Some(&all), (probe, 64, 1), 0);
            rules.integrate(f64::exp).unwrap()
        });
        // Rounding of some hundred orthogonal directions.
        let (truth, rounding) = (
            case.sum(f64::exp),
            1e-9 * (1.0 + case.sum(f64::abs).powi(2)),
        );
        near(name, gaussian.value, truth, rounding);
        near(name, gaussian.standard_error, 0.0, rounding);
        // The length of what is left of a Rademacher probe varies.
        check_within(name, signs, truth, 4.0);
    }
}

#[test]
fn moments_have_no_bias_even_where_nothing_converged() {
    let case = outliers();
    // Every Ritz vector of a small space.
    let rough = deflation(&case, 10, f64::MAX);
    assert_eq!(rough.eigenvalues.len(), 10);
    assert!(rough.eigenvalues.iter().any(|one| one.residual > 0.1));
    let (moments, [trace, squares]) = (moments(&case, Some(&rough), 4000, 1), case.moments());
    check_within("trace", moments.trace, trace, 4.0);
    check_within("squares", moments.frobenius_squared, squares, 4.0);
    // The residuals' own share is a part of the sum that 4000 probes tell.
    let residuals = rough.eigenvalues.iter().map(|one| one.residual.powi(2));
    let (missing, error) = (
        residuals.sum::<f64>(),
        moments.frobenius_squared.standard_error,
    );
    assert!(missing > 5.0 * error, "{missing} {error}");
}

#[test]
fn outliers_taken_out_leave_a_tenth_of_the_error() {
    let case = outliers();
    let known = deflation(&case, 40, 1e-2);
    assert!(known.eigenvalues.len() >= 12, "{}", known.eigenvalues.len());
    let plain = moments(&case, None, 64, 2);
    let outside = moments(&case, Some(&known), 24, 2);
    assert_eq!(known.products + outside.trace.products, 64);
    let before = rules(&case, None, (Probe::Gaussian, 8, 30), 2);
    let after = rules(&case, Some(&known), (Probe::Gaussian, 5, 20), 2);
    assert!(known.products + after.products < before.products * 3 / 5);
    let norms = [before, after].map(|rules| rules.nuclear_norm().unwrap());
    let squares = [plain, outside].map(|found| found.frobenius_squared);
    let [trace, square] = case.moments();
    for (name, [before, after], truth) in [
        ("trace", [plain.trace, outside.trace], trace),
        ("squares", squares, square),
        ("nuclear norm", norms, case.sum(f64::abs)),
    ] {
        check_within(name, after, truth, 4.0);
        assert!(after.standard_error < 0.1 * before.standard_error, "{name}");
    }
}

#[test]
fn what_is_taken_out_is_in_the_density_once() {
    let case = outliers();
    let known = deflation(&case, 40, 1e-2);
    let rules = rules(&case, Some(&known), (Probe::Gaussian, 4, 20), 3);
    assert_eq!(rules.deflated, known.eigenvalues);
    let ones = rules.integrate(|_| 1.0).unwrap();
    near("ones", ones.value, case.dim() as f64, 1e-9);
    // 30, 15, 10 and the next stand alone: each is one eigenvalue, whatever the probes.
    near("top", rules.count(9.0..=31.0).unwrap().value, 3.0, 1e-6);
    let density = rules.density(&[30.0, 15.0], 0.1).unwrap();
    let height = gaussian_kernel(0.0, 0.1) / case.dim() as f64;
    for found in density {
        near("density", found.value, height, 1e-3 * height);
        near("its error", found.standard_error, 0.0, 1e-6 * height);
    }
}

/// One end of the spectrum, roughly.
fn first(basis: usize, tolerance: f64) -> EigenpairsSettings {
    EigenpairsSettings {
        top: 1,
        bottom: 0,
        basis,
        tolerance,
        seed: 0,
        ..SEARCH
    }
}

#[test]
fn a_tolerance_that_is_no_size_is_refused_and_one_too_small_takes_nothing() {
    let case = outliers();
    let pairs = search_within(4, &case.operator(DType::F64), &first(4, 1e-1));
    let message = pairs.deflation(-1.0).unwrap_err().to_string();
    assert!(message.contains("tolerance"), "{message}");
    let none = pairs.deflation(1e-15).unwrap();
    assert!(none.eigenvalues.is_empty());
    assert_eq!(
        moments(&case, Some(&none), 8, 0),
        moments(&case, None, 8, 0)
    );
}

#[test]
fn a_search_that_goes_on_knows_more() {
    let operator = outliers().operator(DType::F64);
    let [short, long] = [0, 30].map(|least| {
        search(
            &operator,
            &with(first(40, 1e-2), |it| it.least_products = least),
        )
    });
    assert_eq!([short.stop, long.stop], [Stop::Converged; 2]);
    assert!(short.products < 12, "{}", short.products);
    assert_eq!(long.products, 30);
    let [short, long] = [short, long].map(|pairs| pairs.deflation(1e-2).unwrap().eigenvalues.len());
    assert!(long >= short + 8, "{short} then {long}");
}

/// Without deflation the intervals of a few probes are too narrow beside one large eigenvalue: its share is
/// as skewed as χ²₁.
#[test]
fn intervals_outside_of_outliers_contain_the_truth() {
    let case = outliers();
    let known = deflation(&case, 40, 1e-2);
    let [trace, squares] = case.moments();
    let moments = |seed| moments(&case, Some(&known), 8, seed);
    check_coverage("trace", trace, |seed| moments(seed).trace);
    check_coverage("squares", squares, |seed| moments(seed).frobenius_squared);
    check_coverage("nuclear norm", case.sum(f64::abs), |seed| {
        let rules = rules(&case, Some(&known), (Probe::Gaussian, 8, 32), seed);
        rules.nuclear_norm().unwrap()
    });
}
