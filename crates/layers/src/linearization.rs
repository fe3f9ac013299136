//! A network at a point: gradients and curvature products by forward and backward sweeps.
//!
//! For the loss summed over a batch, with logits z, Jacobian J = ∂z/∂θ and A = ∂²l/∂z²:
//!
//! ```text
//! gradient       Jᵀ ∂l/∂z
//! Gauss-Newton   G v = Jᵀ A J v
//! Hessian        H v = G v + second-order terms of the layers
//! ```
//!
//! Vectors come in blocks of V: θ̇ and the sums are one contiguous tensor (V, shape) per parameter
//! ([`ParamLayout::split`](crate::ParamLayout::split)). Products are *added* to the sums, so that
//! batches accumulate without further passes.

use candle_core::Tensor;

use crate::network::{Network, Node};
use crate::{Error, LossPoint, SecondOrder, Tangent};

/// The forward sweep of one batch: serves gradients, Jacobian and Gauss-Newton products.
#[derive(Debug)]
pub struct Linearization<'n> {
    network: &'n Network,
    /// Views of the parameters in their shapes.
    parameters: Vec<Tensor>,
    /// What each node keeps.
    saved: Vec<Vec<Tensor>>,
    loss: LossPoint,
}

/// A linearisation with the primal cotangents that Hessian products need.
#[derive(Debug)]
pub struct CurvedLinearization<'n> {
    linearization: Linearization<'n>,
    /// ȳ (B, output shape) of each node with second-order terms.
    cotangents: Vec<Option<Tensor>>,
}

/// Tangents of a forward sweep, where the backward sweep wants them.
struct Tangents<'a> {
    parameters: &'a [Tensor],
    /// ẋ of each node; absent for zero.
    inputs: Vec<Option<Tensor>>,
    cotangents: &'a [Option<Tensor>],
}

impl<'n> Linearization<'n> {
    pub(crate) fn new(
        network: &'n Network,
        parameters: Vec<Tensor>,
        saved: Vec<Vec<Tensor>>,
        loss: LossPoint,
    ) -> Self {
        Self {
            network,
            parameters,
            saved,
            loss,
        }
    }

    /// Loss of the batch, at its logits.
    #[must_use]
    pub fn loss(&self) -> &LossPoint {
        &self.loss
    }

    /// Bytes of the tensors it keeps, parameters left out.
    #[must_use]
    pub fn bytes(&self) -> usize {
        bytes(self.saved.iter().flatten().chain(self.loss.tensors()))
    }

    /// Adds the gradient of the summed loss to `sums`, (1, shape) each.
    ///
    /// # Errors
    /// A tensor operation that fails.
    pub fn add_gradient(&self, sums: &[Tensor]) -> Result<(), Error> {
        let cotangent = self.loss.gradient().unsqueeze(1)?;
        self.backward(cotangent, sums, None)
    }

    /// J v for the block `tangents`: (B, V, C).
    ///
    /// # Errors
    /// A tensor operation that fails.
    pub fn jacobian_product(&self, tangents: &[Tensor]) -> Result<Tensor, Error> {
        self.forward(tangents, |_| ())
    }

    /// Adds Jᵀ u of the block `cotangent`, (B, V, C), to `sums`.
    ///
    /// # Errors
    /// A tensor operation that fails.
    pub fn add_transposed_jacobian_product(
        &self,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error> {
        self.backward(cotangent.clone(), sums, None)
    }

    /// Adds G v for the block `tangents` to `sums`.
    ///
    /// # Errors
    /// A tensor operation that fails.
    pub fn add_gauss_newton_product(
        &self,
        tangents: &[Tensor],
        sums: &[Tensor],
    ) -> Result<(), Error> {
        let logits = self.forward(tangents, |_| ())?;
        self.backward(self.loss.hessian_product(&logits)?, sums, None)
    }

    /// Sweeps the primal cotangents back once, for Hessian products.
    ///
    /// # Errors
    /// A tensor operation that fails.
    pub fn with_cotangents(self) -> Result<CurvedLinearization<'n>, Error> {
        let first = self.network.first_parametric();
        let mut cotangents = vec![None; self.saved.len()];
        let mut cotangent = self.loss.gradient().unsqueeze(1)?;
        for (index, node) in self.network.nodes().iter().enumerate().skip(first).rev() {
            if let SecondOrder::Terms(_) = node.layer.second_order() {
                cotangents[index] = Some(cotangent.squeeze(1)?);
            }
            if index > first {
                cotangent = node.layer.vjp_input(self.at(index, node), &cotangent)?;
            }
        }
        Ok(CurvedLinearization {
            linearization: self,
            cotangents,
        })
    }

    fn at<'a>(&'a self, index: usize, node: &'a Node) -> crate::Point<'a> {
        node.at(&self.parameters, &self.saved[index])
    }

    /// ż of the block θ̇; `keep` sees ẋ of every node in order.
    fn forward(
        &self,
        tangents: &[Tensor],
        mut keep: impl FnMut(Option<&Tensor>),
    ) -> Result<Tensor, Error> {
        self.network.layout().expect_pieces("tangents", tangents)?;
        let mut x: Option<Tensor> = None;
        for (index, node) in self.network.nodes().iter().enumerate() {
            keep(x.as_ref());
            let tangent = Tangent {
                input: x.as_ref(),
                parameters: &tangents[node.parameters.clone()],
            };
            x = node.layer.jvp(self.at(index, node), tangent)?;
        }
        // A chain has at least one layer with parameters, and no tangent vanishes behind it.
        x.ok_or(Error::NoParameters)
    }

    /// Adds θ̄ of the block `cotangent` at the logits to `sums`, with second-order terms where
    /// `tangents` are given.
    fn backward(
        &self,
        mut cotangent: Tensor,
        sums: &[Tensor],
        tangents: Option<Tangents<'_>>,
    ) -> Result<(), Error> {
        self.network.layout().expect_pieces("sums", sums)?;
        let first = self.network.first_parametric();
        for (index, node) in self.network.nodes().iter().enumerate().skip(first).rev() {
            let (at, sums) = (self.at(index, node), &sums[node.parameters.clone()]);
            node.layer.vjp_parameters(at, &cotangent, sums)?;
            let input = (index > first)
                .then(|| node.layer.vjp_input(at, &cotangent))
                .transpose()?;
            if let (Some(tangents), SecondOrder::Terms(rule)) =
                (&tangents, node.layer.second_order())
                && let Some(primal) = &tangents.cotangents[index]
            {
                let tangent = Tangent {
                    input: tangents.inputs[index].as_ref(),
                    parameters: &tangents.parameters[node.parameters.clone()],
                };
                rule.add_terms(at, primal, tangent, sums, input.as_ref())?;
            }
            match input {
                Some(input) => cotangent = input,
                None => break,
            }
        }
        Ok(())
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
    ///
    /// # Errors
    /// A tensor operation that fails.
    pub fn add_hessian_product(&self, tangents: &[Tensor], sums: &[Tensor]) -> Result<(), Error> {
        let linearization = &self.linearization;
        let mut inputs = Vec::with_capacity(self.cotangents.len());
        let logits = linearization.forward(tangents, |input| inputs.push(input.cloned()))?;
        let cotangent = linearization.loss.hessian_product(&logits)?;
        let tangents = Tangents {
            parameters: tangents,
            inputs,
            cotangents: &self.cotangents,
        };
        linearization.backward(cotangent, sums, Some(tangents))
    }
}

/// Bytes of distinct tensors: what two layers keep in common counts once.
fn bytes<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> usize {
    let mut distinct: Vec<&Tensor> = tensors.collect();
    distinct.sort_by_key(|tensor| format!("{:?}", tensor.id()));
    distinct.dedup_by_key(|tensor| tensor.id());
    distinct
        .iter()
        .map(|tensor| tensor.elem_count() * tensor.dtype().size_in_bytes())
        .sum()
}
