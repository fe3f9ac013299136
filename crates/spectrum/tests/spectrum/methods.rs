//! The methods with the settings that most tests want, and how near an estimate has to be.

use flatness_operator::LinearOperator;
use flatness_spectrum::{
    Budget, Deflation, Diagonal, Eigenpairs, EigenpairsSettings, Error, Estimate, Goal, Moments,
    MomentsSettings, Probe, Quadrature, QuadratureSettings, XDiagSettings, eigenpairs,
    moments_until, quadrature_until, xdiag_until,
};

pub(crate) type Function = fn(&Quadrature) -> Result<Estimate, Error>;

pub(crate) const SEARCH: EigenpairsSettings = EigenpairsSettings {
    top: 3,
    bottom: 2,
    block: 1,
    basis: 16,
    tolerance: 1e-9,
    least_products: 0,
    bytes: None,
    seed: 5,
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

pub(crate) fn search(operator: &dyn LinearOperator, settings: &EigenpairsSettings) -> Eigenpairs {
    eigenpairs(operator, settings, &Budget::UNLIMITED, &mut |_| ()).unwrap()
}

/// Of so many probes and no more: without a function nothing is judged.
pub(crate) fn quadrature(
    operator: &dyn LinearOperator,
    deflation: Option<&Deflation>,
    settings: &QuadratureSettings,
) -> Result<Quadrature, Error> {
    let (goal, budget) = (Goal::relative(0.1), Budget::UNLIMITED);
    let found = quadrature_until(
        operator,
        settings,
        deflation,
        &[],
        &goal,
        &budget,
        &mut |_| (),
    );
    Ok(found?.result)
}

/// Of so many Gaussian probes in one block.
pub(crate) fn rules(
    operator: &dyn LinearOperator,
    probes: usize,
    steps: usize,
    seed: u64,
) -> Quadrature {
    let settings = QuadratureSettings {
        probes,
        steps,
        block: probes,
        seed,
        ..RULES
    };
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
    let (goal, budget) = (Goal::relative(1e-9), Budget::of_products(probes));
    moments_until(operator, &settings, deflation, &goal, &budget, &mut |_| ())
        .unwrap()
        .result
}

/// Of so many probes and no more: the budget is used up.
pub(crate) fn xdiag(
    operator: &dyn LinearOperator,
    settings: &XDiagSettings,
) -> Result<Diagonal, Error> {
    let (goal, budget) = (
        Goal::relative(1e-12),
        Budget::of_products(2 * settings.probes),
    );
    Ok(xdiag_until(operator, settings, &goal, &budget, &mut |_| ())?.result)
}

#[track_caller]
pub(crate) fn check_within(name: &str, estimate: Estimate, truth: f64, errors: f64) {
    let away = (estimate.value - truth).abs();
    assert!(
        away <= errors * estimate.standard_error,
        "{name}: {estimate:?}, not {truth}"
    );
}
