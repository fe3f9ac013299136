//! The methods with the settings that most tests want, and how near a number has to be.

use std::fmt::Display;

use flatness_operator::LinearOperator;
use flatness_spectrum::{
    Budget, Deflation, Diagonal, Eigenpairs, EigenpairsSettings, Error, Estimate, Goal, Moments,
    MomentsSettings, Probe, Quadrature, QuadratureSettings, Stop, XDiagSettings, dense_spectrum,
    eigenpairs, moments_until, quadrature_until, xdiag_until,
};

pub(crate) type Function = fn(&Quadrature) -> Result<Estimate, Error>;

pub(crate) const SEARCH: EigenpairsSettings = EigenpairsSettings {
    top: 3,
    bottom: 2,
    block: 1,
    basis: 16,
    tolerance: 1e-9,
    least_products: 0,
    seed: 5,
};

pub(crate) const SUMS: MomentsSettings = MomentsSettings {
    probes: 10,
    block: 4,
    seed: 0,
};

pub(crate) const RULES: QuadratureSettings = QuadratureSettings {
    probes: 8,
    steps: 12,
    block: 4,
    bytes: None,
    probe: Probe::Gaussian,
    seed: 23,
};

pub(crate) const SKETCH: XDiagSettings = XDiagSettings {
    probes: 8,
    block: 4,
    bytes: None,
    seed: 5,
};

/// More than anything reaches.
pub(crate) const GOAL: Goal = Goal {
    relative_error: 1e-9,
};

/// `settings` with some of them changed.
pub(crate) fn with<T>(mut settings: T, change: impl FnOnce(&mut T)) -> T {
    change(&mut settings);
    settings
}

/// What a method is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Asked {
    Pairs(EigenpairsSettings),
    Sums(MomentsSettings, Goal),
    Rules(QuadratureSettings, Goal),
    Diagonal(XDiagSettings, Goal),
    /// In blocks of so many.
    Spectrum(usize),
}

impl Asked {
    /// The products made and what ended it; of what there is, the errors are numbers.
    pub(crate) fn run(
        self,
        operator: &dyn LinearOperator,
        budget: &Budget<'_>,
    ) -> Result<(usize, Stop), Error> {
        let none = &mut |_: &_| ();
        let (error, products, stop) = match self {
            Self::Pairs(settings) => {
                let found = eigenpairs(operator, &settings, budget, none)?;
                (found.top[0].residual, found.products, found.stop)
            }
            Self::Sums(settings, goal) => {
                let found = moments_until(operator, &settings, None, &goal, budget, none)?;
                let trace = found.result.trace;
                (trace.standard_error, trace.products, found.stop)
            }
            Self::Rules(settings, goal) => {
                let trace: Function = |rules| rules.integrate(|value| value);
                let judged: [flatness_spectrum::Function<'_>; 1] = [&trace];
                let found =
                    quadrature_until(operator, &settings, None, &judged, &goal, budget, none)?;
                let rules = found.result;
                assert!(rules.rules.len() >= 2 && (1..=settings.steps).contains(&rules.steps));
                (trace(&rules)?.standard_error, rules.products, found.stop)
            }
            Self::Diagonal(settings, goal) => {
                let found = xdiag_until(operator, &settings, &goal, budget, none)?;
                assert!(found.result.probes >= 2);
                let error = found.result.norm()?.standard_error;
                (error, found.result.products, found.stop)
            }
            Self::Spectrum(block) => {
                let found = dense_spectrum(operator, block, budget)?;
                (found.asymmetry, found.products, Stop::Complete)
            }
        };
        assert!(error.is_finite());
        Ok((products, stop))
    }
}

pub(crate) fn search(operator: &dyn LinearOperator, settings: &EigenpairsSettings) -> Eigenpairs {
    search_within(usize::MAX / 2, operator, settings)
}

/// With so many products at most.
pub(crate) fn search_within(
    products: usize,
    operator: &dyn LinearOperator,
    settings: &EigenpairsSettings,
) -> Eigenpairs {
    let budget = Budget::of_products(products);
    eigenpairs(operator, settings, &budget, &mut |_| ()).unwrap()
}

/// Of so many probes and no more: without a function nothing is judged.
pub(crate) fn quadrature(
    operator: &dyn LinearOperator,
    deflation: Option<&Deflation>,
    settings: &QuadratureSettings,
) -> Result<Quadrature, Error> {
    let (budget, none) = (Budget::UNLIMITED, &mut |_: &_| ());
    Ok(quadrature_until(operator, settings, deflation, &[], &GOAL, &budget, none)?.result)
}

/// Of so many Gaussian probes in one block.
pub(crate) fn rules(
    operator: &dyn LinearOperator,
    probes: usize,
    steps: usize,
    seed: u64,
) -> Quadrature {
    let settings = with(RULES, |it| (it.probes, it.block) = (probes, probes));
    let settings = with(settings, |it| (it.steps, it.seed) = (steps, seed));
    quadrature(operator, None, &settings).unwrap()
}

/// Of so many probes and no more: the budget is used up.
pub(crate) fn moments(
    operator: &dyn LinearOperator,
    deflation: Option<&Deflation>,
    probes: usize,
    seed: u64,
) -> Moments {
    let settings = MomentsSettings {
        probes,
        block: 8,
        seed,
    };
    let budget = Budget::of_products(probes);
    let found = moments_until(operator, &settings, deflation, &GOAL, &budget, &mut |_| ());
    found.unwrap().result
}

/// Of so many probes and no more: the budget is used up.
pub(crate) fn xdiag(
    operator: &dyn LinearOperator,
    settings: &XDiagSettings,
) -> Result<Diagonal, Error> {
    let budget = Budget::of_products(2 * settings.probes);
    Ok(xdiag_until(
        operator,
        settings,
        &Goal::relative(1e-12),
        &budget,
        &mut |_| (),
    )?
    .result)
}

/// Asserts |got − truth| ≤ `allowed`.
#[track_caller]
pub(crate) fn near(what: impl Display, got: f64, truth: f64, allowed: f64) {
    let away = (got - truth).abs();
    assert!(
        away <= allowed,
        "{what}: {got:e} is {away:e} from {truth:e}, allowed {allowed:e}"
    );
}

#[track_caller]
pub(crate) fn check_within(name: &str, estimate: Estimate, truth: f64, errors: f64) {
    near(
        name,
        estimate.value,
        truth,
        errors * estimate.standard_error,
    );
}
