//! A network with values for its parameters, for inference.

use candle_core::{Module, Tensor};

use crate::{Error, Network};

/// A network at fixed parameters; implements `candle_nn::Module`.
#[derive(Debug, Clone)]
pub struct Predictor<'n> {
    network: &'n Network,
    parameters: Vec<Tensor>,
}

impl<'n> Predictor<'n> {
    /// Fixes the parameters at `theta` (P).
    ///
    /// # Errors
    /// [`Error::Shape`] when `theta` does not have P elements in one axis.
    pub fn new(network: &'n Network, theta: &Tensor) -> Result<Self, Error> {
        Ok(Self {
            network,
            parameters: network.layout().views(theta)?,
        })
    }
}

impl Module for Predictor<'_> {
    /// Logits (B, C) of inputs (B, input shape).
    fn forward(&self, inputs: &Tensor) -> candle_core::Result<Tensor> {
        self.network
            .forward(&self.parameters, inputs)
            .map_err(|error| match error {
                Error::Candle(error) => error,
                other => candle_core::Error::wrap(other),
            })
    }
}
