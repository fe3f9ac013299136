//! Rank correlation, Student quantiles and estimates against computations that share no code with them.

use std::f64::consts::FRAC_PI_2;

use flatness_report::{Estimate, kendall_tau, student_quantile};

/// τ_b from counts of concordant, discordant and tied pairs, as textbooks define it.
fn tau_by_counting(x: &[f64], y: &[f64]) -> f64 {
    let (mut concordant, mut discordant, mut x_only, mut y_only) = (0, 0, 0, 0);
    for i in 0..x.len() {
        for j in i + 1..x.len() {
            let (x_tied, y_tied) = (x[i] == x[j], y[i] == y[j]);
            match (x_tied, y_tied) {
                (true, true) => {}
                (true, false) => x_only += 1,
                (false, true) => y_only += 1,
                (false, false) if (x[i] < x[j]) == (y[i] < y[j]) => concordant += 1,
                (false, false) => discordant += 1,
            }
        }
    }
    let untied = f64::from(concordant + discordant);
    let x_untied = untied + f64::from(y_only);
    let y_untied = untied + f64::from(x_only);
    f64::from(concordant - discordant) / (x_untied * y_untied).sqrt()
}

#[test]
fn kendall_tau_agrees_with_counting_pairs() {
    // A linear congruential sequence with few distinct values, so that every kind of tie occurs.
    let mut state = 1u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((state >> 33) % 6) as f64
    };
    for n in 3..40 {
        let x: Vec<f64> = (0..n).map(|_| draw()).collect();
        let y: Vec<f64> = (0..n).map(|_| draw()).collect();
        let expected = tau_by_counting(&x, &y);
        match kendall_tau(&x, &y) {
            // Sums of integers and one division: equal to the last bits.
            Some(tau) => assert!((tau - expected).abs() < 1e-14, "n = {n}: {tau}, {expected}"),
            None => assert!(expected.is_nan(), "n = {n}: none, {expected}"),
        }
    }
}

#[test]
fn kendall_tau_of_known_samples() {
    let ascending = [1.0, 2.0, 3.0, 4.0];
    let descending = [4.0, 3.0, 2.0, 1.0];
    assert_eq!(kendall_tau(&ascending, &ascending), Some(1.0));
    assert_eq!(kendall_tau(&ascending, &descending), Some(-1.0));
    // The example in the documentation of scipy.stats.kendalltau.
    let tau = kendall_tau(&[12.0, 2.0, 1.0, 12.0, 2.0], &[1.0, 4.0, 7.0, 1.0, 0.0]).unwrap();
    assert!((tau + 0.471_404_520_791_031_73).abs() < 1e-15, "{tau}");
}

#[test]
fn kendall_tau_does_not_exist_for_constants_unequal_lengths_and_nan() {
    for (x, y) in [
        (vec![1.0, 1.0], vec![1.0, 2.0]),
        (vec![1.0, 2.0], vec![3.0, 3.0]),
        (vec![], vec![]),
        (vec![1.0], vec![1.0]),
        (vec![1.0, 2.0], vec![1.0]),
        (vec![1.0, f64::NAN], vec![1.0, 2.0]),
    ] {
        assert_eq!(kendall_tau(&x, &y), None, "{x:?}, {y:?}");
    }
}

/// ∫₀ᵃ cosᵏ u du by Simpson's rule with 2000 intervals.
fn cosine_power_integral(power: i32, end: f64) -> f64 {
    let intervals = 2000;
    let step = end / f64::from(intervals);
    let sum: f64 = (0..=intervals)
        .map(|index| {
            let weight = match index {
                0 => 1.0,
                index if index == intervals => 1.0,
                index if index % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight * (step * f64::from(index)).cos().powi(power)
        })
        .sum();
    sum * step / 3.0
}

/// P(T ≤ t): with t = √ν tan u the density of Student's distribution becomes ∝ cos^(ν−1) u.
fn student_probability(degrees_of_freedom: i32, t: f64) -> f64 {
    let angle = (t / f64::from(degrees_of_freedom).sqrt()).atan();
    let power = degrees_of_freedom - 1;
    0.5 + cosine_power_integral(power, angle) / (2.0 * cosine_power_integral(power, FRAC_PI_2))
}

#[test]
fn student_quantiles_agree_with_numerical_integration() {
    for degrees_of_freedom in 1..=30 {
        let quantile = student_quantile(degrees_of_freedom).unwrap();
        // The table has three decimals: the probability at ± half a unit encloses 0.95.
        let below = student_probability(degrees_of_freedom as i32, quantile - 5e-4);
        let above = student_probability(degrees_of_freedom as i32, quantile + 5e-4);
        assert!(
            below <= 0.95 && 0.95 <= above,
            "{degrees_of_freedom}: {quantile} has probabilities {below} to {above}"
        );
    }
}

#[test]
fn student_quantiles_beyond_the_table_err_on_the_wide_side() {
    assert_eq!(student_quantile(0), None);
    for degrees_of_freedom in [31, 100, 1000] {
        let quantile = student_quantile(degrees_of_freedom).unwrap();
        let probability = student_probability(degrees_of_freedom as i32, quantile);
        // 0.9552 is what the quantile at 30 degrees has under the normal distribution.
        assert!(
            (0.95..0.9552).contains(&probability),
            "{degrees_of_freedom}: {probability}"
        );
    }
}

#[test]
fn estimates_by_hand() {
    assert_eq!(Estimate::of(&[]), None);
    let single = Estimate::of(&[3.0]).unwrap();
    assert_eq!(
        (single.mean, single.standard_error, single.half_width()),
        (3.0, None, None)
    );

    // Mean 2, deviations −1, 0, 1: s² = 1, s.e. = 1/√3, h = 2.920/√3.
    let three = Estimate::of(&[1.0, 2.0, 3.0]).unwrap();
    assert_eq!((three.mean, three.n), (2.0, 3));
    assert!((three.standard_error.unwrap() - 1.0 / 3f64.sqrt()).abs() < 1e-15);
    assert!((three.half_width().unwrap() - 2.920 / 3f64.sqrt()).abs() < 1e-14);

    let equal = Estimate::of(&[0.5, 0.5]).unwrap();
    assert_eq!(
        (equal.standard_error, equal.half_width()),
        (Some(0.0), Some(0.0))
    );
}
