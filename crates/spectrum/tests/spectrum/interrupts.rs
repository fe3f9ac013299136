//! An interrupt ends every method before its next block of products, the first one too.

use std::cell::Cell;

use candle_core::{DType, Tensor};
use flatness_operator::LinearOperator;
use flatness_spectrum::{Budget, Error, QuadratureSettings, Stop, quadrature_until};

use crate::matrices::custom;
use crate::methods::Asked::{self, Diagonal, Pairs, Rules, Spectrum, Sums};
use crate::methods::{self, GOAL, SEARCH, SKETCH, SUMS, quadrature, with};

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

/// With the most products before which there is no number.
fn methods() -> [(&'static str, Asked, usize); 5] {
    let search = with(SEARCH, |it| {
        (it.top, it.block, it.tolerance) = (2, BLOCK, 1e-12)
    });
    let sketch = with(SKETCH, |it| it.probes = 6);
    [
        ("eigenpairs", Pairs(search), 1),
        ("moments", Sums(SUMS, GOAL), 1),
        ("quadrature", Rules(RULES, GOAL), 1),
        ("diagonal", Diagonal(sketch, GOAL), 2 * BLOCK),
        ("dense spectrum", Spectrum(BLOCK), DIM),
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
    for (name, asked, most) in methods() {
        let (mut numbers, mut refusals) = (0, 0);
        for after in 0..90 {
            let made = Cell::new(0);
            let budget = Budget {
                products: None,
                interrupt: &|| made.get() >= after,
            };
            let found = asked.run(&counting(&made), &budget);
            let made = made.get();
            assert!(made < after + BLOCK, "{name}: {made} after {after}");
            match found {
                Ok((products, stop)) => {
                    assert_eq!(products, made, "{name} after {after}");
                    let ended = matches!(stop, Stop::Interrupted | Stop::Complete);
                    assert!(ended || made <= after, "{name} after {after}: {stop:?}");
                    numbers += 1;
                }
                Err(Error::Interrupted { products }) => {
                    assert_eq!(products, made, "{name} after {after}");
                    refusals += 1;
                }
                Err(other) => panic!("{name}: {other}"),
            }
        }
        assert!(numbers > 0 && refusals > 0, "{name}");
        // Whatever has a number after a block gives it.
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
        let shorter = with(RULES, |it| (it.probes, it.steps) = (rules, 3));
        let shorter = quadrature(&operator, None, &shorter).unwrap();
        assert_eq!(found.result.steps, 3);
        assert_eq!(found.result.rules, shorter.rules);
    }
}

/// What one probe at a time takes.
const RULES_OF_ONE: u64 = ((STEPS + 4 + 4) * DIM * 8) as u64;
