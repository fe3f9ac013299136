//! Measurements that go on until the interval is narrow or a budget ends them.

use candle_core::DType;
use flatness_spectrum::{
    Budget, Error, Estimate, Function, Goal, MomentsSettings, Progress, Quadrature, Stop,
    eigenpairs, moments_until, quadrature_until,
};

use crate::eigenpairs::check_residuals;
use crate::matrices::{Matrix, case};
use crate::methods::{RULES, SEARCH, SUMS, near, with};

fn positive() -> Matrix {
    Matrix::by("positive", 150, |i| (1.0 + i).powf(-0.3))
}

type Method =
    fn(&Matrix, &Goal, &Budget<'_>, &mut dyn FnMut(&Progress)) -> Result<(Estimate, Stop), Error>;

/// With the products that a probe takes; ten probes and then four at a time.
fn methods() -> [(&'static str, usize, Method); 2] {
    [
        ("moments", 1, |case, goal, budget, observe| {
            let operator = case.operator(DType::F64);
            let measured = moments_until(&operator, &SUMS, None, goal, budget, observe)?;
            Ok((measured.result.trace, measured.stop))
        }),
        ("quadrature", RULES.steps, |case, goal, budget, observe| {
            let settings = with(RULES, |it| (it.probes, it.seed) = (SUMS.probes, 0));
            let (operator, known) = (case.operator(DType::F64), None);
            let trace = |rules: &Quadrature| rules.integrate(|value| value);
            let judged: [Function<'_>; 1] = [&trace];
            let measured =
                quadrature_until(&operator, &settings, known, &judged, goal, budget, observe)?;
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
        let found = method(&case, &goal, &Budget::UNLIMITED, &mut |at| seen.push(*at));
        let (estimate, stop) = found.unwrap();
        assert_eq!(stop, Stop::Converged, "{name}");
        let half_width = estimate.half_width(0.95).unwrap();
        near(name, half_width, 0.0, 0.02 * estimate.value);
        near(name, estimate.value, truth, 2.0 * half_width);
        let (last, earlier) = seen.split_last().unwrap();
        let result = (estimate.products, estimate.value, half_width);
        assert_eq!((last.products, last.value, last.error), result, "{name}");
        // Not a block more than needed.
        assert!(!earlier.is_empty(), "{name}");
        for at in earlier {
            assert!(at.error > 0.02 * at.value || name == "moments", "{name}");
        }
    }
}

#[test]
fn a_budget_ends_early_and_says_so() {
    let case = positive();
    let goal = Goal::relative(1e-6);
    for (name, steps, method) in methods() {
        let products = steps * (SUMS.probes + 2 * SUMS.block);
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
        let settings = with(SEARCH, |it| it.block = block);
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
}
