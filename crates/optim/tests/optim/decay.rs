//! What the two decays do to the step and to the moments.

use candle_core::Tensor;
use flatness_kernels::with_candle_path;
use flatness_optim::{
    Adam, AmsGrad, CoupledL2, DecoupledDecay, MomentSettings, Momentum, Optimizer, Padam, Sgd,
};
use flatness_testkit::{assert_close, gaussian, values};

const DECAY: f64 = 0.3;
const RATE: f64 = 0.1;

fn none() -> CoupledL2 {
    CoupledL2::new(0.0).unwrap()
}

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
fn pairs<D: flatness_optim::Decay + 'static>(decay: &D, theta: &Tensor) -> Vec<Pair> {
    fn sgd<D: flatness_optim::Decay + 'static>(
        momentum: Momentum,
        decay: D,
        theta: &Tensor,
    ) -> Box<dyn Optimizer> {
        Box::new(Sgd::new(momentum, decay, theta).unwrap())
    }
    let published = MomentSettings::PUBLISHED;
    let mut pairs: Vec<Pair> = [Momentum::HeavyBall(0.9), Momentum::Nesterov(0.9)]
        .map(|momentum| {
            (
                sgd(momentum, decay.clone(), theta),
                sgd(momentum, none(), theta),
            )
        })
        .into();
    pairs.push((
        Box::new(Adam::new(published, decay.clone(), theta).unwrap()),
        Box::new(Adam::new(published, none(), theta).unwrap()),
    ));
    pairs.push((
        Box::new(AmsGrad::new(published, decay.clone(), theta).unwrap()),
        Box::new(AmsGrad::new(published, none(), theta).unwrap()),
    ));
    pairs.push((
        Box::new(Padam::new(published, 0.125, decay.clone(), theta).unwrap()),
        Box::new(Padam::new(published, 0.125, none(), theta).unwrap()),
    ));
    pairs
}

#[test]
fn coupled_l2_is_wd_theta_added_to_the_gradient() {
    let theta = gaussian(6, 1);
    for (with, without) in pairs(&CoupledL2::new(DECAY).unwrap(), &theta) {
        let what = format!("{with:?}");
        let copy = |theta: &Tensor| theta.copy().unwrap();
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
    for (with, without) in pairs(&DecoupledDecay::new(DECAY).unwrap(), &theta) {
        let what = format!("{with:?}");
        let gradient = |step, _: &Tensor| gaussian(6, 10 + step);
        let copy = |theta: &Tensor| theta.copy().unwrap();
        let (got, state) = walk(with, &theta, gradient, copy);
        let shrink = |theta: &Tensor| (theta * (1.0 - RATE * DECAY)).unwrap();
        let (expected, plain_state) = walk(without, &theta, gradient, shrink);
        assert_close(&what, &got, &expected, 1e-14);
        assert_eq!(state, plain_state, "{what}");
    }
}

/// Excluded elements move as without decay, the others as with it.
fn check_exclusion<D: flatness_optim::Decay + 'static>(whole: &D, partial: &D, tolerance: f64) {
    let theta = gaussian(6, 1);
    let take = |mut optimizer: Box<dyn Optimizer>| {
        let theta = theta.copy().unwrap();
        optimizer.step(&theta, &gaussian(6, 10), RATE).unwrap();
        values(&theta)
    };
    let exact = pairs(whole, &theta).into_iter().zip(pairs(partial, &theta));
    for ((with, without), (excluding, _)) in exact {
        let what = format!("{excluding:?}");
        let (with, without, got) = (take(with), take(without), take(excluding));
        for place in 0..6 {
            let expected = if (1..3).contains(&place) || place == 5 {
                without[place]
            } else {
                with[place]
            };
            let error = (got[place] - expected).abs();
            assert!(
                error <= tolerance,
                "{what}: element {place} is off by {error:e}"
            );
        }
    }
}

#[test]
fn excluded_ranges_do_not_decay() {
    let (coupled, decoupled) = (CoupledL2::new(DECAY), DecoupledDecay::new(DECAY));
    let (coupled, decoupled) = (coupled.unwrap(), decoupled.unwrap());
    let ranges = [1..3, 5..6];
    let check = |tolerance| {
        let partial = coupled.clone().excluding(ranges.clone()).unwrap();
        check_exclusion(&coupled, &partial, tolerance);
        let partial = decoupled.clone().excluding(ranges.clone()).unwrap();
        check_exclusion(&decoupled, &partial, tolerance);
    };
    check(0.0);
    // Another order of a few operations on numbers of order one.
    with_candle_path(|| check(1e-14));
}
