//! An interrupt ends every method before its next block of products, the first one too.

use std::cell::Cell;

use candle_core::{DType, Tensor};
use flatness_operator::LinearOperator;
use flatness_spectrum::{
    Budget, EigenpairsSettings, Error, Goal, MomentsSettings, Probe, Quadrature,
    QuadratureSettings, Stop, Verified, XDiagSettings, dense_spectrum, eigenpairs, moments_until,
    quadrature_until, xdiag_until,
};

use crate::matrices::{custom, identity};
use crate::methods::{self, SEARCH, SKETCH, quadrature};

const DIM: usize = 40;

/// Vectors of a block.
const BLOCK: usize = 4;

const STEPS: usize = 6;

const RULES: QuadratureSettings = QuadratureSettings {
    probes: 6,
    steps: STEPS,
    block: BLOCK,
    ..methods::RULES
};

const GOAL: Goal = Goal {
    relative_error: 1e-9,
    confidence: 0.95,
};

type Method = fn(&dyn LinearOperator, &Budget<'_>) -> Result<(usize, Stop), Error>;

fn methods() -> [(&'static str, Method); 5] {
    [
        ("eigenpairs", |operator, budget| {
            let settings = EigenpairsSettings {
                top: 2,
                bottom: 2,
                block: BLOCK,
                tolerance: 1e-12,
                ..SEARCH
            };
            let found = eigenpairs(operator, &settings, budget, &mut |_| ())?;
            assert!(found.top[0].residual.is_finite());
            Ok((found.products, found.stop))
        }),
        ("moments", |operator, budget| {
            let settings = MomentsSettings {
                probes: 10,
                block: BLOCK,
                seed: 2,
            };
            let found = moments_until(operator, &settings, None, &GOAL, budget, &mut |_| ())?;
            assert!(found.result.trace.standard_error.is_finite());
            Ok((found.result.trace.products, found.stop))
        }),
        ("quadrature", |operator, budget| {
            let trace = |rules: &Quadrature| rules.integrate(|value| value);
            let functions: [flatness_spectrum::Function<'_>; 1] = [&trace];
            let found = quadrature_until(
                operator,
                &RULES,
                None,
                &functions,
                &GOAL,
                budget,
                &mut |_| (),
            )?;
            let rules = found.result;
            assert!(rules.rules.len() >= 2 && (1..=STEPS).contains(&rules.steps));
            assert!(trace(&rules)?.standard_error.is_finite());
            Ok((rules.products, found.stop))
        }),
        ("diagonal", |operator, budget| {
            let settings = XDiagSettings {
                probes: 6,
                block: BLOCK,
                ..SKETCH
            };
            let found = xdiag_until(operator, &settings, &GOAL, budget, &mut |_| ())?;
            assert!(found.result.probes >= 2);
            assert!(found.result.norm()?.standard_error.is_finite());
            Ok((found.result.products, found.stop))
        }),
        ("dense spectrum", |operator, budget| {
            let found = dense_spectrum(operator, BLOCK, budget)?;
            Ok((found.products, Stop::Complete))
        }),
    ]
}

/// A matrix that couples neighbours, whose products are counted in `made`.
fn counting(made: &Cell<usize>) -> impl LinearOperator {
    custom(DIM, DType::F64, move |block: &Tensor| {
        made.set(made.get() + block.dim(0)?);
        let padded = block.pad_with_zeros(1, 1, 1)?;
        let neighbours = (padded.narrow(1, 0, DIM)? + padded.narrow(1, 2, DIM)?)?;
        let ramp = Tensor::arange(0.0, DIM as f64, block.device())?.affine(0.1, -1.0)?;
        block.broadcast_mul(&ramp)? + neighbours
    })
}

#[test]
fn no_block_is_begun_after_an_interrupt() {
    for (name, method) in methods() {
        let (mut numbers, mut refusals) = (0, 0);
        for after in 0..90 {
            let made = Cell::new(0);
            let budget = Budget {
                products: None,
                interrupt: &|| made.get() >= after,
            };
            let found = method(&counting(&made), &budget);
            assert!(
                made.get() < after + BLOCK,
                "{name}: {} after {after}",
                made.get()
            );
            match found {
                Ok((products, stop)) => {
                    assert_eq!(products, made.get(), "{name} after {after}");
                    let ended =
                        matches!(stop, Stop::Interrupted | Stop::Complete) || made.get() <= after;
                    assert!(ended, "{name} after {after}: {stop:?}");
                    numbers += 1;
                }
                Err(Error::Interrupted { products }) => {
                    assert_eq!(products, made.get(), "{name} after {after}");
                    refusals += 1;
                }
                Err(other) => panic!("{name}: {other}"),
            }
        }
        assert!(numbers > 0 && refusals > 0, "{name}");
        // Whatever has a number after a block gives it.
        let most = match name {
            "diagonal" => 2 * BLOCK,
            "dense spectrum" => DIM,
            _ => 1,
        };
        assert!(refusals <= most, "{name}: {refusals}");
    }
}

#[test]
fn rules_of_the_steps_that_were_made_are_left() {
    for (bytes, rules) in [(None, 4), (Some(RULES_OF_ONE), 2)] {
        let settings = QuadratureSettings { bytes, ..RULES };
        // Three steps of four probes at a time, or six of the first and three of the second.
        let after = if bytes.is_none() { 3 * BLOCK } else { 9 };
        let made = Cell::new(0);
        let budget = Budget {
            products: None,
            interrupt: &|| made.get() >= after,
        };
        let operator = counting(&made);
        let found = quadrature_until(&operator, &settings, None, &[], &GOAL, &budget, &mut |_| ());
        let found = found.unwrap();
        assert_eq!(found.stop, Stop::Interrupted);
        assert_eq!(found.result.products, after);
        let shorter = QuadratureSettings {
            probes: rules,
            steps: 3,
            ..RULES
        };
        let shorter = quadrature(&operator, None, &shorter).unwrap();
        assert_eq!(found.result.steps, 3);
        assert_eq!(found.result.rules, shorter.rules);
    }
}

/// What one probe at a time takes.
const RULES_OF_ONE: u64 = ((STEPS + 4 + 4) * DIM * 8) as u64;

/// What could not be checked is not believed.
#[test]
fn a_check_is_interrupted_too() {
    let made = Cell::new(0);
    let budget = Budget {
        products: None,
        interrupt: &|| made.get() >= 2,
    };
    let verified = Verified::new(counting(&made), budget);
    let block = Probe::Gaussian
        .rows(&identity(DIM, DType::F64), 0..2, 1)
        .unwrap();
    let error = verified.apply_block(&block).unwrap_err();
    let flatness_operator::Error::Source(source) = error else {
        panic!("{error}");
    };
    assert!(matches!(
        source.downcast_ref(),
        Some(Error::Interrupted { products: 2 })
    ));
    assert_eq!(made.get(), 2);
}
