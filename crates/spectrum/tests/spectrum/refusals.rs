//! Every method with settings that make no sense, and on operators that break their promises.

use std::cell::Cell;

use candle_core::{DType, Tensor};
use flatness_operator::LinearOperator;
use flatness_spectrum::{
    Budget, EigenpairsSettings, Error, Goal, MomentsSettings, QuadratureSettings, XDiagSettings,
    basis_bytes, dense_spectrum, eigenpairs, moments_until, quadrature_until, xdiag_until,
};

use crate::matrices::{Matrix, case, custom, tensor};
use crate::methods::{RULES, SEARCH, SKETCH, search};

const SUMS: MomentsSettings = MomentsSettings {
    probes: 10,
    block: 4,
    seed: 0,
};

const GOAL: Goal = Goal {
    relative_error: 1e-9,
    confidence: 0.95,
};

const BUDGET: Budget<'_> = Budget::UNLIMITED;

/// What a method is asked for.
#[derive(Clone, Copy)]
enum Asked {
    Pairs(EigenpairsSettings),
    Sums(MomentsSettings, Goal),
    Rules(QuadratureSettings, Goal),
    Diagonal(XDiagSettings, Goal),
    /// In blocks of so many.
    Spectrum(usize),
}

use Asked::{Diagonal, Pairs, Rules, Spectrum, Sums};

impl Asked {
    fn error(self, operator: &dyn LinearOperator, budget: &Budget<'_>) -> Error {
        let none = &mut |_: &_| ();
        let error = match self {
            Pairs(settings) => eigenpairs(operator, &settings, budget, none).err(),
            Sums(settings, goal) => {
                moments_until(operator, &settings, None, &goal, budget, none).err()
            }
            Rules(settings, goal) => {
                quadrature_until(operator, &settings, None, &[], &goal, budget, none).err()
            }
            Diagonal(settings, goal) => xdiag_until(operator, &settings, &goal, budget, none).err(),
            Spectrum(block) => dense_spectrum(operator, block, budget).err(),
        };
        error.expect("a refusal")
    }
}

/// `settings` with one of them changed.
fn with<T: Copy>(settings: T, change: fn(&mut T)) -> T {
    let mut changed = settings;
    change(&mut changed);
    changed
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let pairs = |change| Pairs(with(SEARCH, change));
    let sums = |change| Sums(with(SUMS, change), GOAL);
    let rules = |change| Rules(with(RULES, change), GOAL);
    let diagonal = |change| Diagonal(with(SKETCH, change), GOAL);
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
        (
            pairs(|it| it.bytes = Some(9599)),
            "16 vectors of a basis take 9600 bytes, but 9599 are allowed; 15 would fit",
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
        let error = asked.error(&operator, &BUDGET).to_string();
        assert!(error.starts_with(sentence), "{error}");
    }
    let fitting = with(SEARCH, |it| it.bytes = Some(9600));
    assert!(search(&operator, &fitting).top[0].converged);
    // One dimension is whole with one probe, and takes no second.
    let single = Matrix::new("one by one", vec![-7.0]).operator(DType::F64);
    for (asked, expected) in [
        (diagonal(|it| it.probes = 0), "probes is 0; set it"),
        (diagonal(|it| it.probes = 2), "probes is 2, but the op"),
    ] {
        let error = asked.error(&single, &BUDGET).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let with_goal = |relative_error, confidence| Goal {
        relative_error,
        confidence,
    };
    for goal in [
        with_goal(0.0, 0.95),
        with_goal(f64::NAN, 0.95),
        with_goal(0.1, 1.0),
    ] {
        for asked in [Sums(SUMS, goal), Rules(RULES, goal), Diagonal(SKETCH, goal)] {
            let error = asked.error(&operator, &BUDGET);
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
        let error = asked.error(&operator, &Budget::of_products(least - 1));
        assert!(
            matches!(error, Error::BudgetTooSmall { products, needed } if products + 1 == least && needed == least),
            "{error}"
        );
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
            asked.error(&custom(DIM, dtype, apply), &BUDGET)
        };
        for shape in [
            error(DType::F64, &|block| block.narrow(1, 0, DIM - 1)),
            error(DType::F64, &|block| block.narrow(0, 0, 1)),
            error(DType::F64, &|block| block.t()),
        ] {
            assert!(matches!(shape, Error::ProductMismatch { .. }), "{shape}");
        }
        let single = error(DType::F64, &|block| block.to_dtype(DType::F32));
        let named = matches!(
            single,
            Error::ProductMismatch {
                got_dtype: DType::F32,
                ..
            }
        );
        assert!(named, "{single}");
        for dtype in [DType::BF16, DType::F16] {
            let half = error(dtype, &|block| Ok(block.clone()));
            let named = matches!(half, Error::UnsupportedDType { got } if got == dtype);
            assert!(named, "{half}");
        }
        let failed = error(DType::F64, &|_| candle_core::bail!("no data"));
        assert!(failed.to_string().contains("no data"), "{failed}");
        let empty = custom(0, DType::F64, |block: &Tensor| Ok(block.clone()));
        let empty = asked.error(&empty, &BUDGET);
        let named = matches!(
            empty,
            Error::Zero { .. } | Error::BeyondDimension { dim: 0, .. }
        );
        assert!(named, "{index}: {empty}");
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
        for (value, (call, expected)) in [f64::NAN, f64::INFINITY]
            .into_iter()
            .flat_map(|value| (2..).zip(places).map(move |place| (value, place)))
        {
            let calls = Cell::new(0);
            let operator = custom(DIM, DType::F64, |block: &Tensor| {
                calls.set(calls.get() + 1);
                let factors = Tensor::new(ramp.as_slice(), block.device())?;
                let factor = if calls.get() == call { value } else { 1.0 };
                let factors = Tensor::stack(&[&factors, &(&factors * factor)?], 0)?;
                block.mul(&factors)
            });
            match asked.error(&operator, &BUDGET) {
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
    let case = case("indefinite");
    let mut entries = case.entries.clone();
    entries[(3, 17)] += 30.0;
    entries[(17, 3)] -= 30.0;
    let transposed = tensor(&entries.transpose());
    let operator = custom(60, DType::F64, |block: &Tensor| block.matmul(&transposed));
    for asked in [Pairs(SEARCH), Rules(with(RULES, |it| it.steps = 40), GOAL)] {
        match asked.error(&operator, &BUDGET) {
            Error::NotSymmetric { asymmetry, norm } => assert!(asymmetry > 0.1 * norm),
            other => panic!("{other}"),
        }
    }
}
