//! Errors that nothing but the rounding of products is left of, and matrices that are nothing but rounding.

use candle_core::{DType, Device, Tensor};
use flatness_operator::LinearOperator;
use flatness_spectrum::{
    Budget, Deflation, EigenpairsSettings, Error, Function, Goal, Measured, Moments,
    MomentsSettings, Probe, Quadrature, QuadratureSettings, Stop, Verified, eigenpairs,
    moments_until, quadrature_until,
};

use crate::matrices::{Diagonal, Matrix, case};
use crate::methods::{self, RULES, SEARCH, SKETCH, moments, search, xdiag};

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
        let settings = EigenpairsSettings { block: 9, ..NINE };
        let known = search(&operator, &settings).deflation(f64::MAX).unwrap();
        for seed in 0..20 {
            let trace = moments(&operator, Some(&known), 16, seed).trace;
            let away = (trace.value - 0.9).abs();
            assert!(trace.standard_error >= epsilon * 0.9, "{trace:?}");
            assert!(trace.standard_error <= 100.0 * epsilon, "{trace:?}");
            assert!(away <= trace.half_width_95().unwrap(), "{trace:?}");
        }
    }
}

/// An accuracy beyond the element type ends where that does.
#[test]
fn a_goal_below_rounding_ends_at_rounding() {
    let eigenvalues: Vec<f64> = (0..60).map(|i| 1.0 + f64::from(i)).collect();
    let operator = Diagonal::new(eigenvalues, DType::F32);
    let found = until(&operator, None, 1e-9);
    assert_eq!((found.stop, found.result.trace.probes), (Stop::Rounding, 4));
}

/// (1/3) Σ g gᵀ − g gᵀ, the covariance of three copies of one gradient: zero but for rounding, with the
/// norm of g gᵀ where `says_so`.
struct Copies {
    gradient: Tensor,
    says_so: bool,
}

impl LinearOperator for Copies {
    fn dim(&self) -> usize {
        self.gradient.elem_count()
    }

    fn dtype(&self) -> DType {
        self.gradient.dtype()
    }

    fn device(&self) -> &Device {
        self.gradient.device()
    }

    fn scale(&self) -> f64 {
        let squares = self.gradient.sqr().and_then(|one| one.sum_all());
        let squares = squares.and_then(|one| one.to_dtype(DType::F64)?.to_scalar::<f64>());
        if self.says_so { squares.unwrap() } else { 0.0 }
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, flatness_operator::Error> {
        let slopes = vectors.broadcast_mul(&self.gradient)?.sum_keepdim(1)?;
        let third = slopes
            .affine(1.0 / 3.0, 0.0)?
            .broadcast_mul(&self.gradient)?;
        let mean = ((&third + &third)? + &third)?;
        Ok((mean - slopes.broadcast_mul(&self.gradient)?)?)
    }
}

#[test]
fn a_matrix_that_is_zero_but_for_rounding_is_zero() {
    for (dtype, epsilon) in EPSILONS {
        let gradient = Diagonal::new(
            (0..200).map(|i| (f64::from(i) * 0.7).sin()).collect(),
            dtype,
        );
        let copies = |says_so| Copies {
            gradient: gradient.0.clone(),
            says_so,
        };
        // Rounding is not symmetric.
        let block = Probe::Gaussian.rows(&copies(true), 0..2, 1).unwrap();
        let of_itself = Verified::new(copies(false), Budget::UNLIMITED);
        let refused = of_itself.apply_block(&block).unwrap_err().to_string();
        assert!(refused.contains("not symmetric"), "{refused}");
        let operator = Verified::new(copies(true), Budget::UNLIMITED);
        operator.apply_block(&block).unwrap();
        let rounding = epsilon * operator.scale();
        let pairs = eigenpairs(&operator, &NINE, &Budget::of_products(100), &mut |_| ()).unwrap();
        for one in pairs.top.iter().chain(&pairs.bottom) {
            assert!(one.value.abs() <= one.residual, "{one:?}");
            assert!(
                one.residual >= rounding && one.residual <= 1e3 * rounding,
                "{one:?}"
            );
        }
        let known = pairs.deflation(f64::MAX).unwrap();
        let found = until(&operator, Some(&known), 0.1);
        assert_eq!(found.stop, Stop::Rounding);
        for (estimate, size) in [
            (found.result.trace, rounding),
            (found.result.frobenius_squared, rounding.powi(2)),
        ] {
            let away = estimate.value.abs();
            assert!(away <= 4.0 * estimate.standard_error, "{estimate:?}");
            assert!(estimate.standard_error >= epsilon * size, "{estimate:?}");
        }
        let rules = methods::rules(&operator, 4, 10, 1);
        assert!(matches!(
            rules.density(&[0.0], 1e-9),
            Err(Error::ZeroOperator)
        ));
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
    let settings = QuadratureSettings {
        probes: 4,
        steps: 20,
        ..RULES
    };
    let undefined = |rules: &Quadrature| rules.log_determinant(1e-3);
    let until = |functions: &[Function<'_>]| {
        let (goal, budget) = (Goal::relative(0.1), Budget::UNLIMITED);
        let found = quadrature_until(
            &operator,
            &settings,
            None,
            functions,
            &goal,
            &budget,
            &mut |_| (),
        );
        found.unwrap()
    };
    let found = until(&[&undefined, &Quadrature::nuclear_norm]);
    assert_eq!(found.stop, Stop::Converged);
    let norm = found.result.nuclear_norm().unwrap();
    assert!(norm.half_width_95().unwrap() <= 0.1 * norm.value);
    assert!(matches!(
        undefined(&found.result),
        Err(Error::NonFiniteIntegrand { .. })
    ));
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
        let settings = EigenpairsSettings {
            top,
            bottom,
            basis,
            tolerance: 1e-8,
            ..SEARCH
        };
        let budget = Budget::of_products(products);
        eigenpairs(&operator, &settings, &budget, &mut |_| ()).unwrap()
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
