//! What ends XDiag before its goal, and what it refuses.

use candle_core::DType;
use flatness_spectrum::{Budget, Error, Stop, XDiagSettings, xdiag, xdiag_bytes};

use crate::diagonal_until::{SETTINGS, decaying, until};
use crate::matrices::Matrix;

#[test]
fn the_budget_is_never_exceeded() {
    let case = decaying();
    for products in [16, 17, 23, 24, 25, 60, 99] {
        let budget = Budget::of_products(products);
        let measured = until(&case, &SETTINGS, 1e-9, &budget).unwrap();
        assert_eq!(measured.stop, Stop::Products, "{products}");
        // Whole blocks of four probes.
        assert_eq!(measured.result.products, products / 8 * 8, "{products}");
    }
    let error = until(&case, &SETTINGS, 0.1, &Budget::of_products(15)).unwrap_err();
    assert!(matches!(
        error,
        Error::BudgetTooSmall {
            products: 15,
            needed: 16
        }
    ));
}

#[test]
fn it_grows_no_further_than_the_bytes_allowed() {
    let case = decaying();
    let (dim, dtype) = (case.dim(), DType::F64);
    let bytes = |probes| xdiag_bytes(probes, 4, dim, dtype);
    let mut before = 8;
    for wished in [8, 9, 16, 24, 40, 80] {
        let allowed = bytes(wished);
        let settings = XDiagSettings {
            bytes: Some(allowed),
            ..SETTINGS
        };
        let measured = until(&case, &settings, 1e-12, &Budget::UNLIMITED).unwrap();
        assert_eq!(measured.stop, Stop::Memory, "{wished}");
        let probes = measured.result.probes;
        // To move, a third of the vectors is there twice: of the last room at most.
        let least = (wished - wished.min(before) / 3).saturating_sub(4).max(8);
        assert!((least..=wished).contains(&probes), "{wished}: {probes}");
        assert!(probes >= before);
        before = probes;
        // Exactly so many without growing, and not one more.
        let fixed = |probes| {
            let settings = XDiagSettings { probes, ..settings };
            xdiag(&case.operator(dtype), &settings)
        };
        assert_eq!(fixed(wished).unwrap().probes, wished);
        match fixed(wished + 1).unwrap_err() {
            Error::SketchTooLarge {
                probes,
                needed,
                allowed: said,
                fits,
            } => {
                assert_eq!((probes, needed), (wished + 1, bytes(wished + 1)));
                assert_eq!((said, fits), (allowed, wished));
            }
            other => panic!("{other}"),
        }
    }
    let settings = XDiagSettings {
        bytes: Some(1),
        ..SETTINGS
    };
    let error = until(&case, &settings, 0.1, &Budget::UNLIMITED).unwrap_err();
    assert!(matches!(error, Error::SketchTooLarge { fits: 0, .. }));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |dim: usize, probes: usize, block: usize, goal: f64| {
        let case = Matrix::new("identity", vec![1.0; dim]);
        let settings = XDiagSettings {
            probes,
            block,
            ..SETTINGS
        };
        let error = until(&case, &settings, goal, &Budget::UNLIMITED).unwrap_err();
        if goal > 0.0 {
            // The fixed form refuses the same.
            let fixed = xdiag(&case.operator(DType::F64), &settings).unwrap_err();
            assert_eq!(fixed.to_string(), error.to_string());
        }
        error
    };
    assert!(matches!(
        refused(5, 1, 1, 0.1),
        Error::TooFewProbes { got: 1 }
    ));
    assert!(matches!(
        refused(1, 0, 1, 0.1),
        Error::Zero { field: "probes" }
    ));
    for (dim, probes) in [(1, 2), (5, 6)] {
        assert!(matches!(
            refused(dim, probes, 1, 0.1),
            Error::BeyondDimension {
                field: "probes",
                ..
            }
        ));
    }
    assert!(matches!(
        refused(5, 2, 0, 0.1),
        Error::Zero { field: "block" }
    ));
    assert!(matches!(
        refused(5, 2, 1, 0.0),
        Error::OutOfRange {
            field: "relative_error",
            ..
        }
    ));
}
