//! Fisher-Rao norm, squared: what the output distribution changes along θ itself (Liang et al. 2019).
//!
//! ```text
//! ‖θ‖²_FR = θᵀ G θ,   G the Gauss-Newton matrix
//! ```
//!
//! Memory: a product. Cost: one. Error: rounding.

use flatness_measures::quadratic_form;
use flatness_records::{Matrix, Request};

use super::{Kind, Measure};
use crate::Error;
use crate::context::Context;
use crate::cost::Span;
use crate::operators::Block;
use crate::quantity::{computed, cost};
use crate::room::BLOCK;

#[derive(Debug)]
pub(super) struct FisherRao;

impl Measure for FisherRao {
    fn kind(&self) -> Kind {
        Kind::NETWORK
    }

    fn cost(&self, _: &Request, _: usize) -> Span {
        Span::of([1, 0, 0])
    }

    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let place = context.place.of(Matrix::GaussNewton);
        let operator = Block::new(context.curvature, &place, 0.0, BLOCK, context.meter)?;
        let form = quadratic_form(&operator, context.theta)?;
        let number = computed(form.value, form.rounding, cost(form.cost));
        context.results.insert("fisher_rao", number);
        Ok(())
    }
}
