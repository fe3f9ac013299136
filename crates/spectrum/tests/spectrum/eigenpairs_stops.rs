//! Eigenpairs that end early, settings that make no sense, and operators that break their promises.

use std::cell::Cell;

use candle_core::{DType, Tensor};
use flatness_spectrum::{Budget, EigenpairsSettings, Error, Stop, basis_bytes, eigenpairs};

use crate::eigenpairs::{SETTINGS, check, check_residuals, run};
use crate::matrices::{Diagonal, case, custom, tensor};

#[test]
fn a_budget_or_an_interrupt_ends_early_and_says_so() {
    let case = case("indefinite");
    let operator = case.operator(DType::F64);
    for block in [1, 3] {
        let settings = EigenpairsSettings { block, ..SETTINGS };
        let mut last = None;
        let result = eigenpairs(
            &operator,
            &settings,
            &Budget::of_products(20),
            &mut |seen| {
                last = Some(*seen);
            },
        )
        .unwrap();
        assert_eq!(result.stop, Stop::Products);
        assert!(result.products <= 20 && result.products + block > 20);
        let last = last.unwrap();
        assert_eq!(last.products, result.products);
        assert_eq!(last.value, result.top[0].value);
        assert_eq!(last.error, result.top[0].residual);
        assert!(!result.bottom[1].converged);
        check_residuals(&case, &result);
    }
    let asked = Cell::new(0);
    let budget = Budget {
        products: None,
        interrupt: &|| {
            asked.set(asked.get() + 1);
            asked.get() == 3
        },
    };
    let result = eigenpairs(&operator, &SETTINGS, &budget, &mut |_| ()).unwrap();
    assert_eq!((result.stop, result.products), (Stop::Interrupted, 2));
    assert_eq!((result.top.len(), result.bottom.len()), (2, 2));
    let error = eigenpairs(
        &operator,
        &EigenpairsSettings {
            block: 4,
            ..SETTINGS
        },
        &Budget::of_products(3),
        &mut |_| (),
    )
    .unwrap_err();
    assert!(
        matches!(
            error,
            Error::BudgetTooSmall {
                products: 3,
                needed: 4
            }
        ),
        "{error}"
    );
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let operator = case("indefinite").operator(DType::F64);
    let refused = |settings| {
        eigenpairs(&operator, &settings, &Budget::UNLIMITED, &mut |_| ())
            .unwrap_err()
            .to_string()
    };
    let bytes = basis_bytes(16, 1, 60, DType::F64);
    assert_eq!(bytes, (16 + 4) * 60 * 8);
    for (settings, sentence) in [
        (
            EigenpairsSettings {
                top: 0,
                bottom: 0,
                ..SETTINGS
            },
            "the number of eigenvalues is 0; set it to at least 1",
        ),
        (
            EigenpairsSettings {
                block: 0,
                ..SETTINGS
            },
            "block is 0; set it to at least 1",
        ),
        (
            EigenpairsSettings {
                bottom: 61,
                ..SETTINGS
            },
            "bottom is 61, but the operator has dimension 60; ask for at most 60",
        ),
        (
            EigenpairsSettings {
                basis: 6,
                ..SETTINGS
            },
            "the basis holds 6 vectors, but 5 eigenpairs in blocks of 1 need room for at least 7",
        ),
        (
            EigenpairsSettings {
                bytes: Some(bytes - 1),
                ..SETTINGS
            },
            "a basis of 16 vectors takes 9600 bytes, but 9599 are allowed; 15 vectors would fit",
        ),
        (
            EigenpairsSettings {
                tolerance: f64::NAN,
                ..SETTINGS
            },
            "tolerance is NaN; set it to a finite number above 0",
        ),
    ] {
        assert_eq!(refused(settings), sentence);
    }
    let fitting = EigenpairsSettings {
        bytes: Some(bytes),
        ..SETTINGS
    };
    assert_eq!(run(&operator, &fitting).stop, Stop::Converged);
}

#[test]
fn a_product_that_is_not_finite_is_named_with_its_step() {
    let products = Cell::new(0);
    let diagonal = Diagonal::new((0..40).map(f64::from).collect(), DType::F64);
    let operator = custom(40, DType::F64, |block: &Tensor| {
        products.set(products.get() + 1);
        let product = block.broadcast_mul(&diagonal.0)?;
        if products.get() < 4 {
            return Ok(product);
        }
        let poisoned = product.narrow(0, 1, 1)?.affine(f64::NAN, 0.0)?;
        Tensor::cat(&[&product.narrow(0, 0, 1)?, &poisoned], 0)
    });
    let settings = EigenpairsSettings {
        block: 2,
        ..SETTINGS
    };
    let error = eigenpairs(&operator, &settings, &Budget::UNLIMITED, &mut |_| ()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::NonFiniteProduct {
                probe: 1,
                product: 3
            }
        ),
        "{error}"
    );
}

#[test]
fn asymmetry_enters_the_residuals_and_gross_asymmetry_is_refused() {
    let case = case("indefinite");
    for (size, accepted) in [(1e-3, true), (30.0, false)] {
        let mut entries = case.entries.clone();
        entries[(3, 17)] += size;
        entries[(17, 3)] -= size;
        let transposed = tensor(&entries.transpose());
        let operator = custom(60, DType::F64, |block: &Tensor| block.matmul(&transposed));
        match eigenpairs(&operator, &SETTINGS, &Budget::UNLIMITED, &mut |_| ()) {
            Ok(result) => {
                assert!(accepted);
                assert_eq!(result.stop, Stop::Rounding);
                assert!(result.asymmetry > 1e-5);
                check(&case, &entries, &result, 1e-11);
            }
            Err(Error::NotSymmetric { .. }) => assert!(!accepted),
            Err(other) => panic!("{other}"),
        }
    }
}
