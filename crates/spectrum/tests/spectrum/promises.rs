//! Lanczos on operators that break their promises and with settings that make no sense.

use candle_core::{DType, Tensor};
use flatness_spectrum::{Error, LanczosSettings, lanczos};

use crate::checks::{SEED, run, tridiagonal};
use crate::matrices::{Matrix, custom, matrix, repeated, tensor};

#[test]
fn asymmetry_is_measured_and_enters_the_residual() {
    // The upper part of Qᵀ A Q - T is the oracle for what is measured. All steps are taken, so that
    // nothing but the asymmetry is left of the residual.
    let case = Matrix::new("indefinite", (0..40).map(|i| f64::from(i) - 10.0).collect());
    for (size, accepted) in [(1e-3, true), (30.0, false)] {
        let mut entries = case.entries.clone();
        entries[(3, 17)] += size;
        entries[(17, 3)] -= size;
        let transposed = tensor(&entries.transpose());
        let operator = custom(40, DType::F64, |block: &Tensor| block.matmul(&transposed));
        let settings = LanczosSettings {
            steps: 40,
            tolerance: 1e-8,
            seed: SEED,
        };
        match lanczos(&operator, &settings) {
            Ok(result) => {
                assert!(accepted);
                let basis = matrix(&result.basis().unwrap());
                let defect = &basis * &entries * basis.transpose() - tridiagonal(&result);
                let expected = defect.upper_triangle().norm();
                assert!((result.asymmetry - expected).abs() <= 1e-12 * case.norm());
                assert!(expected > 1e-5);
                assert!(
                    result
                        .ritz_values()
                        .iter()
                        .all(|ritz| ritz.residual >= result.asymmetry && !ritz.converged)
                );
            }
            Err(Error::NotSymmetric { asymmetry, norm }) => {
                assert!(!accepted);
                assert!(asymmetry > 0.1 * norm);
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let operator = repeated().operator(DType::F64);
    let refused = |steps, tolerance| {
        let settings = LanczosSettings {
            steps,
            tolerance,
            seed: SEED,
        };
        lanczos(&operator, &settings).unwrap_err()
    };
    assert!(matches!(refused(0, 1e-8), Error::Zero { field: "steps" }));
    assert!(matches!(
        refused(31, 1e-8),
        Error::TooManySteps { steps: 31, dim: 30 }
    ));
    for tolerance in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            refused(3, tolerance),
            Error::OutOfRange {
                field: "tolerance",
                ..
            }
        ));
    }
    let result = run(&operator, 3);
    let error = result.ritz_vectors(&[0, 3]).unwrap_err();
    assert!(matches!(
        error,
        Error::NoSuchRitzVector { index: 3, count: 3 }
    ));
    assert!(matches!(result.ritz_vectors(&[]), Err(Error::Zero { .. })));
}

#[test]
fn operators_that_break_their_promises_are_named() {
    let settings = LanczosSettings {
        steps: 4,
        tolerance: 1e-8,
        seed: SEED,
    };
    let products = std::cell::Cell::new(0);
    for value in [f64::NAN, f64::INFINITY] {
        products.set(0);
        let operator = custom(5, DType::F64, |block: &Tensor| {
            products.set(products.get() + 1);
            let factors = Tensor::new(&[1.0, 2.0, 3.0, 4.0, 5.0], block.device())?;
            let product = block.broadcast_mul(&factors)?;
            if products.get() == 3 {
                product.affine(1.0, value)
            } else {
                Ok(product)
            }
        });
        let error = lanczos(&operator, &settings).unwrap_err();
        assert!(
            matches!(
                error,
                Error::NonFiniteProduct {
                    probe: 0,
                    product: 2
                }
            ),
            "{error}"
        );
    }
    let operator = custom(5, DType::F64, |block: &Tensor| block.narrow(1, 0, 4));
    let error = lanczos(&operator, &settings).unwrap_err();
    assert!(matches!(error, Error::ProductMismatch { .. }), "{error}");
    let operator = custom(5, DType::F64, |block: &Tensor| block.to_dtype(DType::F32));
    let error = lanczos(&operator, &settings).unwrap_err();
    assert!(
        matches!(
            error,
            Error::ProductMismatch {
                got_dtype: DType::F32,
                ..
            }
        ),
        "{error}"
    );
    let operator = custom(5, DType::BF16, |block: &Tensor| Ok(block.clone()));
    let error = lanczos(&operator, &settings).unwrap_err();
    assert!(
        matches!(error, Error::UnsupportedDType { got: DType::BF16 }),
        "{error}"
    );
    let operator = custom(5, DType::F64, |_: &Tensor| candle_core::bail!("no data"));
    let error = lanczos(&operator, &settings).unwrap_err();
    assert!(error.to_string().contains("no data"), "{error}");
}
