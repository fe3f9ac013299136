//! Trace and Frobenius norm from products of random signs z, outside of the eigenvectors X that a search knows.
//!
//! ```text
//! Tr A = Σ xᵢᵀ A xᵢ + E zᵀ P A P z,   ‖A‖_F² = Σ ‖A xᵢ‖² + E ‖A P z‖²,   P = I − X Xᵀ
//! ```
//!
//! Memory: 16 vectors, and twice the basis of the search. Cost: the search, then a product a probe, 16 at least. Error: standard
//! error over probes, which are added until 95 % confidence is within the relative error, or the budget ends.

use flatness_records::{Request, What};
use flatness_spectrum::{Goal, MomentsSettings, moments_until};

use super::eigenvalues::DEFLATED;
use super::{Kind, Measure};
use crate::Error;
use crate::context::Context;
use crate::cost::Span;
use crate::quantity::{stochastic, stop};
use crate::room::{BLOCK, Refusal, Room};

/// Probes before their interval is looked at: with fewer, an interval that is narrow by chance would end it too early.
const FEWEST_PROBES: usize = 16;

/// Probes without which there is no error.
const LEAST_PROBES: usize = 2;

#[derive(Debug)]
pub(super) struct Moments {
    trace: bool,
    frobenius: bool,
}

impl Moments {
    pub(super) fn answers(what: &What) -> bool {
        matches!(what, What::Trace | What::Frobenius)
    }

    pub(super) fn asked(what: &[What]) -> Box<dyn Measure> {
        Box::new(Self {
            trace: what.contains(&What::Trace),
            frobenius: what.contains(&What::Frobenius),
        })
    }
}

impl Measure for Moments {
    fn kind(&self) -> Kind {
        Kind::PROBED
    }

    fn least(&self, _: &Request, _: usize) -> Option<usize> {
        Some(LEAST_PROBES)
    }

    fn memory(&self, room: &Room<'_>) -> Result<usize, Refusal> {
        // What is left of the probes, and its products.
        let known = DEFLATED as u64 * room.basis as u64 * room.vector();
        let vectors = 2 * BLOCK as u64 * room.vector() + known;
        room.rows("the trace", vectors, room.product)
    }

    fn cost(&self, request: &Request, _: usize) -> Span {
        Span::of_budget(FEWEST_PROBES, request)
    }

    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let Context { request, meter, .. } = *context;
        let Some(pairs) = &context.pairs else {
            return Ok(());
        };
        let products = context.purse.share();
        let settings = MomentsSettings {
            probes: FEWEST_PROBES.min(products).max(LEAST_PROBES),
            block: BLOCK,
            seed: context.streams.seed("trace"),
        };
        let budget = meter.budget(products);
        let (goal, known) = (
            Goal::relative(request.relative_error),
            pairs.deflation(f64::MAX)?,
        );
        meter.stage(&context.label("trace"), "products", settings.probes);
        let measured = moments_until(
            context.operator,
            &settings,
            Some(&known),
            &goal,
            &budget,
            &mut |progress| meter.estimate("trace", progress, goal.relative_error, products),
        )?;
        let moments = measured.result;
        context.purse.spend(moments.trace.products);
        let results = &mut context.results;
        let numbers = [
            (self.trace, "trace", Ok(moments.trace)),
            (
                self.frobenius,
                "frobenius",
                moments.frobenius_squared.sqrt(),
            ),
        ];
        for (asked, name, estimate) in numbers {
            if asked {
                let number = estimate.map(|estimate| {
                    let mut number = stochastic(&estimate, known.products);
                    number.stop = Some(stop(measured.stop));
                    number
                });
                results.keep(name, number.map_err(Error::from))?;
            }
        }
        Ok(())
    }
}
