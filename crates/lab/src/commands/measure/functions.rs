//! Functions of a matrix and its density, from one stochastic Lanczos quadrature.

use flatness_operator::LinearOperator;
use flatness_spectrum::{
    Budget, Deflation, Error, Estimate, Goal, Probe, Quadrature, QuadratureSettings, Stop,
    quadrature_until,
};

use super::Subject;
use super::memory::Plan;
use super::moments::outside;
use super::report::Line;
use super::spectral::{Spectral, describe};
use crate::arguments::What;
use crate::progress::Stage;

/// Probes at a time, and before their interval is looked at: few, since the search before has found what
/// they err most in.
pub(super) const PROBES: usize = 4;

/// Whether a quadrature answers it.
pub(super) fn of_quadrature(what: &What) -> bool {
    matches!(
        what,
        What::Density
            | What::Rank(_)
            | What::EffectiveRank
            | What::NuclearNorm
            | What::LogDeterminant(_)
            | What::Count { .. }
    )
}

/// Adds the functions that were asked for, and keeps the quadrature; its products.
pub(super) fn measure(
    subject: &Subject<'_>,
    operator: &dyn LinearOperator,
    known: &Deflation,
    plan: &Plan,
    budget: &Budget<'_>,
    stage: &Stage,
    found: &mut Spectral,
) -> anyhow::Result<usize> {
    let steps = subject.options.steps.min(operator.dim());
    // The block that the budget holds; two probes are the least.
    let affordable = budget.products.unwrap_or(usize::MAX) / steps;
    let block = PROBES.min(affordable).max(2);
    let settings = QuadratureSettings {
        probes: block,
        steps,
        block,
        bytes: Some(plan.krylov),
        probe: Probe::Gaussian,
        seed: subject.streams.seed("density"),
    };
    let goal = Goal::relative(subject.options.relative_error);
    let functions: Vec<(String, Function)> = subject.what.iter().filter_map(function).collect();
    // A density alone is judged by its second moment.
    let mut judged: Vec<flatness_spectrum::Function<'_>> = Vec::new();
    for (_, function) in &functions {
        judged.push(&**function);
    }
    if judged.is_empty() {
        judged.push(&Quadrature::frobenius_squared);
    }
    let measured = quadrature_until(
        operator,
        &settings,
        Some(known),
        &judged,
        &goal,
        budget,
        &mut |progress| {
            stage.message(&format!(
                "function of the matrix {:.4e} +- {:.1e}",
                progress.value, progress.error
            ));
        },
    )?;
    let quadrature = measured.result;
    for (name, function) in functions {
        let estimate = function(&quadrature)?;
        let step_error = quadrature.step_error(function)?;
        let allowed = goal.relative_error * estimate.value.abs();
        let mut line = Line::new(name, outside(estimate, known));
        line.step_error = Some(step_error);
        line.stop = Some(if step_error > allowed {
            too_few_steps(measured.stop)
        } else {
            describe(measured.stop)
        });
        found.lines.push(line);
    }
    let products = quadrature.products;
    found.quadrature = Some(quadrature);
    Ok(products)
}

/// What ended the probes, where the error of their rules is more than was asked for.
pub(super) fn too_few_steps(stop: Stop) -> &'static str {
    match stop {
        Stop::Products => "the budget ended it; more --steps",
        Stop::Interrupted => "the time limit ended it; more --steps",
        Stop::Memory => "the memory ended it; more --steps",
        Stop::Converged | Stop::Rounding | Stop::Complete | Stop::Undefined => {
            "enough probes; more --steps"
        }
    }
}

type Function = Box<dyn Fn(&Quadrature) -> Result<Estimate, Error>>;

/// Name of what a quadrature gives a number of, and how it does.
fn function(what: &What) -> Option<(String, Function)> {
    Some(match *what {
        What::Rank(share) => (
            format!("rank({share:e})"),
            Box::new(move |rules| rules.numerical_rank(share * largest(rules))),
        ),
        What::EffectiveRank => (
            "effective_rank".to_owned(),
            Box::new(Quadrature::effective_rank),
        ),
        What::NuclearNorm => (
            "nuclear_norm".to_owned(),
            Box::new(Quadrature::nuclear_norm),
        ),
        What::LogDeterminant(shift) => (
            format!("log_determinant({shift:e})"),
            Box::new(move |rules| rules.log_determinant(shift)),
        ),
        What::Count { low, high } => (
            format!("count({low:e}:{high:e})"),
            Box::new(move |rules| rules.count(low..=high)),
        ),
        _ => return None,
    })
}

/// The largest |Ritz value| known or of any probe, but never zero.
fn largest(quadrature: &Quadrature) -> f64 {
    let nodes = quadrature.nodes();
    nodes.fold(f64::MIN_POSITIVE, |largest, node| largest.max(node.abs()))
}
