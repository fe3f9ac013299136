//! Relative flatness of the output layer (Petzka et al. 2021), from random signs.
//!
//! ```text
//! κ = Σ over pairs of neurons s, s' of ⟨w_s, w_s'⟩ Tr H_ss'
//! ```
//!
//! Memory: 2 vectors for each probe multiplied at a time. Cost: 24 products. Error: standard error over probes.

use flatness_layers::Network;
use flatness_measures::{RelativeFlatnessSettings, neuron_weights, relative_flatness};
use flatness_records::Request;

use super::{Kind, Measure};
use crate::Error;
use crate::context::Context;
use crate::cost::Span;
use crate::quantity::{cost, drawn, ended};
use crate::room::{Refusal, Room};

/// Random signs for the trace.
const PROBES: usize = 24;

#[derive(Debug)]
pub(super) struct RelativeFlatness;

impl Measure for RelativeFlatness {
    fn kind(&self) -> Kind {
        Kind::NETWORK
    }

    fn check(&self, network: &Network, _: usize) -> Result<(), Error> {
        match neuron_weights(network.layout()).next_back() {
            Some(_) => Ok(()),
            None => Err(Error::Meaningless {
                what: "relative-flatness",
                reason: "the network has no layer with a row of weights for each neuron".to_owned(),
            }),
        }
    }

    fn memory(&self, room: &Room<'_>) -> Result<usize, Refusal> {
        room.rows("--what relative-flatness", 0, 2 * room.whole + room.product)
    }

    fn cost(&self, _: &Request, _: usize) -> Span {
        Span::of([PROBES, 0, 0])
    }

    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let layout = context.mean_loss.network().layout();
        let Some(weight) = neuron_weights(layout).next_back() else {
            return Ok(());
        };
        let settings = RelativeFlatnessSettings {
            probes: PROBES,
            seed: context.streams.seed("relative-flatness"),
            block: context.fit.rows,
        };
        context.meter.stage("relative flatness", "products", PROBES);
        let (operator, theta) = (context.operator, context.theta);
        // The operator shows its products itself.
        let watch = flatness_measures::Watch {
            interrupt: context.meter.interrupt(),
            advance: &|_| (),
        };
        let found = relative_flatness(operator, layout, theta, &weight.name, &settings, watch)?;
        let mut number = drawn(&found.estimate, cost(found.cost));
        number.stop = ended(found.stop);
        let name = format!("relative_flatness({})", found.weight);
        context.results.insert(name, number);
        Ok(())
    }
}
