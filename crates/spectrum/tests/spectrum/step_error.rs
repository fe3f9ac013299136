//! The error of too few steps against what the same probes make of the chosen eigenvalues, and shorter
//! rules against runs of fewer steps.

use candle_core::DType;
use flatness_operator::LinearOperator;
use flatness_spectrum::{Error, Estimate, Probe, Quadrature};

use crate::matrices::{case, cases, diagonal, largest, third_negative as sign};
use crate::methods::{self, Function, RULES, SEARCH, near, quadrature, search, with};

const PROBES: usize = 16;

const SEED: u64 = 31;

/// Seeds of each spectrum: the functions of one quadrature err together.
const SEEDS: u64 = 6;

/// Of Gaussian probes.
fn rules(operator: &dyn LinearOperator, steps: usize) -> Quadrature {
    methods::rules(operator, PROBES, steps, SEED)
}

/// Of random signs.
fn signed(operator: &dyn LinearOperator, steps: usize) -> Quadrature {
    let settings = with(RULES, |it| (it.probes, it.steps) = (PROBES, steps));
    let settings = with(settings, |it| {
        (it.probe, it.seed) = (Probe::Rademacher, SEED)
    });
    quadrature(operator, None, &settings).unwrap()
}

/// Quantiles of a Laplace distribution.
fn laplace(dim: usize, scale: f64) -> impl Iterator<Item = f64> {
    (0..dim).map(move |i| {
        let quantile = (i as f64 + 0.5) / dim as f64 - 0.5;
        -scale * quantile.signum() * (1.0 - 2.0 * quantile.abs()).ln()
    })
}

fn power(dim: usize, exponent: f64) -> impl Iterator<Item = f64> {
    (1..=dim).map(move |i| sign(i) * (i as f64).powf(exponent))
}

/// Chebyshev points: a bulk from −1 to 1 with sharp edges.
fn arcsine(dim: usize) -> impl Iterator<Item = f64> {
    (0..dim).map(move |i| (std::f64::consts::PI * (i as f64 + 0.5) / dim as f64).cos())
}

/// Bulks around zero with and without outliers and heaps at zero, as curvature has them, of 600.
fn spectra() -> [Vec<f64>; 11] {
    let zeros = || std::iter::repeat_n(0.0, 300);
    let outliers = |size: f64| (1..=10).map(move |i| size * sign(i) / i as f64);
    [
        arcsine(600).collect(),
        arcsine(590).chain(outliers(50.0)).collect(),
        laplace(600, 1.0).collect(),
        laplace(590, 1.0).chain(outliers(200.0)).collect(),
        laplace(300, 1.0).chain(zeros()).collect(),
        power(600, -1.0).collect(),
        power(300, -1.0).chain(zeros()).collect(),
        power(600, -2.0).collect(),
        power(300, -2.0).chain(zeros()).collect(),
        power(600, -0.5).collect(),
        power(60, -1.5).chain(laplace(540, 2e-5)).collect(),
    ]
}

/// Σ f(λ), and the mean over the probes of dim Σ vᵢ² f(λᵢ), v of unit length.
fn sums(eigenvalues: &[f64], probes: &[Vec<f64>], function: impl Fn(f64) -> f64) -> (f64, f64) {
    let dim = eigenvalues.len() as f64;
    let form = |probe: &Vec<f64>| -> f64 {
        let squares = || probe.iter().map(|entry| entry * entry);
        let weighted = eigenvalues.iter().zip(squares());
        let weighted = weighted.map(|(value, square)| square * function(*value));
        weighted.sum::<f64>() / squares().sum::<f64>()
    };
    let forms: f64 = probes.iter().map(form).sum();
    let truth = eigenvalues.iter().map(|value| function(*value)).sum();
    (truth, dim * forms / probes.len() as f64)
}

/// How often errors hold what they are to hold.
#[derive(Default)]
struct Tally {
    cases: u32,
    /// Truths within the 95 % interval over probes and the error of the rule.
    inside: u32,
    /// Truths within the interval.
    by_probes: u32,
    /// Error of the rule as estimated over that found.
    widths: Vec<f64>,
}

impl Tally {
    /// `truth` is that of all eigenvalues, `form` that of the probes.
    fn add(
        &mut self,
        rules: &Quadrature,
        (truth, form): (f64, f64),
        function: &dyn Fn(&Quadrature) -> Result<Estimate, Error>,
    ) {
        let estimate = function(rules).unwrap();
        let step_error = rules.step_error(function).unwrap();
        let away = (estimate.value - truth).abs();
        // Rounding where every probe is right.
        let by_probes = estimate.half_width(0.95).unwrap() + 1e-9 * truth.abs();
        self.cases += 1;
        self.by_probes += u32::from(away <= by_probes);
        self.inside += u32::from(away <= by_probes + step_error);
        let error = (estimate.value - form).abs();
        // A ratio to what is all rounding means nothing.
        if error > 1e-6 * truth.abs() {
            self.widths.push(step_error / error);
        }
    }
}

/// Interval and error of the rule together hold the truth, the interval alone does not; and the error of
/// the rule is not much wider than what it estimates.
#[test]
fn interval_and_step_error_hold_the_truth() {
    let mut tally = Tally::default();
    for (seed, eigenvalues) in (0..SEEDS).flat_map(|seed| spectra().map(|one| (seed, one))) {
        let operator = diagonal(&eigenvalues, DType::F64);
        let probes = Probe::Gaussian.rows(&operator, 0..PROBES, seed).unwrap();
        let probes: Vec<Vec<f64>> = probes.to_vec2().unwrap();
        let of = |function: &dyn Fn(f64) -> f64| sums(&eigenvalues, &probes, function);
        let sizes = of(&f64::abs);
        let logarithms = of(&|value| {
            let size = value.abs();
            if size == 0.0 { 0.0 } else { size * size.ln() }
        });
        // exp(−Σ p ln p) from Σ |λ| and Σ |λ| ln |λ|.
        let rank = |size: f64, logarithm: f64| (size.ln() - logarithm / size).exp();
        let ranks = (rank(sizes.0, logarithms.0), rank(sizes.1, logarithms.1));
        let norm = largest(&eigenvalues);
        // No eigenvalue is at an end, where rounding would count it or not.
        let (low, high, shift) = (0.107 * norm, 0.53 * norm, 1.2 * norm);
        let logarithm = of(&|value| (value + shift).ln());
        let rank = of(&|value| f64::from(u8::from(value.abs() > low)));
        let count = of(&|value| f64::from(u8::from((low..=high).contains(&value))));
        for steps in [10, 20, 31] {
            let rules = methods::rules(&operator, PROBES, steps, seed);
            tally.add(&rules, sizes, &Quadrature::nuclear_norm);
            tally.add(&rules, ranks, &Quadrature::effective_rank);
            tally.add(&rules, logarithm, &|rules| rules.log_determinant(shift));
            tally.add(&rules, rank, &|rules| rules.numerical_rank(low));
            tally.add(&rules, count, &|rules| rules.count(low..=high));
        }
    }
    let share = |count: u32| f64::from(count) / f64::from(tally.cases);
    let (inside, by_probes) = (share(tally.inside), share(tally.by_probes));
    assert!(inside >= 0.95, "{inside}");
    assert!(
        by_probes <= 0.8,
        "{by_probes} without the error of the rule"
    );
    tally.widths.sort_by(f64::total_cmp);
    let median = tally.widths[tally.widths.len() / 2];
    assert!((1.0..=8.0).contains(&median), "{median}");
}

#[test]
fn a_truncation_is_a_run_of_fewer_steps() {
    for run in [rules, signed] {
        for dtype in [DType::F64, DType::F32] {
            let operator = case("outliers over a bulk").operator(dtype);
            let whole = run(&operator, 24);
            for steps in [1, 2, 7, 12, 23, 24, 90] {
                let mut fewer = run(&operator, steps.min(24));
                let truncated = whole.truncated(steps).unwrap();
                // Entries outside of the tridiagonal matrix are not kept.
                fewer.asymmetry = whole.asymmetry;
                assert_eq!(truncated, fewer, "{steps} steps");
            }
            assert!(matches!(whole.truncated(0), Err(Error::Zero { .. })));
        }
    }
}

#[test]
fn rules_are_exact_for_the_moments() {
    let moments: [Function; 3] = [
        |rules| rules.integrate(|_| 1.0),
        |rules| rules.integrate(|value| value),
        Quadrature::frobenius_squared,
    ];
    for case in cases() {
        let operator = case.operator(DType::F64);
        for steps in [3, 4, 9, 20] {
            let rules = rules(&operator, steps);
            for (degree, moment) in moments.into_iter().enumerate() {
                let error = rules.step_error(moment).unwrap();
                // Rounding of sums of `dim` terms of that size.
                let size = case.dim() as f64 * case.norm().powi(degree as i32);
                near(case.name, error, 0.0, 1e-13 * size);
            }
        }
    }
    // Beyond the degree of a rule there is an error, else the moments would show nothing.
    let rules = rules(&case("indefinite").operator(DType::F64), 4);
    let eighth = |rules: &Quadrature| rules.integrate(|value| (value / 5.0).powi(8));
    assert!(rules.step_error(eighth).unwrap() > 0.1);
}

#[test]
fn an_error_that_nothing_is_known_of_is_infinite() {
    let operator = case("indefinite").operator(DType::F64);
    let rules = rules(&operator, 1);
    let error = rules.step_error(Quadrature::nuclear_norm).unwrap();
    assert_eq!(error, f64::INFINITY);
    // The one node of a probe of signs is the mean eigenvalue, zero, of which there is no ratio.
    let signs = diagonal(&[2.0, 1.0, -1.0, -2.0], DType::F64);
    let rules = signed(&signs, 2);
    assert!(rules.effective_rank().is_ok());
    let error = rules.step_error(Quadrature::effective_rank).unwrap();
    assert_eq!(error, f64::INFINITY);
    // What the function itself refuses is refused.
    let refused: Function = |rules| rules.log_determinant(-9.0);
    assert!(rules.step_error(refused).is_err());
}

#[test]
fn eigenvalues_taken_out_stay_in_shorter_rules() {
    let case = case("outliers over a bulk");
    let operator = case.operator(DType::F64);
    let settings = with(SEARCH, |it| (it.bottom, it.block, it.basis) = (1, 2, 20));
    let settings = with(settings, |it| it.tolerance = 1e-10);
    let known = search(&operator, &settings).deflation(1e-6).unwrap();
    assert!(known.eigenvalues.len() >= 4);
    let settings = with(RULES, |it| {
        (it.probes, it.steps, it.seed) = (PROBES, 16, SEED)
    });
    let rules = quadrature(&operator, Some(&known), &settings).unwrap();
    let shorter = rules.truncated(8).unwrap();
    assert_eq!(shorter.deflated, rules.deflated);
    // 10 and more, of which shorter rules would see a part each.
    let outliers = |rules: &Quadrature| rules.numerical_rank(5.0);
    assert_eq!(outliers(&shorter).unwrap().value, 4.0);
    assert_eq!(rules.step_error(outliers).unwrap(), 0.0);
    assert!(rules.step_error(Quadrature::nuclear_norm).unwrap() > 0.0);
}
