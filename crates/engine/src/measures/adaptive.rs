//! Adaptive sharpness to second order: the largest eigenvalue relative to the size of each weight (Kwon et al. 2021).
//!
//! ```text
//! λ_max(T (H + s I) T),   T = diag |θ|,   s an L2 coefficient that is asked for
//! ```
//!
//! Any rescaling of ReLU units leaves it as it is. Kwon, Kim, Park, Choi, "ASAM: Adaptive Sharpness-Aware Minimization for
//! Scale-Invariant Learning of Deep Neural Networks", ICML 2021, definition 2 with p = 2, to second order, where the gradient
//! vanishes, and without their η, 0.01 added to |θ|, which breaks the invariance a little. Memory: a basis of 43 vectors and 5 more. Cost: 15 to 40 products. Error: residual.

use candle_core::Tensor;
use flatness_curvature::Curvature;
use flatness_operator::Congruence;
use flatness_records::{Quantity, Request};
use flatness_spectrum::{EigenpairsSettings, basis_bytes, eigenpairs};

use super::eigenvalues::quantity;
use super::{Kind, Measure};
use crate::Error;
use crate::context::Context;
use crate::cost::Span;
use crate::operators::Block;
use crate::room::{BLOCK, Refusal, Room};

/// Vectors held in the search.
const BASIS: usize = 43;

#[derive(Debug)]
pub(super) struct Adaptive;

impl Measure for Adaptive {
    fn kind(&self) -> Kind {
        Kind {
            l2: true,
            ..Kind::NETWORK
        }
    }

    fn memory(&self, room: &Room<'_>) -> Result<usize, Refusal> {
        let basis = basis_bytes(BASIS.min(room.dim), 1, room.dim, room.dtype);
        room.rows("--what adaptive", basis, room.product)
    }

    fn cost(&self, request: &Request, rows: usize) -> Span {
        Span::of_budget(rows.min(2), request)
    }

    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let l2 = context.request.l2;
        let number = adaptive_lambda_max(context, context.theta, context.curvature, l2)?;
        context.results.insert("adaptive_lambda_max", number);
        Ok(())
    }
}

/// λ_max(|θ| (H + shift I) |θ|) at `theta` (P), with the `curvature` there.
pub(super) fn adaptive_lambda_max(
    context: &Context<'_>,
    theta: &Tensor,
    curvature: &Curvature<'_>,
    shift: f64,
) -> Result<Quantity, Error> {
    let Context {
        request,
        meter,
        place,
        ..
    } = *context;
    let operator = Block::new(curvature, place, shift, BLOCK, meter)?;
    let scaled = Congruence::new(operator, &theta.abs()?)?;
    let settings = EigenpairsSettings {
        top: 1,
        bottom: 0,
        block: 1,
        basis: BASIS,
        tolerance: request.tolerance,
        least_products: 0,
        seed: context.streams.seed("adaptive"),
    };
    let budget = meter.budget(request.budget);
    meter.stage("scaled by the weights", "products", 2);
    let pairs = eigenpairs(&scaled, &settings, &budget, &mut |progress| {
        meter.search("lambda_max", progress);
    })?;
    Ok(quantity(&pairs.top[0], &pairs))
}
