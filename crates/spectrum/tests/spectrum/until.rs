//! Measurements that go on until the interval is narrow or a budget ends them.

use std::cell::Cell;

use candle_core::DType;
use flatness_spectrum::{
    Budget, EigenpairsSettings, Error, Estimate, Goal, MomentsSettings, Progress, Quadrature,
    QuadratureSettings, Stop, eigenpairs, moments_until, quadrature_until,
};

use crate::eigenpairs::check_residuals;
use crate::matrices::{Matrix, case};
use crate::methods::{RULES, SEARCH};

fn positive() -> Matrix {
    Matrix::new(
        "positive",
        (0..150).map(|i| f64::from(1 + i).powf(-0.3)).collect(),
    )
}

/// Ten probes and then four at a time, one of which takes as many products as a method makes steps.
const PROBES: usize = 10;

const BLOCK: usize = 4;

const STEPS: usize = 12;

type Method =
    fn(&Matrix, &Goal, &Budget<'_>, &mut dyn FnMut(&Progress)) -> Result<(Estimate, Stop), Error>;

fn methods() -> [(&'static str, usize, Method); 2] {
    [
        ("moments", 1, |case, goal, budget, observe| {
            let settings = MomentsSettings {
                probes: PROBES,
                block: BLOCK,
                seed: 0,
            };
            let operator = case.operator(DType::F64);
            let measured = moments_until(&operator, &settings, None, goal, budget, observe)?;
            Ok((measured.result.trace, measured.stop))
        }),
        ("quadrature", STEPS, |case, goal, budget, observe| {
            let settings = QuadratureSettings {
                probes: PROBES,
                seed: 0,
                ..RULES
            };
            let operator = case.operator(DType::F64);
            let trace = |rules: &Quadrature| rules.integrate(|value| value);
            let measured =
                quadrature_until(&operator, &settings, None, &[&trace], goal, budget, observe)?;
            Ok((trace(&measured.result)?, measured.stop))
        }),
    ]
}

#[test]
fn the_goal_is_reached_and_the_last_progress_is_the_result() {
    let case = positive();
    let [truth, _] = case.moments();
    for (name, _, method) in methods() {
        let mut seen: Vec<Progress> = Vec::new();
        let goal = Goal::relative(0.02);
        let (estimate, stop) =
            method(&case, &goal, &Budget::UNLIMITED, &mut |at| seen.push(*at)).unwrap();
        assert_eq!(stop, Stop::Converged, "{name}");
        let half_width = estimate.half_width_95().unwrap();
        assert!(half_width <= 0.02 * estimate.value, "{name}");
        assert!((estimate.value - truth).abs() <= 2.0 * half_width, "{name}");
        let last = seen.last().unwrap();
        assert_eq!(
            (last.products, last.value, last.error),
            (estimate.products, estimate.value, half_width),
            "{name}"
        );
        // Not a block more than needed.
        assert!(seen.len() > 1, "{name}");
        for at in &seen[..seen.len() - 1] {
            assert!(at.error > 0.02 * at.value || name == "moments", "{name}");
        }
    }
}

#[test]
fn a_budget_ends_early_and_says_so() {
    let case = positive();
    let goal = Goal::relative(1e-6);
    for (name, steps, method) in methods() {
        let products = steps * (PROBES + 2 * BLOCK);
        let budget = Budget::of_products(products + 1);
        let (estimate, stop) = method(&case, &goal, &budget, &mut |_| ()).unwrap();
        assert_eq!(
            (stop, estimate.products),
            (Stop::Products, products),
            "{name}"
        );
    }
}

#[test]
fn adaptive_intervals_contain_the_truth_as_often_as_they_say() {
    let case = positive();
    let operator = case.operator(DType::F64);
    let [truth, _] = case.moments();
    let inside = (0..200)
        .filter(|&seed| {
            let settings = MomentsSettings {
                probes: 30,
                block: 10,
                seed,
            };
            let (goal, budget) = (Goal::relative(0.02), Budget::UNLIMITED);
            let found = moments_until(&operator, &settings, None, &goal, &budget, &mut |_| ());
            let trace = found.unwrap().result.trace;
            trace.interval(0.95).unwrap().contains(&truth)
        })
        .count();
    assert!((184..=196).contains(&inside), "{inside} of 200");
}

#[test]
fn eigenpairs_that_end_early_say_so() {
    let case = case("indefinite");
    let operator = case.operator(DType::F64);
    for block in [1, 3] {
        let settings = EigenpairsSettings { block, ..SEARCH };
        let mut last = None;
        let budget = Budget::of_products(20);
        let result = eigenpairs(&operator, &settings, &budget, &mut |at| last = Some(*at));
        let result = result.unwrap();
        assert_eq!(result.stop, Stop::Products);
        assert!(result.products <= 20 && result.products + block > 20);
        let last = last.unwrap();
        assert_eq!(last.products, result.products);
        let first = result.top[0];
        assert_eq!((last.value, last.error), (first.value, first.residual));
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
    let result = eigenpairs(&operator, &SEARCH, &budget, &mut |_| ()).unwrap();
    assert_eq!((result.stop, result.products), (Stop::Interrupted, 2));
    assert_eq!((result.top.len(), result.bottom.len()), (2, 2));
}
