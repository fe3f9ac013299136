//! The cotangents of a backward sweep: x̄ = Σ over the users of x, summed in place where that harms
//! nobody.

use candle_core::Tensor;
use flatness_kernels::{add, add_in_place};

use crate::{Cotangent, Error, Network};

/// Cotangents of the values of a backward sweep: of the input, then of each node's output, summed over the users of
/// each.
pub(super) struct Cotangents(Vec<Option<Cotangent>>);

impl Cotangents {
    /// Those of a sweep through `network` that begins with the cotangent of the `output`.
    pub(super) fn new(network: &Network, output: Tensor) -> Self {
        let mut slots: Vec<Option<Cotangent>> = network.nodes().iter().map(|_| None).collect();
        slots.push(Some(Cotangent::Shared(output)));
        Self(slots)
    }

    /// The whole cotangent of the output of node `index`.
    pub(super) fn take(&mut self, index: usize) -> Option<Tensor> {
        self.0[index + 1].take().map(Cotangent::into_tensor)
    }

    /// Adds `cotangent` to that of `value`.
    pub(super) fn add(&mut self, value: usize, cotangent: Cotangent) -> Result<(), Error> {
        let sum = match (self.0[value].take(), cotangent) {
            (None, cotangent) => cotangent,
            (Some(Cotangent::Fresh(sum)), other) => {
                add_in_place(&sum, &other.into_tensor())?;
                Cotangent::Fresh(sum)
            }
            (Some(Cotangent::Shared(held)), Cotangent::Fresh(sum)) => {
                add_in_place(&sum, &held)?;
                Cotangent::Fresh(sum)
            }
            (Some(Cotangent::Shared(held)), Cotangent::Shared(other)) => {
                Cotangent::Fresh(add(&held, &other)?)
            }
        };
        self.0[value] = Some(sum);
        Ok(())
    }
}
