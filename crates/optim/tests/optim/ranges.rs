//! Hyper-parameters outside their ranges are named with their values.

use flatness_optim::{
    Adam, CoupledL2, DecoupledDecay, Error, ExponentialAverage, MomentSettings, Momentum,
    Optimizer, Padam, Schedule, Sgd, SharpnessAware, clip_by_norm,
};
use flatness_testkit::gaussian;

/// Every value is refused under the name, and the last one that is not is accepted.
#[track_caller]
fn check_range(named: &str, refused: &[f64], accepted: &[f64], of: impl Fn(f64) -> Option<Error>) {
    for &value in refused {
        match of(value) {
            Some(Error::Range { name, got, .. }) => {
                assert_eq!(name, named);
                assert!(
                    got == value || got.is_nan() && value.is_nan(),
                    "{named}: {got}"
                );
            }
            other => panic!("{named} = {value}: {other:?}"),
        }
    }
    for &value in accepted {
        assert!(of(value).is_none(), "{named} = {value}");
    }
}

const BELOW_ZERO: [f64; 3] = [-1e-9, f64::NAN, f64::INFINITY];
const OUTSIDE_UNIT: [f64; 3] = [-0.1, 1.0, f64::NAN];

#[test]
fn numbers_outside_their_ranges_are_errors() {
    let theta = gaussian(3, 1);
    let none = || CoupledL2::new(0.0).unwrap();
    let sgd = |momentum| Sgd::new(momentum, none(), &theta).err();
    let dampened = |coefficient, dampening| Momentum::Dampened {
        coefficient,
        dampening,
    };
    check_range("the momentum", &OUTSIDE_UNIT, &[0.0, 0.9], |mu| {
        sgd(Momentum::HeavyBall(mu))
    });
    check_range("the momentum", &OUTSIDE_UNIT, &[0.0, 0.9], |mu| {
        sgd(Momentum::Nesterov(mu))
    });
    check_range(
        "the dampened momentum",
        &[0.0, 1.0, f64::NAN],
        &[0.5],
        |mu| sgd(dampened(mu, 0.5)),
    );
    check_range(
        "the dampening",
        &[-0.1, 1.1, f64::NAN],
        &[0.0, 1.0],
        |tau| sgd(dampened(0.5, tau)),
    );
    check_range("the weight decay", &BELOW_ZERO, &[0.0, 1e-4], |wd| {
        CoupledL2::new(wd).err()
    });
    check_range("the weight decay", &BELOW_ZERO, &[0.0, 0.25], |wd| {
        DecoupledDecay::new(wd).err()
    });

    let published = MomentSettings::PUBLISHED;
    let adam = |settings| Adam::new(settings, none(), &theta).err();
    check_range("beta1", &OUTSIDE_UNIT, &[0.0], |beta1| {
        adam(MomentSettings { beta1, ..published })
    });
    check_range("beta2", &OUTSIDE_UNIT, &[0.0], |beta2| {
        adam(MomentSettings { beta2, ..published })
    });
    check_range("epsilon", &BELOW_ZERO, &[0.0], |epsilon| {
        adam(MomentSettings {
            epsilon,
            ..published
        })
    });
    let padam = |partial| Padam::new(published, partial, none(), &theta).err();
    check_range(
        "the partial exponent",
        &[0.0, 0.51, f64::NAN],
        &[0.125, 0.3, 0.5],
        padam,
    );

    check_range("the learning rate", &BELOW_ZERO, &[0.0, 0.1], |rate| {
        let mut sgd = Sgd::new(Momentum::HeavyBall(0.9), none(), &theta).unwrap();
        sgd.step(&theta, &gaussian(3, 2), rate).err()
    });
    check_range(
        "the decay of the average",
        &OUTSIDE_UNIT,
        &[0.0, 0.999],
        |decay| ExponentialAverage::new(decay, &theta).err(),
    );
    check_range("the largest norm", &[0.0, -1.0, f64::NAN], &[1.0], |norm| {
        clip_by_norm(&gaussian(3, 2), norm).err()
    });
    check_range("the radius", &BELOW_ZERO, &[0.0, 0.05], |radius| {
        SharpnessAware::new(radius).err()
    });
}

#[test]
fn schedules_outside_their_ranges_are_errors() {
    let not_positive = [0.0, -1.0, f64::NAN, f64::INFINITY];
    let ratio = "the ratio of the rates";
    check_range(ratio, &BELOW_ZERO, &[0.0, 2.0], |r| {
        Schedule::paper(r).err()
    });
    check_range(ratio, &BELOW_ZERO, &[0.0], |r| {
        Schedule::averaging(161.0, r).err()
    });
    check_range(ratio, &BELOW_ZERO, &[0.0], |r| Schedule::cosine(r).err());
    check_range("the start of averaging", &not_positive, &[161.0], |start| {
        Schedule::averaging(start, 0.5).err()
    });
    check_range(
        "the length of a step of the rate",
        &not_positive,
        &[30.0],
        |every| Schedule::steps(every, 0.1).err(),
    );
    check_range("the factor of the rate", &BELOW_ZERO, &[0.0], |factor| {
        Schedule::steps(30.0, factor).err()
    });
    check_range(
        "the length of the warm-up",
        &not_positive,
        &[5.0],
        |length| Schedule::constant().after_warm_up(length, 0.0).err(),
    );
    check_range(
        "the first factor of the warm-up",
        &[-0.1, 1.1],
        &[0.0, 1.0],
        |from| Schedule::constant().after_warm_up(5.0, from).err(),
    );
}

#[test]
fn ranges_without_decay_lie_in_order_inside_the_vector() {
    let decay = |ranges: &[std::ops::Range<usize>]| {
        CoupledL2::new(0.1).and_then(|decay| decay.excluding(ranges.iter().cloned()))
    };
    // The ranges, and the one that is refused.
    let out_of_order = [
        (vec![2..4, 0..1], 0..1),
        (vec![0..3, 2..4], 2..4),
        (
            vec![std::ops::Range { start: 3, end: 2 }],
            std::ops::Range { start: 3, end: 2 },
        ),
    ];
    for (ranges, refused) in out_of_order {
        let error = decay(&ranges).unwrap_err();
        assert!(
            matches!(&error, Error::Excluded { range, .. } if *range == refused),
            "{error}"
        );
    }
    let beyond = decay(&[1..2, 3..5]).unwrap();
    let error = Sgd::new(Momentum::HeavyBall(0.9), beyond, &gaussian(4, 1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the range 3..5 without decay: expected ascending disjoint ranges up to 4"
    );
}

#[test]
fn the_sentence_names_the_number_and_the_range() {
    let error = Sgd::new(
        Momentum::HeavyBall(1.5),
        CoupledL2::new(0.0).unwrap(),
        &gaussian(3, 1),
    );
    let message = error.unwrap_err().to_string();
    assert_eq!(message, "the momentum is 1.5, expected a number in [0, 1)");
}
