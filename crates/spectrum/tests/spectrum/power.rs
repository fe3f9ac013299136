//! Power iteration against the chosen spectrum.

use candle_core::{DType, Tensor};
use flatness_operator::LinearOperator;
use flatness_spectrum::{Error, PowerIteration, PowerSettings, power_iteration};

use crate::matrices::{Diagonal, Matrix, custom};

fn run(operator: &dyn LinearOperator, tolerance: f64) -> PowerIteration {
    let settings = PowerSettings {
        max_iterations: 400,
        tolerance,
        seed: 31,
    };
    power_iteration(operator, &settings).unwrap()
}

#[test]
fn the_eigenvalue_of_largest_magnitude_is_found_with_its_sign() {
    let cases = [
        Matrix::new("positive", vec![10.0, 4.0, 3.0, 1.0, 0.0]),
        Matrix::new("negative", vec![4.0, 3.0, 1.0, 0.0, -10.0]),
        Matrix::new("double", vec![10.0, 10.0, 3.0, 1.0, 0.0, -4.0]),
        Matrix::new("one by one", vec![-7.0]),
    ];
    for case in cases {
        for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
            let result = run(&case.operator(dtype), tolerance);
            let expected = if case.name == "negative" {
                -10.0
            } else {
                case.eigenvalues[0]
            };
            assert!(result.converged, "{}", case.name);
            assert!(
                (result.value - expected).abs() <= 2.0 * tolerance * case.norm(),
                "{}: {}",
                case.name,
                result.value
            );
            assert!(
                result.residual <= tolerance * result.value.abs(),
                "{}",
                case.name
            );
            assert_eq!(result.products, result.iterations);
            assert!(result.iterations < 400);
            assert_eq!(result.seed, 31);
        }
    }
}

#[test]
fn the_residual_bounds_the_distance_to_the_spectrum_before_convergence() {
    let case = Matrix::new("slow", (0..50).map(|i| 1.0 + f64::from(i) / 50.0).collect());
    for max_iterations in [1, 2, 5, 20] {
        let settings = PowerSettings {
            max_iterations,
            tolerance: 1e-10,
            seed: 3,
        };
        let result = power_iteration(&case.operator(DType::F64), &settings).unwrap();
        assert!(!result.converged);
        assert_eq!(result.iterations, max_iterations);
        let distance = case.eigenvalues.iter().fold(f64::INFINITY, |least, value| {
            least.min((value - result.value).abs())
        });
        assert!(distance <= result.residual + 1e-14);
    }
}

#[test]
fn opposite_eigenvalues_of_the_same_magnitude_do_not_converge() {
    let case = Matrix::new("tie", vec![5.0, 1.0, -5.0]);
    let result = run(&case.operator(DType::F64), 1e-6);
    assert!(!result.converged);
    assert_eq!(result.iterations, 400);
    assert!(result.value.abs() < 5.0);
    assert!(result.residual > 1e-3);
}

#[test]
fn the_zero_operator_converges_to_zero() {
    let result = run(&Diagonal::new(vec![0.0; 4], DType::F32), 1e-6);
    assert!(result.converged);
    assert_eq!(
        (result.value, result.residual, result.iterations),
        (0.0, 0.0, 1)
    );
}

#[test]
fn bad_settings_and_operators_are_refused() {
    let operator = Diagonal::new(vec![2.0, 1.0], DType::F64);
    let refused = |max_iterations, tolerance| {
        let settings = PowerSettings {
            max_iterations,
            tolerance,
            seed: 0,
        };
        power_iteration(&operator, &settings).unwrap_err()
    };
    assert!(matches!(
        refused(0, 1e-6),
        Error::Zero {
            field: "max_iterations"
        }
    ));
    for tolerance in [0.0, f64::NAN] {
        assert!(matches!(
            refused(5, tolerance),
            Error::OutOfRange {
                field: "tolerance",
                ..
            }
        ));
    }
    let settings = PowerSettings {
        max_iterations: 5,
        tolerance: 1e-6,
        seed: 0,
    };
    let poisoned = Diagonal::new(vec![1.0, f64::INFINITY], DType::F64);
    let error = power_iteration(&poisoned, &settings).unwrap_err();
    assert!(
        matches!(error, Error::NonFiniteProduct { product: 0, .. }),
        "{error}"
    );
    let empty = custom(0, DType::F64, |block: &Tensor| Ok(block.clone()));
    assert!(matches!(
        power_iteration(&empty, &settings),
        Err(Error::Zero { .. })
    ));
    let half = custom(2, DType::F16, |block: &Tensor| Ok(block.clone()));
    assert!(matches!(
        power_iteration(&half, &settings),
        Err(Error::UnsupportedDType { .. })
    ));
    let wrong = custom(2, DType::F64, |block: &Tensor| block.t());
    assert!(matches!(
        power_iteration(&wrong, &settings),
        Err(Error::ProductMismatch { .. })
    ));
}
