//! Loss and curvature where the first of two layers is multiplied by α and the second divided (claim C7; Dinh et al. 2017): the
//! function stays the same, its sharpness does not, and its adaptive sharpness does.
//!
//! ```text
//! W₁ ← α W₁,  b₁ ← α b₁,  W₂ ← W₂ / α:   L as it was,   H ← D⁻¹ H D⁻¹
//! ```
//!
//! All of it in double precision. Memory: that of eigenvalues and trace. Cost: for each α that of top, bottom, trace and frobenius and
//! of adaptive, and a loss. Error: as theirs.

use candle_core::Tensor;
use flatness_kernels::norm;
use flatness_layers::Network;
use flatness_measures::Rescaling as Pair;
use flatness_records::{Cost, Request};

use super::adaptive::{Adaptive, adaptive_lambda_max};
use super::confidence::SWEEP;
use super::scaling::{curve, of_hessian};
use super::{Kind, Measure};
use crate::Error;
use crate::context::Context;
use crate::cost::Span;
use crate::room::{Refusal, Room};

/// α
#[derive(Debug)]
pub(super) struct Rescaling(pub(super) Vec<f64>);

/// The first two layers that can be rescaled.
fn first_pair(network: &Network) -> Result<Pair, Error> {
    let pair = Pair::pairs(network).into_iter().next();
    pair.ok_or_else(|| Error::Meaningless {
            what: "rescaling",
            reason: "the network has no two layers with nothing but ReLU, pooling or flattening between them".to_owned(),
        })
}

impl Measure for Rescaling {
    fn kind(&self) -> Kind {
        Kind::LOSS
    }

    fn check(&self, network: &Network, _: usize) -> Result<(), Error> {
        first_pair(network).map(|_| ())
    }

    fn memory(&self, room: &Room<'_>) -> Result<usize, Refusal> {
        Ok(of_hessian().rows(room)?.min(Adaptive.memory(room)?))
    }

    fn cost(&self, request: &Request, rows: usize) -> Span {
        let mut sum = Span::default();
        for _ in &self.0 {
            sum += of_hessian().cost(request, rows);
            sum += Adaptive.cost(request, rows);
            sum += Span::of([0, 1, 0]);
        }
        sum
    }

    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let pair = first_pair(context.mean_loss.network())?;
        let to = |theta: &Tensor, factor| pair.apply(theta, factor);
        curve(context, "rescaling", &self.0, to, |context, found, at| {
            let (theta, curvature) = at;
            let loss = context.mean_loss.evaluate(theta)?.loss;
            context.meter.count(SWEEP);
            let adaptive = adaptive_lambda_max(context, theta, curvature, 0.0);
            found.keep("adaptive_lambda_max", adaptive)?;
            let (dtype, norm) = (theta.dtype(), norm(theta)?);
            found.computed([("loss", loss)], dtype, SWEEP);
            found.computed([("parameter_norm", norm)], dtype, Cost::default());
            Ok(())
        })
    }
}
