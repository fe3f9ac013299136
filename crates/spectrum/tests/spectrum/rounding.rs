//! Errors that nothing but the rounding of products is left of, and matrices that are nothing but rounding.

use candle_core::{DType, Tensor};
use flatness_operator::LinearOperator;
use flatness_spectrum::{
    Budget, Deflation, EigenpairsSettings, Error, Function, Goal, Measured, Moments,
    MomentsSettings, Probe, Quadrature, Stop, Verified, moments_until, quadrature_until,
};

use crate::diagonal::host;
use crate::matrices::{Matrix, case, custom, diagonal, vector};
use crate::methods::{
    self, RULES, SEARCH, SKETCH, moments, near, search, search_within, with, xdiag,
};

const EPSILONS: [(DType, f64); 2] = [
    (DType::F32, f32::EPSILON as f64),
    (DType::F64, f64::EPSILON),
];

/// The products are more than what rounding leaves to do.
fn until(operator: &dyn LinearOperator, known: Option<&Deflation>, goal: f64) -> Measured<Moments> {
    let settings = MomentsSettings {
        probes: 4,
        block: 4,
        seed: 1,
    };
    let (goal, budget) = (Goal::relative(goal), Budget::of_products(100));
    moments_until(operator, &settings, known, &goal, &budget, &mut |_| ()).unwrap()
}

const NINE: EigenpairsSettings = EigenpairsSettings {
    top: 9,
    bottom: 1,
    block: 4,
    basis: 40,
    tolerance: 1e-3,
    ..SEARCH
};

/// Nine eigenvalues of 0.1 and 500 of zero, known before the probes: their trace is all rounding.
#[test]
fn a_trace_that_is_all_known_errs_by_rounding() {
    let mut eigenvalues = vec![0.1; 9];
    eigenvalues.resize(120, 0.0);
    let case = Matrix::new("nine", eigenvalues);
    for (dtype, epsilon) in EPSILONS {
        let operator = case.operator(dtype);
        let found = search(&operator, &with(NINE, |it| it.block = 9));
        let known = found.deflation(f64::MAX).unwrap();
        for seed in 0..20 {
            let trace = moments(&operator, Some(&known), 16, seed).trace;
            let error = trace.standard_error / epsilon;
            assert!((0.9..=100.0).contains(&error), "{trace:?}");
            near(seed, trace.value, 0.9, trace.half_width(0.95).unwrap());
        }
    }
}

/// An accuracy beyond the element type ends where that does.
#[test]
fn a_goal_below_rounding_ends_at_rounding() {
    let eigenvalues: Vec<f64> = (0..60).map(|i| 1.0 + f64::from(i)).collect();
    let operator = diagonal(&eigenvalues, DType::F32);
    let found = until(&operator, None, 1e-9);
    assert_eq!((found.stop, found.result.trace.probes), (Stop::Rounding, 4));
}

/// An operator that says how large its terms are.
struct Scaled<Operator>(Operator, f64);

impl<Operator: LinearOperator> LinearOperator for Scaled<Operator> {
    flatness_operator::space_of!(0);

    fn scale(&self) -> f64 {
        self.1
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, flatness_operator::Error> {
        self.0.apply_block(vectors)
    }
}

/// (1/3) Σ g gᵀ − g gᵀ, the covariance of three copies of one gradient: zero but for rounding of g gᵀ.
fn copies(gradient: &Tensor) -> impl LinearOperator {
    custom(
        gradient.elem_count(),
        gradient.dtype(),
        |vectors: &Tensor| {
            let slopes = vectors.broadcast_mul(gradient)?.sum_keepdim(1)?;
            let third = slopes.affine(1.0 / 3.0, 0.0)?.broadcast_mul(gradient)?;
            ((&third + &third)? + &third)? - slopes.broadcast_mul(gradient)?
        },
    )
}

#[test]
fn a_matrix_that_is_zero_but_for_rounding_is_zero() {
    for (dtype, epsilon) in EPSILONS {
        let gradient: Vec<f64> = (0..200).map(|i| (f64::from(i) * 0.7).sin()).collect();
        let gradient = vector(&gradient, dtype);
        // Rounding is not symmetric.
        let block = Probe::Gaussian.rows(&copies(&gradient), 0..2, 1).unwrap();
        let of_itself = Verified::new(copies(&gradient));
        let refused = of_itself.apply_block(&block).unwrap_err().to_string();
        assert!(refused.contains("not symmetric"), "{refused}");
        let squares = host(&gradient.sqr().unwrap());
        let operator = Verified::new(Scaled(copies(&gradient), squares.iter().sum()));
        operator.apply_block(&block).unwrap();
        let rounding = epsilon * operator.scale();
        let pairs = search_within(100, &operator, &NINE);
        for one in pairs.top.iter().chain(&pairs.bottom) {
            near("eigenvalue", one.value, 0.0, one.residual);
            assert!((1.0..=1e3).contains(&(one.residual / rounding)), "{one:?}");
        }
        let known = pairs.deflation(f64::MAX).unwrap();
        let found = until(&operator, Some(&known), 0.1);
        assert_eq!(found.stop, Stop::Rounding);
        for (estimate, size) in [
            (found.result.trace, rounding),
            (found.result.frobenius_squared, rounding.powi(2)),
        ] {
            near("zero", estimate.value, 0.0, 4.0 * estimate.standard_error);
            assert!(estimate.standard_error >= epsilon * size, "{estimate:?}");
        }
        let rules = methods::rules(&operator, 4, 10, 1);
        let density = rules.density(&[0.0], 1e-9);
        assert!(matches!(density, Err(Error::ZeroOperator)));
        assert!(matches!(rules.effective_rank(), Err(Error::ZeroOperator)));
        assert_eq!(rules.signs().below_resolution.value, 1.0);
        xdiag(&operator, &SKETCH).unwrap();
    }
}

/// What has no value leaves the others theirs.
#[test]
fn one_undefined_function_does_not_lose_the_others() {
    let case = case("indefinite");
    let operator = case.operator(DType::F64);
    let settings = with(RULES, |it| (it.probes, it.steps) = (4, 20));
    let undefined = |rules: &Quadrature| rules.log_determinant(1e-3);
    let until = |functions: &[Function<'_>]| {
        let (goal, budget, none) = (Goal::relative(0.1), Budget::UNLIMITED, &mut |_: &_| ());
        let found = quadrature_until(&operator, &settings, None, functions, &goal, &budget, none);
        found.unwrap()
    };
    let found = until(&[&undefined, &Quadrature::nuclear_norm]);
    assert_eq!(found.stop, Stop::Converged);
    let norm = found.result.nuclear_norm().unwrap();
    assert!(norm.half_width(0.95).unwrap() <= 0.1 * norm.value);
    let error = undefined(&found.result);
    assert!(matches!(error, Err(Error::NonFiniteIntegrand { .. })));
    // Nothing is judged, and no probe is added.
    let found = until(&[&undefined]);
    assert_eq!((found.stop, found.result.rules.len()), (Stop::Undefined, 4));
}

/// The norm of the case is 5, at its top; the bottom is −3.
#[test]
fn a_norm_is_that_of_both_ends() {
    let case = case("indefinite");
    let operator = case.operator(DType::F64);
    let ends = |top, bottom, basis, products| {
        let settings = with(SEARCH, |it| {
            (it.top, it.bottom, it.basis) = (top, bottom, basis)
        });
        search_within(
            products,
            &operator,
            &with(settings, |it| it.tolerance = 1e-8),
        )
    };
    for (top, bottom) in [(1, 0), (0, 1)] {
        let pairs = ends(top, bottom, 8, 1000);
        assert!(pairs.restarts > 0 && pairs.stop == Stop::Converged);
        assert_eq!(pairs.spectral_norm(), None);
    }
    for pairs in [ends(1, 1, 8, 1000), ends(0, 1, 60, 60)] {
        let norm = pairs.spectral_norm().unwrap();
        assert!(norm.converged && (norm.value - 5.0).abs() <= norm.residual);
    }
    // Not converged, it may be at the other end, and reaches as far as that may.
    let rough = ends(1, 1, 8, 3);
    let norm = rough.spectral_norm().unwrap();
    assert!(!norm.converged && norm.residual > 0.0);
    // One end of a space that both have not converged in says nothing.
    assert_eq!(ends(0, 1, 60, 4).spectral_norm(), None);
}
