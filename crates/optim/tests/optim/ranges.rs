//! Hyper-parameters outside their ranges are named with their values.

use std::ops::Range;

use flatness_optim::{
    Adam, Average, Decay, Error, MomentSettings, Momentum, Schedule, Sgd, SharpnessAware,
    clip_by_norm,
};
use flatness_testkit::gaussian;

use crate::optimizers;

/// Numbers that are refused and that are taken.
type Kind = (&'static [f64], &'static [f64]);
const NAN: f64 = f64::NAN;
const NOT_NEGATIVE: Kind = (&[-1e-9, NAN, f64::INFINITY], &[0.0, 2.0]);
const POSITIVE: Kind = (&[0.0, -1.0, NAN, f64::INFINITY], &[30.0]);
const ABOVE_ZERO: Kind = (&[0.0, -1.0, NAN], &[1.0]);
const BELOW_ONE: Kind = (&[-0.1, 1.0, NAN], &[0.0, 0.999]);
const OPEN: Kind = (&[0.0, 1.0, NAN], &[0.5]);
const CLOSED: Kind = (&[-0.1, 1.1, NAN], &[0.0, 1.0]);
const TO_HALF: Kind = (&[0.0, 0.51, NAN], &[0.125, 0.3, 0.5]);

/// A parameter's name, its range, and what has it.
type Case<'a> = (&'a str, Kind, &'a dyn Fn(f64) -> Option<Error>);

fn check(cases: &[Case<'_>]) {
    for &(named, (refused, accepted), of) in cases {
        for &value in refused {
            match of(value) {
                Some(Error::Range { name, got, .. }) => {
                    assert_eq!(name, named);
                    let same = got == value || got.is_nan() && value.is_nan();
                    assert!(same, "{named}: {got}");
                }
                other => panic!("{named} = {value}: {other:?}"),
            }
        }
        for &value in accepted {
            assert!(of(value).is_none(), "{named} = {value}");
        }
    }
}

#[test]
fn numbers_outside_their_ranges_are_errors() {
    let theta = gaussian(3, 1);
    let none = || Decay::coupled(0.0).unwrap();
    let sgd = |momentum| Sgd::new(momentum, none(), &theta).err();
    let dampened = |coefficient, dampening| {
        sgd(Momentum::Dampened {
            coefficient,
            dampening,
        })
    };
    let published = MomentSettings::PUBLISHED;
    let adam = |beta1, beta2, epsilon| {
        let settings = MomentSettings {
            beta1,
            beta2,
            epsilon,
        };
        Adam::new(settings, none(), &theta).err()
    };
    let partial = |p| Adam::padam(published, p, none(), &theta).err();
    let rate = |rate| {
        let mut steps = optimizers(&none(), &theta).into_iter();
        steps.find_map(|mut optimizer| optimizer.step(&theta, &gaussian(3, 2), rate).err())
    };
    let average = |decay| Average::exponential(decay, &theta).err();
    let largest = |norm| clip_by_norm(&gaussian(3, 2), norm).err();
    check(&[
        ("the momentum", BELOW_ONE, &|x| sgd(Momentum::HeavyBall(x))),
        ("the momentum", BELOW_ONE, &|x| sgd(Momentum::Nesterov(x))),
        ("the dampened momentum", OPEN, &|x| dampened(x, 0.5)),
        ("the dampening", CLOSED, &|x| dampened(0.5, x)),
        ("the weight decay", NOT_NEGATIVE, &|x| {
            Decay::coupled(x).err()
        }),
        ("the weight decay", NOT_NEGATIVE, &|x| {
            Decay::decoupled(x).err()
        }),
        ("beta1", BELOW_ONE, &|x| adam(x, 0.999, 1e-8)),
        ("beta2", BELOW_ONE, &|x| adam(0.9, x, 1e-8)),
        ("epsilon", NOT_NEGATIVE, &|x| adam(0.9, 0.999, x)),
        ("the partial exponent", TO_HALF, &partial),
        ("the learning rate", NOT_NEGATIVE, &rate),
        ("the decay of the average", BELOW_ONE, &average),
        ("the largest norm", ABOVE_ZERO, &largest),
        ("the radius", NOT_NEGATIVE, &|x| {
            SharpnessAware::new(x).err()
        }),
    ]);
}

#[test]
fn schedules_outside_their_ranges_are_errors() {
    let (ratio, step) = ("the ratio of the rates", "the length of a step of the rate");
    let averaging = |start, ratio| Schedule::averaging(start, ratio).err();
    let steps = |every, factor| Schedule::steps(every, factor).err();
    let warm_up = |length, from| Schedule::constant().after_warm_up(length, from).err();
    check(&[
        (ratio, NOT_NEGATIVE, &|x| Schedule::paper(x).err()),
        (ratio, NOT_NEGATIVE, &|x| averaging(161.0, x)),
        (ratio, NOT_NEGATIVE, &|x| Schedule::cosine(x).err()),
        ("the start of averaging", POSITIVE, &|x| averaging(x, 0.5)),
        (step, POSITIVE, &|x| steps(x, 0.1)),
        ("the factor of the rate", NOT_NEGATIVE, &|x| steps(30.0, x)),
        ("the length of the warm-up", POSITIVE, &|x| warm_up(x, 0.0)),
        ("the first factor of the warm-up", CLOSED, &|x| {
            warm_up(5.0, x)
        }),
    ]);
}

#[test]
fn ranges_without_decay_lie_in_order_inside_the_vector() {
    let decay = |ranges: &[Range<usize>]| {
        Decay::coupled(0.1).and_then(|decay| decay.excluding(ranges.iter().cloned()))
    };
    let reversed = Range { start: 3, end: 2 };
    // The ranges, of which the last is refused.
    for ranges in [vec![2..4, 0..1], vec![0..3, 2..4], vec![reversed]] {
        let error = decay(&ranges).unwrap_err();
        let refused = ranges.last();
        let fits = matches!(&error, Error::Excluded { range, .. } if Some(range) == refused);
        assert!(fits, "{error}");
    }
    let beyond = decay(&[1..2, 3..5]).unwrap();
    let error = Sgd::new(Momentum::HeavyBall(0.9), beyond, &gaussian(4, 1)).unwrap_err();
    let expected = "the range 3..5 without decay: expected ascending disjoint ranges up to 4";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn the_sentence_names_the_number_and_the_range() {
    let message = Decay::coupled(-1.5).unwrap_err().to_string();
    let range = "expected a number that is finite and at least 0";
    assert_eq!(message, format!("the weight decay is -1.5, {range}"));
}
