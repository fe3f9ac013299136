//! Norms of the parameters: of each layer, and of those that batch-norm makes scale-invariant. ‖θ‖ and ‖θ − θ₀‖ come always.
//!
//! ```text
//! ‖θ‖² = Σ ‖θ_l‖²,   z(a W) = z(W) for a W before batch-norm
//! ```
//!
//! Memory: a vector. Cost: none. Error: rounding.

use flatness_measures::{scale_invariant_norm, scale_invariant_weights, weight_norms};
use flatness_records::{Cost, Request};

use super::{Kind, Measure};
use crate::Error;
use crate::context::Context;
use crate::cost::Span;

#[derive(Debug)]
pub(super) struct Norms;

impl Measure for Norms {
    fn kind(&self) -> Kind {
        Kind::APART
    }

    fn cost(&self, _: &Request, _: usize) -> Span {
        Span::of([0, 0, 0])
    }

    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let Context { subject, theta, .. } = *context;
        // As it is trained: a frozen network has no scale-invariant weights.
        let network = subject.network;
        let layers = weight_norms(network.layout(), theta)?.layers.into_iter();
        let named = layers.map(|layer| (format!("norm({})", layer.name), layer.norm));
        let mut norms: Vec<(String, f64)> = named.collect();
        if !scale_invariant_weights(network).is_empty() {
            let norm = scale_invariant_norm(network, theta)?;
            norms.push(("scale_invariant_norm".to_owned(), norm));
        }
        let norms = norms.iter().map(|(name, norm)| (name.as_str(), *norm));
        let cost = Cost::default();
        context.results.computed(norms, theta.dtype(), cost);
        Ok(())
    }
}
