//! Every method with settings that make no sense, and on operators that break their promises.

use std::cell::Cell;

use candle_core::{DType, Tensor};
use flatness_operator::LinearOperator;
use flatness_spectrum::{
    Budget, EigenpairsSettings, Error, Goal, MomentsSettings, QuadratureSettings, XDiagSettings,
    basis_bytes,
};

use crate::matrices::{Matrix, case, custom};
use crate::methods::Asked::{self, Diagonal, Pairs, Rules, Spectrum, Sums};
use crate::methods::{GOAL, RULES, SEARCH, SKETCH, SUMS, with};

const BUDGET: Budget<'_> = Budget::UNLIMITED;

/// What `asked` of an operator refuses.
fn error(asked: Asked, operator: &dyn LinearOperator, budget: &Budget<'_>) -> Error {
    asked.run(operator, budget).expect_err("a refusal")
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let pairs = |change: fn(&mut EigenpairsSettings)| Pairs(with(SEARCH, change));
    let sums = |change: fn(&mut MomentsSettings)| Sums(with(SUMS, change), GOAL);
    let rules = |change: fn(&mut QuadratureSettings)| Rules(with(RULES, change), GOAL);
    let diagonal = |change: fn(&mut XDiagSettings)| Diagonal(with(SKETCH, change), GOAL);
    let none = "block is 0; set it to at least 1";
    let one = "probes is 1, but a standard error needs at least 2; ask";
    assert_eq!(basis_bytes(16, 1, 60, DType::F64), 9600);
    let cases = [
        (pairs(|it| (it.top, it.bottom) = (0, 0)), "the number of"),
        (pairs(|it| it.block = 0), none),
        (pairs(|it| it.bottom = 61), "bottom is 61, but the"),
        (
            pairs(|it| it.basis = 6),
            "the basis holds 6 vectors, but 5 eigenpairs in blocks of 1 need room for at least 7",
        ),
        (pairs(|it| it.tolerance = 0.0), "tolerance is 0; set it"),
        (pairs(|it| it.tolerance = f64::NAN), "tolerance is NaN"),
        (sums(|it| it.probes = 1), one),
        (sums(|it| it.probes = 0), "probes is 0, but a standard"),
        (sums(|it| it.block = 0), none),
        (rules(|it| it.probes = 1), one),
        (rules(|it| it.block = 0), none),
        (rules(|it| it.steps = 0), "steps is 0; set it to at least 1"),
        (rules(|it| it.steps = 61), "steps is 61, but the operator"),
        (diagonal(|it| it.probes = 1), one),
        (diagonal(|it| it.block = 0), none),
        (
            diagonal(|it| it.probes = 61),
            "probes is 61, but the operator has dimension 60; ask for at most 60",
        ),
        (Spectrum(0), none),
    ];
    let operator = case("indefinite").operator(DType::F64);
    for (asked, sentence) in cases {
        let error = error(asked, &operator, &BUDGET).to_string();
        assert!(error.starts_with(sentence), "{error}");
    }
    // One dimension is whole with one probe, and takes no second.
    let single = Matrix::new("one by one", vec![-7.0]).operator(DType::F64);
    for (asked, expected) in [
        (diagonal(|it| it.probes = 0), "probes is 0; set it"),
        (diagonal(|it| it.probes = 2), "probes is 2, but the op"),
    ] {
        let error = error(asked, &single, &BUDGET).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    for goal in [0.0, f64::NAN].map(Goal::relative) {
        for asked in [Sums(SUMS, goal), Rules(RULES, goal), Diagonal(SKETCH, goal)] {
            let error = error(asked, &operator, &BUDGET);
            assert!(matches!(error, Error::OutOfRange { .. }), "{error}");
        }
    }
}

#[test]
fn a_budget_below_the_first_number_is_refused() {
    let operator = case("indefinite").operator(DType::F64);
    for (asked, least) in [
        (Pairs(with(SEARCH, |it| it.block = 4)), 4),
        (Sums(SUMS, GOAL), 10),
        (Rules(RULES, GOAL), 8 * 12),
        (Diagonal(SKETCH, GOAL), 2 * 8),
        (Spectrum(7), 60),
    ] {
        match error(asked, &operator, &Budget::of_products(least - 1)) {
            Error::BudgetTooSmall { products, needed } => {
                assert_eq!((products + 1, needed), (least, least));
            }
            other => panic!("{other}"),
        }
    }
}

const DIM: usize = 12;

/// In blocks of two.
fn methods() -> [Asked; 5] {
    [
        Pairs(with(SEARCH, |it| it.block = 2)),
        Sums(with(SUMS, |it| it.block = 2), GOAL),
        Rules(with(RULES, |it| (it.block, it.steps) = (2, 2)), GOAL),
        Diagonal(with(SKETCH, |it| it.block = 2), GOAL),
        Spectrum(2),
    ]
}

#[test]
fn products_that_are_no_products_are_named() {
    for (index, asked) in methods().into_iter().enumerate() {
        let error = |dtype, apply: &dyn Fn(&Tensor) -> candle_core::Result<Tensor>| {
            self::error(asked, &custom(DIM, dtype, apply), &BUDGET)
        };
        for shape in [
            error(DType::F64, &|block| block.narrow(1, 0, DIM - 1)),
            error(DType::F64, &|block| block.narrow(0, 0, 1)),
            error(DType::F64, &|block| block.t()),
        ] {
            assert!(matches!(shape, Error::ProductMismatch { .. }), "{shape}");
        }
        match error(DType::F64, &|block| block.to_dtype(DType::F32)) {
            Error::ProductMismatch { got_dtype, .. } => assert_eq!(got_dtype, DType::F32),
            other => panic!("{other}"),
        }
        for dtype in [DType::BF16, DType::F16] {
            let half = error(dtype, &|block| Ok(block.clone()));
            let named = matches!(half, Error::UnsupportedDType { got } if got == dtype);
            assert!(named, "{half}");
        }
        let failed = error(DType::F64, &|_| candle_core::bail!("no data"));
        assert!(failed.to_string().contains("no data"), "{failed}");
        let empty = custom(0, DType::F64, |block: &Tensor| Ok(block.clone()));
        let empty = self::error(asked, &empty, &BUDGET);
        let zero = matches!(empty, Error::Zero { .. });
        let beyond = matches!(empty, Error::BeyondDimension { dim: 0, .. });
        assert!(zero || beyond, "{index}: {empty}");
    }
}

/// The second row of the second or third block: which probe and which of its products that is.
#[test]
fn a_product_that_is_not_finite_is_named_with_its_probe_and_step() {
    let places = [
        [(1, 1), (1, 2)],
        [(3, 0), (5, 0)],
        [(1, 1), (3, 0)],
        [(1, 1), (3, 0)],
        [(3, 0), (5, 0)],
    ];
    let ramp: Vec<f64> = (1..=DIM).map(|i| i as f64).collect();
    for (asked, places) in methods().into_iter().zip(places) {
        let values = [f64::NAN, f64::INFINITY].into_iter();
        let cases = values.flat_map(|value| (2..).zip(places).map(move |place| (value, place)));
        for (value, (call, expected)) in cases {
            let calls = Cell::new(0);
            let operator = custom(DIM, DType::F64, |block: &Tensor| {
                calls.set(calls.get() + 1);
                let factors = Tensor::new(ramp.as_slice(), block.device())?;
                let factor = if calls.get() == call { value } else { 1.0 };
                let factors = Tensor::stack(&[&factors, &(&factors * factor)?], 0)?;
                block.mul(&factors)
            });
            match error(asked, &operator, &BUDGET) {
                Error::NonFiniteProduct { probe, product } => {
                    assert_eq!((probe, product), expected);
                }
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn gross_asymmetry_is_refused() {
    let (_, operator) = case("indefinite").skewed(30.0);
    for asked in [Pairs(SEARCH), Rules(with(RULES, |it| it.steps = 40), GOAL)] {
        match error(asked, &operator, &BUDGET) {
            Error::NotSymmetric { asymmetry, norm } => assert!(asymmetry > 0.1 * norm),
            other => panic!("{other}"),
        }
    }
}
