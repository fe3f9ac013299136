//! Adaptive sharpness to second order: the largest eigenvalue relative to the size of each weight (Kwon et al. 2021).
//!
//! ```text
//! λ_max(T (H + s I) T),   T = diag |θ|,   s an L2 coefficient that is asked for
//! ```
//!
//! Any rescaling of ReLU units leaves it as it is. Memory: a basis of 43 vectors and 5 more. Cost: 15 to 40 products. Error: residual.

use candle_core::Tensor;
use flatness_curvature::Curvature;
use flatness_measures::adaptive;
use flatness_records::{Cost, Quantity, Request, Uncertainty};
use flatness_spectrum::{EigenpairsSettings, basis_bytes, eigenpairs};

use super::{Kind, Measure};
use crate::Error;
use crate::context::Context;
use crate::cost::Span;
use crate::operators::Block;
use crate::quantity::stop;
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
        let number = adaptive_lambda_max(
            context,
            context.theta,
            context.curvature,
            context.request.l2,
        )?;
        context
            .results
            .numbers
            .insert("adaptive_lambda_max".to_owned(), number);
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
    let scaled = adaptive(operator, theta, 0.0)?;
    let settings = EigenpairsSettings {
        top: 1,
        bottom: 0,
        block: 1,
        basis: BASIS,
        tolerance: request.tolerance,
        least_products: 0,
        bytes: None,
        seed: context.streams.seed("adaptive"),
    };
    let budget = meter.budget(request.budget);
    meter.stage("scaled by the weights", "products", 2);
    let pairs = eigenpairs(&scaled, &settings, &budget, &mut |progress| {
        meter.message(&format!(
            "lambda_max {:.4e}, residual {:.1e}",
            progress.value, progress.error
        ));
    })?;
    let products = pairs.products as u64;
    let top = &pairs.top[0];
    let uncertainty = Uncertainty::Iterative {
        residual: top.residual,
        steps: products,
        converged: top.converged,
    };
    Ok(Quantity {
        stop: Some(stop(pairs.stop)),
        ..Quantity::new(top.value, uncertainty, Cost::products(products))
    })
}
