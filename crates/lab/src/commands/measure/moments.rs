//! Trace and Frobenius norm from products of random vectors.

use anyhow::Result;
use flatness_operator::LinearOperator;
use flatness_records::Quantity;
use flatness_spectrum::{Budget, Deflation, Estimate, Goal, MomentsSettings, moments_until};

use super::Subject;
use super::report::Line;
use super::spectral::{BLOCK, Spectral, describe};
use crate::arguments::What;
use crate::measurement::stochastic;
use crate::progress::Stage;

/// Probes of trace and Frobenius norm before their interval is looked at: with fewer, an interval that is
/// narrow by chance would end it too early.
const FEWEST_PROBES: usize = 16;

/// Whether products of random vectors answer it.
pub(super) fn of_products(what: &What) -> bool {
    matches!(what, What::Trace | What::Frobenius)
}

/// Adds the moments that were asked for; the products of their probes.
pub(super) fn measure(
    subject: &Subject<'_>,
    operator: &dyn LinearOperator,
    known: &Deflation,
    budget: &Budget<'_>,
    stage: &Stage,
    found: &mut Spectral,
) -> Result<usize> {
    let settings = MomentsSettings {
        probes: FEWEST_PROBES
            .min(budget.products.unwrap_or(usize::MAX))
            .max(2),
        block: BLOCK,
        seed: subject.streams.seed("trace"),
    };
    let goal = Goal::relative(subject.options.relative_error);
    let measured = moments_until(
        operator,
        &settings,
        Some(known),
        &goal,
        budget,
        &mut |progress| {
            stage.message(&format!(
                "trace {:.4e} +- {:.1e}",
                progress.value, progress.error
            ));
        },
    )?;
    let moments = measured.result;
    let frobenius = moments.frobenius_squared.sqrt()?;
    let lines = [
        (What::Trace, "trace", moments.trace),
        (What::Frobenius, "frobenius", frobenius),
    ];
    for (what, name, estimate) in lines {
        if subject.asks(|asked| *asked == what) {
            let mut line = Line::new(name, outside(estimate, known));
            line.stop = Some(describe(measured.stop));
            found.lines.push(line);
        }
    }
    Ok(moments.trace.products)
}

/// An estimate by probes, which cost their own products and those of what they leave out.
pub(super) fn outside(mut estimate: Estimate, known: &Deflation) -> Quantity {
    estimate.products += known.products;
    stochastic(estimate)
}
