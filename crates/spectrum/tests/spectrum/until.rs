//! Measurements that go on until the interval is narrow or a budget ends them.

use candle_core::DType;
use flatness_spectrum::{
    Budget, Error, Estimate, Goal, MomentsSettings, Probe, Progress, Quadrature,
    QuadratureSettings, Stop, moments_until, quadrature_until,
};

use crate::matrices::Matrix;

fn positive() -> Matrix {
    Matrix::new(
        "positive",
        (0..150).map(|i| f64::from(1 + i).powf(-0.3)).collect(),
    )
}

const MOMENTS: MomentsSettings = MomentsSettings {
    probes: 10,
    block: 4,
    seed: 0,
};
const RULES: QuadratureSettings = QuadratureSettings {
    probes: 10,
    steps: 12,
    block: 4,
    bytes: None,
    probe: Probe::Gaussian,
    seed: 0,
};

type Method =
    fn(&Matrix, &Goal, &Budget<'_>, &mut dyn FnMut(&Progress)) -> Result<(Estimate, Stop), Error>;

fn methods() -> [(&'static str, usize, usize, Method); 2] {
    [
        ("moments", 10, 4, |case, goal, budget, observe| {
            let operator = case.operator(DType::F64);
            let measured = moments_until(&operator, &MOMENTS, None, goal, budget, observe)?;
            Ok((measured.result.trace, measured.stop))
        }),
        ("quadrature", 120, 48, |case, goal, budget, observe| {
            let operator = case.operator(DType::F64);
            let trace = |rules: &Quadrature| rules.integrate(|value| value);
            let measured =
                quadrature_until(&operator, &RULES, None, &[&trace], goal, budget, observe)?;
            Ok((trace(&measured.result)?, measured.stop))
        }),
    ]
}

#[test]
fn the_goal_is_reached_and_the_last_progress_is_the_result() {
    let case = positive();
    let truth: f64 = case.eigenvalues.iter().sum();
    for (name, _, _, method) in methods() {
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
    for (name, first, block, method) in methods() {
        let budget = Budget::of_products(first + 2 * block + 1);
        let (estimate, stop) = method(&case, &goal, &budget, &mut |_| ()).unwrap();
        assert_eq!(stop, Stop::Products, "{name}");
        assert_eq!(estimate.products, first + 2 * block, "{name}");
        let error = method(&case, &goal, &Budget::of_products(first - 1), &mut |_| ());
        assert!(
            matches!(error, Err(Error::BudgetTooSmall { needed, .. }) if needed == first),
            "{name}"
        );
        for goal in [
            Goal::relative(0.0),
            Goal::relative(f64::NAN),
            Goal {
                relative_error: 0.1,
                confidence: 1.0,
            },
        ] {
            let error = method(&case, &goal, &Budget::UNLIMITED, &mut |_| ());
            assert!(matches!(error, Err(Error::OutOfRange { .. })), "{name}");
        }
    }
}

#[test]
fn adaptive_intervals_contain_the_truth_as_often_as_they_say() {
    let case = positive();
    let operator = case.operator(DType::F64);
    let truth: f64 = case.eigenvalues.iter().sum();
    let inside = (0..200)
        .filter(|&seed| {
            let settings = MomentsSettings {
                probes: 30,
                block: 10,
                seed,
            };
            let goal = Goal::relative(0.02);
            let measured = moments_until(
                &operator,
                &settings,
                None,
                &goal,
                &Budget::UNLIMITED,
                &mut |_| (),
            )
            .unwrap();
            let interval = measured.result.trace.interval(0.95).unwrap();
            interval.contains(&truth)
        })
        .count();
    assert!((184..=196).contains(&inside), "{inside} of 200");
}
