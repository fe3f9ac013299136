//! H v = G v + R v with R v = Σ ȳ d²f (ẋ, θ̇): what Hessian products need besides the forward sweep.
//!
//! R v is the sweep of H v with the curvature of the loss left out: it starts from zero at the logits.
//! The primal cotangents ȳ are swept back once and serve the products of every block. The products fail
//! as those of [`Linearization`] do.

use candle_core::Tensor;

use super::cotangents::Cotangents;
use super::{Linearization, Tangents, bytes};
use crate::{Error, SecondOrder};

/// A linearisation with the primal cotangents that Hessian products need.
#[derive(Debug)]
pub struct CurvedLinearization<'n> {
    linearization: Linearization<'n>,
    /// ȳ (B, output shape) of each node with second-order terms.
    cotangents: Vec<Option<Tensor>>,
}

impl<'n> Linearization<'n> {
    /// Sweeps the primal cotangents back once, for Hessian products.
    ///
    /// # Errors
    /// A tensor operation that fails.
    pub fn with_cotangents(self) -> Result<CurvedLinearization<'n>, Error> {
        let mut kept = vec![None; self.saved.len()];
        let mut cotangents = Cotangents::new(self.network, self.loss.gradient().unsqueeze(1)?);
        for (index, node) in self.network.nodes().iter().enumerate().rev() {
            let Some(cotangent) = cotangents.take(index) else {
                continue;
            };
            let inputs = self.input_cotangents(index, node, &cotangent)?;
            for (&value, input) in node.inputs.iter().zip(inputs) {
                if let Some(input) = input {
                    cotangents.add(value, input)?;
                }
            }
            if let SecondOrder::Terms(_) = node.layer.second_order() {
                kept[index] = Some(cotangent.squeeze(1)?);
            }
        }
        Ok(CurvedLinearization {
            linearization: self,
            cotangents: kept,
        })
    }
}

impl<'n> CurvedLinearization<'n> {
    /// The forward sweep it was made from.
    #[must_use]
    pub fn linearization(&self) -> &Linearization<'n> {
        &self.linearization
    }

    /// Bytes of the tensors it keeps, parameters left out.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.linearization.bytes() + bytes(self.cotangents.iter().flatten())
    }

    /// Adds H v for the block `tangents` to `sums`.
    pub fn add_hessian_product(&self, tangents: &[Tensor], sums: &[Tensor]) -> Result<(), Error> {
        let loss = &self.linearization.loss;
        self.sweep(tangents, sums, |logits| loss.hessian_product(logits))
    }

    /// Adds R v = H v − G v for the block `tangents` to `sums`, without the difference.
    pub fn add_residual_product(&self, tangents: &[Tensor], sums: &[Tensor]) -> Result<(), Error> {
        self.sweep(tangents, sums, |logits| Ok(logits.zeros_like()?))
    }

    /// Both sweeps of the second derivative, `cotangent` the function of ż that starts the second.
    fn sweep(
        &self,
        tangents: &[Tensor],
        sums: &[Tensor],
        cotangent: impl FnOnce(&Tensor) -> Result<Tensor, Error>,
    ) -> Result<(), Error> {
        let linearization = &self.linearization;
        let mut inputs = Vec::with_capacity(self.cotangents.len());
        let logits = linearization.forward(tangents, |own| {
            // Only layers with second-order terms look at them again.
            let wanted = self.cotangents[inputs.len()].is_some();
            let kept = |input: &Option<&Tensor>| input.filter(|_| wanted).cloned();
            inputs.push(own.iter().map(kept).collect());
        })?;
        let tangents = Tangents {
            parameters: tangents,
            inputs,
            cotangents: &self.cotangents,
        };
        linearization.backward(cotangent(&logits)?, sums, Some(tangents))
    }
}
