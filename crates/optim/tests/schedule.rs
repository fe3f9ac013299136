//! The schedules against tables.

use flatness_optim::Schedule;

#[test]
fn the_papers_schedule_is_constant_then_linear_then_flat() {
    // (t, factor for r = 0.01, factor for r = 0.5)
    let table = [
        (0.0, 1.0, 1.0),
        (0.25, 1.0, 1.0),
        (0.5, 1.0, 1.0),
        (0.6, 0.7525, 0.875),
        (0.7, 0.505, 0.75),
        (0.8, 0.2575, 0.625),
        (0.9, 0.01, 0.5),
        (0.95, 0.01, 0.5),
        (1.0, 0.01, 0.5),
    ];
    for (t, small, half) in table {
        for (ratio, expected) in [(0.01, small), (0.5, half)] {
            let factor = Schedule::Paper { ratio }.factor(t);
            assert!(
                (factor - expected).abs() < 1e-15,
                "t = {t}, r = {ratio}: {factor}"
            );
        }
        assert_eq!(Schedule::Constant.factor(t), 1.0);
    }
}

#[test]
fn the_papers_schedule_has_no_jumps_and_never_rises() {
    let schedule = Schedule::Paper { ratio: 0.01 };
    let factors: Vec<f64> = (0..=10_000)
        .map(|i| schedule.factor(f64::from(i) / 1e4))
        .collect();
    for pair in factors.windows(2) {
        // The slope is 0.99 / 0.4.
        let fall = pair[0] - pair[1];
        assert!((-1e-15..=2.475e-4 + 1e-12).contains(&fall), "{pair:?}");
    }
}

/// 300 epochs at initial rate 0.03, a few of them by hand.
#[test]
fn epochs_of_a_run_have_their_rates() {
    let schedule = Schedule::Paper { ratio: 0.01 };
    for (epoch, rate) in [
        (0, 0.03),
        (150, 0.03),
        (151, 0.03 * (1.0 - 0.99 * (1.0 / 300.0) / 0.4)),
        (210, 0.03 * 0.505),
        (270, 0.0003),
        (299, 0.0003),
    ] {
        let got = 0.03 * schedule.factor(f64::from(epoch) / 300.0);
        assert!((got - rate).abs() < 1e-16, "epoch {epoch}: {got}");
    }
}
