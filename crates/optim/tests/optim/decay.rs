//! What the two decays do to the step and to the moments.

use candle_core::Tensor;
use flatness_kernels::with_candle_path;
use flatness_optim::{Decay, Optimizer};
use flatness_testkit::{assert_close, gaussian, values};

use crate::optimizers;

const DECAY: f64 = 0.3;
const RATE: f64 = 0.1;

/// Three steps; `gradient` makes the gradient of a step from its number and θ.
fn walk(
    mut optimizer: Box<dyn Optimizer>,
    start: &Tensor,
    gradient: impl Fn(u64, &Tensor) -> Tensor,
    before_each: impl Fn(&Tensor) -> Tensor,
) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut theta = start.copy().unwrap();
    for step in 0..3 {
        let gradient = gradient(step, &theta);
        theta = before_each(&theta);
        optimizer.step(&theta, &gradient, RATE).unwrap();
    }
    let state = optimizer.state().unwrap();
    (values(&theta), state.vectors.values().map(values).collect())
}

type Pair = (Box<dyn Optimizer>, Box<dyn Optimizer>);

/// Optimisers with and without a decay.
fn pairs(decay: &Decay, theta: &Tensor) -> impl Iterator<Item = Pair> {
    let without = optimizers(&Decay::coupled(0.0).unwrap(), theta);
    optimizers(decay, theta).into_iter().zip(without)
}

fn copy(theta: &Tensor) -> Tensor {
    theta.copy().unwrap()
}

#[test]
fn coupled_l2_is_wd_theta_added_to_the_gradient() {
    let theta = gaussian(6, 1);
    for (with, without) in pairs(&Decay::coupled(DECAY).unwrap(), &theta) {
        let what = format!("{with:?}");
        let (got, _) = walk(with, &theta, |step, _| gaussian(6, 10 + step), copy);
        let regularised =
            |step, theta: &Tensor| (gaussian(6, 10 + step) + (theta * DECAY).unwrap()).unwrap();
        let (expected, _) = walk(without, &theta, regularised, copy);
        // The same sums in another order.
        assert_close(&what, &got, &expected, 1e-14);
    }
}

#[test]
fn decoupled_decay_shrinks_theta_and_does_not_touch_the_moments() {
    let theta = gaussian(6, 1);
    for (with, without) in pairs(&Decay::decoupled(DECAY).unwrap(), &theta) {
        let what = format!("{with:?}");
        let gradient = |step, _: &Tensor| gaussian(6, 10 + step);
        let (got, state) = walk(with, &theta, gradient, copy);
        let shrink = |theta: &Tensor| (theta * (1.0 - RATE * DECAY)).unwrap();
        let (expected, plain_state) = walk(without, &theta, gradient, shrink);
        assert_close(&what, &got, &expected, 1e-14);
        assert_eq!(state, plain_state, "{what}");
    }
}

/// Excluded elements move as without decay, the others as with it.
#[test]
fn excluded_ranges_do_not_decay() {
    let theta = gaussian(6, 1);
    let take = |mut optimizer: Box<dyn Optimizer>| {
        let theta = theta.copy().unwrap();
        optimizer.step(&theta, &gaussian(6, 10), RATE).unwrap();
        values(&theta)
    };
    let check = |tolerance: f64| {
        for whole in [Decay::coupled(DECAY), Decay::decoupled(DECAY)].map(Result::unwrap) {
            let partial = whole.clone().excluding([1..3, 5..6]).unwrap();
            for ((with, without), excluding) in
                pairs(&whole, &theta).zip(optimizers(&partial, &theta))
            {
                let what = format!("{excluding:?}");
                let (with, without, got) = (take(with), take(without), take(excluding));
                for place in 0..6 {
                    let excluded = (1..3).contains(&place) || place == 5;
                    let expected = if excluded { &without } else { &with };
                    let error = (got[place] - expected[place]).abs();
                    assert!(error <= tolerance, "{what}: element {place}: {error:e}");
                }
            }
        }
    };
    check(0.0);
    // Another order of a few operations on numbers of order one.
    with_candle_path(|| check(1e-14));
}
