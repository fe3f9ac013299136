//! The cotangents of a backward sweep: x̄ = Σ over the users of x, summed in place where that harms
//! nobody.

use candle_core::Tensor;
use flatness_kernels::{add, add_in_place};

use crate::{Error, Network};

/// Cotangents of the values of a backward sweep, summed over the users of each value.
pub(super) struct Cotangents<'n> {
    network: &'n Network,
    /// Of the input, then of each node's output.
    slots: Vec<Option<Cotangent>>,
}

pub(super) struct Cotangent {
    pub(super) tensor: Tensor,
    /// Whether nothing else holds the tensor's memory, so that it may be added to.
    fresh: bool,
}

impl<'n> Cotangents<'n> {
    /// Those of a sweep that begins with the cotangent of the `output`.
    pub(super) fn new(network: &'n Network, output: Tensor) -> Self {
        let mut slots: Vec<Option<Cotangent>> = network.nodes().iter().map(|_| None).collect();
        slots.push(Some(Cotangent {
            tensor: output,
            fresh: false,
        }));
        Self { network, slots }
    }

    /// The whole cotangent of the output of node `index`.
    pub(super) fn take(&mut self, index: usize) -> Option<Cotangent> {
        self.slots[index + 1].take()
    }

    /// Adds `tensor`, which may be added to where it is `fresh`, to the cotangent of `value`.
    pub(super) fn add(&mut self, value: usize, tensor: Tensor, fresh: bool) -> Result<(), Error> {
        let sum = match self.slots[value].take() {
            None => Cotangent { tensor, fresh },
            Some(held) if held.fresh => {
                add_in_place(&held.tensor, &tensor)?;
                held
            }
            Some(held) if fresh => {
                add_in_place(&tensor, &held.tensor)?;
                Cotangent { tensor, fresh }
            }
            Some(held) => Cotangent {
                tensor: add(&held.tensor, &tensor)?,
                fresh: true,
            },
        };
        self.slots[value] = Some(sum);
        Ok(())
    }

    /// Hands the cotangent of a sum on to its two sides.
    pub(super) fn share(
        &mut self,
        inputs: &[usize; 2],
        cotangent: &Cotangent,
    ) -> Result<(), Error> {
        for &input in inputs {
            if self.network.differentiable(input) {
                self.add(input, cotangent.tensor.clone(), false)?;
            }
        }
        Ok(())
    }
}
