//! How sure the network is of its labels: where it is, curvature vanishes, whatever the solution is worth.
//!
//! ```text
//! mean over the examples of Tr(diag p − p pᵀ) = 1 − Σ p²;   margin  z_y − max over c ≠ y of z_c
//! ```
//!
//! Memory: none. Cost: one loss, in double precision. Error: rounding.

use flatness_records::{Cost, Request};

use super::{Kind, Measure};
use crate::Error;
use crate::context::Context;
use crate::cost::Span;
use crate::point::Precision;

#[derive(Debug)]
pub(super) struct Confidence;

/// One forward sweep.
pub(super) const SWEEP: Cost = Cost {
    products: 0,
    losses: 1,
    gradients: 0,
};

impl Measure for Confidence {
    fn kind(&self) -> Kind {
        Kind {
            precision: Precision::Double,
            classes: true,
            ..Kind::APART
        }
    }

    fn cost(&self, _: &Request, _: usize) -> Span {
        Span::of([0, 1, 0])
    }

    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let found = context.mean_loss.confidence(context.theta)?;
        context.meter.count(SWEEP);
        let numbers = [
            ("confidence_trace", found.mean_trace),
            ("smallest_margin", found.smallest_margin),
        ];
        context.results.computed(numbers, context.room.dtype, SWEEP);
        Ok(())
    }
}
