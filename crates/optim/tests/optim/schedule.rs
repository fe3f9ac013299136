//! The schedules against tables, and those of `torch`.

use flatness_optim::Schedule;

use crate::golden::golden;

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
            let factor = Schedule::paper(ratio).unwrap().factor(t, 1.0);
            let error = (factor - expected).abs();
            assert!(error < 1e-15, "t = {t}, r = {ratio}: {factor}");
        }
        assert_eq!(Schedule::constant().factor(t, 1.0), 1.0);
    }
}

#[test]
fn the_papers_schedule_has_no_jumps_and_never_rises() {
    let schedule = Schedule::paper(0.01).unwrap();
    let factors: Vec<f64> = (0..=10_000)
        .map(|i| schedule.factor(f64::from(i), 1e4))
        .collect();
    for pair in factors.windows(2) {
        // The slope is 0.99 / 0.4.
        let fall = pair[0] - pair[1];
        assert!((-1e-15..=2.475e-4 + 1e-12).contains(&fall), "{pair:?}");
    }
}

/// 161 epochs to the averages at half the rate, by hand: 0.5 · 161 = 80.5, 0.9 · 161 = 144.9.
#[test]
fn the_rate_of_averaging_is_reached_before_its_start() {
    let schedule = Schedule::averaging(161.0, 0.5).unwrap();
    for (epoch, factor) in [
        (80, 1.0),
        (81, 1.0 - 0.5 * (0.5 / 161.0) / 0.4),
        (144, 1.0 - 0.5 * (63.5 / 161.0) / 0.4),
        (145, 0.5),
        (161, 0.5),
        (299, 0.5),
    ] {
        let got = schedule.factor(f64::from(epoch), 300.0);
        assert!((got - factor).abs() < 1e-15, "epoch {epoch}: {got}");
    }
}

#[test]
fn schedules_are_those_of_torch() {
    let golden = golden();
    let cosine = Schedule::cosine(0.01).unwrap();
    let schedules = [
        ("steps 7 0.1", Schedule::steps(7.0, 0.1).unwrap()),
        ("cosine 0.01", cosine.clone()),
        (
            "cosine 0.01 after 5 from 0.2",
            cosine.after_warm_up(5.0, 0.2).unwrap(),
        ),
        ("paper 0.01", Schedule::paper(0.01).unwrap()),
        ("averaging 17 0.5", Schedule::averaging(17.0, 0.5).unwrap()),
    ];
    assert_eq!(golden.schedules.len(), schedules.len());
    for (name, schedule) in schedules {
        let factors = &golden.schedules[name];
        assert_eq!(factors.len(), 30);
        for (epoch, expected) in (0u32..).zip(factors) {
            let got = schedule.factor(f64::from(epoch), 30.0);
            // torch multiplies from epoch to epoch; its 30 roundings are not ours.
            let error = (got - expected).abs();
            assert!(error < 1e-14, "{name}, epoch {epoch}: {got} for {expected}");
        }
    }
}

#[test]
fn a_cosine_does_not_rise_again() {
    let schedule = Schedule::cosine(0.1).unwrap();
    assert_eq!(schedule.factor(30.0, 30.0), 0.1);
    assert_eq!(schedule.factor(45.0, 30.0), 0.1);
}
