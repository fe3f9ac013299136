//! The values of a forward sweep, kept no longer than they are needed.

use candle_core::Tensor;

use crate::{Error, Network};

/// The values of a forward sweep, each dropped behind its last user.
pub(crate) struct Values<'n> {
    network: &'n Network,
    tensors: Vec<Option<Tensor>>,
}

impl<'n> Values<'n> {
    pub(crate) fn new(network: &'n Network, input: Option<Tensor>) -> Self {
        Self {
            network,
            tensors: vec![input],
        }
    }

    /// The value, where it is not zero.
    pub(crate) fn try_get(&self, value: usize) -> Option<&Tensor> {
        self.tensors[value].as_ref()
    }

    pub(crate) fn get(&self, value: usize) -> Result<&Tensor, Error> {
        self.try_get(value).ok_or(Error::Value)
    }

    /// The output of the next node; what this node was the last to take is dropped.
    pub(crate) fn push(&mut self, output: Option<Tensor>) {
        let index = self.tensors.len() - 1;
        for &input in &self.network.nodes()[index].inputs {
            if self.network.last_use(input) == index {
                self.tensors[input] = None;
            }
        }
        self.tensors.push(output);
    }
}
