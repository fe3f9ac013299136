//! A network at a point: gradients and curvature products by forward and backward sweeps.
//!
//! For the loss summed over a batch, with logits z, Jacobian J = ∂z/∂θ and A = ∂²l/∂z²:
//!
//! ```text
//! gradient           Jᵀ ∂l/∂z
//! Gauss-Newton       G v = Jᵀ A J v
//! Hessian            H v = G v + R v
//! residual           R v = second-order terms of the layers
//! empirical Fisher   F v = Σᵢ gᵢ (gᵢ·v) = Jᵀ D J v,   D the blocks ∂lᵢ/∂zᵢ (∂lᵢ/∂zᵢ)ᵀ
//! ```
//!
//! gᵢ = Jᵢᵀ ∂lᵢ/∂zᵢ is the gradient of the loss of example i. Where batch-norm couples the examples,
//! zᵢ depends on θ through the whole batch, and so does gᵢ: the formula is the same.
//!
//! Vectors come in blocks of V: θ̇ and the sums are one contiguous tensor (V, shape) per parameter
//! ([`ParamLayout::split`](crate::ParamLayout::split)). Products are *added* to the sums, so that
//! batches accumulate without further passes. All fail with [`Error::Shape`] and [`Error::NumberType`]
//! for pieces that do not fit, and where a tensor operation does.

mod cotangents;
mod curved;

pub use curved::CurvedLinearization;

use candle_core::Tensor;
use flatness_kernels::home;

use crate::layout::form;
use crate::node::Node;
use crate::values::Values;
use crate::{Cotangent, Error, LossPoint, Network, Point, SecondOrder, Tangent};
use cotangents::Cotangents;

/// The forward sweep of one batch: serves gradients, Jacobian and Gauss-Newton products.
#[derive(Debug)]
pub struct Linearization<'n> {
    network: &'n Network,
    /// Views of the parameters of each node in their shapes.
    parameters: Vec<Vec<Tensor>>,
    /// What each node keeps.
    saved: Vec<Vec<Tensor>>,
    loss: LossPoint,
}

/// Tangents of a forward sweep, where the backward sweep wants them.
struct Tangents<'a> {
    parameters: &'a [Tensor],
    /// ẋ of each input of each node; absent for zero.
    inputs: Vec<Vec<Option<Tensor>>>,
    cotangents: &'a [Option<Tensor>],
}

impl<'n> Linearization<'n> {
    pub(crate) fn new(
        network: &'n Network,
        parameters: &[Tensor],
        saved: Vec<Vec<Tensor>>,
        loss: LossPoint,
    ) -> Self {
        let nodes = network.nodes().iter();
        Self {
            network,
            parameters: nodes.map(|node| node.own(parameters)).collect(),
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
    pub fn add_gradient(&self, sums: &[Tensor]) -> Result<(), Error> {
        let cotangent = self.loss.gradient().unsqueeze(1)?;
        self.backward(cotangent, sums, None)
    }

    /// J v for the block `tangents`: (B, V, C).
    pub fn jacobian_product(&self, tangents: &[Tensor]) -> Result<Tensor, Error> {
        self.forward(tangents, |_| ())
    }

    /// Adds Jᵀ u of the block `cotangent`, (B, V, C), to `sums`.
    pub fn add_transposed_jacobian_product(
        &self,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error> {
        self.backward(cotangent.clone(), sums, None)
    }

    /// Adds G v for the block `tangents` to `sums`.
    pub fn add_gauss_newton_product(
        &self,
        tangents: &[Tensor],
        sums: &[Tensor],
    ) -> Result<(), Error> {
        let logits = self.forward(tangents, |_| ())?;
        self.backward(self.loss.hessian_product(&logits)?, sums, None)
    }

    /// Adds F v for the block `tangents` to `sums`.
    pub fn add_empirical_fisher_product(
        &self,
        tangents: &[Tensor],
        sums: &[Tensor],
    ) -> Result<(), Error> {
        let logits = self.forward(tangents, |_| ())?;
        self.backward(self.loss.outer_product(&logits)?, sums, None)
    }

    /// Means and unbiased variances of this batch in the layers that normalise by it, as one vector
    /// (Q) in the order of [`Network::buffers`]; of a layer that is used twice the means of both uses.
    ///
    /// # Errors
    /// [`Error::OneValue`], or a tensor operation that fails.
    pub fn batch_statistics(&self) -> Result<Tensor, Error> {
        let (length, like) = (self.network.buffers().dim(), self.loss.gradient());
        let sum = Tensor::zeros(length, like.dtype(), home(length, like.device()))?;
        self.add_batch_statistics(&sum, 1.0)?;
        Ok(sum)
    }

    /// Adds `weight` times those to `sum` (Q) in place.
    ///
    /// # Errors
    /// As [`Linearization::batch_statistics`].
    pub fn add_batch_statistics(&self, sum: &Tensor, weight: f64) -> Result<(), Error> {
        let sums = self.network.buffers().views(sum)?;
        let normalising = self.network.nodes().iter().zip(&self.saved);
        let normalising = normalising.filter_map(|(node, saved)| {
            let layer = node.layer.batch_norm()?;
            let first = self.network.statistics(node).ok_or(Error::Value);
            Some(first.map(|first| (node, layer, saved, first)))
        });
        let normalising = normalising.collect::<Result<Vec<_>, Error>>()?;
        let mut uses = vec![0.0; sums.len()];
        for (.., first) in &normalising {
            uses[*first] += 1.0;
        }
        for (node, layer, saved, first) in normalising {
            let (own, weight) = ([&sums[first], &sums[first + 1]], weight / uses[first]);
            if !layer.add_batch_statistics(saved, own, weight)? {
                let layer = node.name.clone();
                return Err(Error::OneValue { layer });
            }
        }
        Ok(())
    }

    fn at<'a>(&'a self, index: usize, node: &'a Node) -> Point<'a> {
        node.at(&self.parameters[index], &self.saved[index])
    }

    /// ż of the block θ̇; `keep` sees ẋ of every node in order.
    fn forward(
        &self,
        tangents: &[Tensor],
        mut keep: impl FnMut(&[Option<&Tensor>]),
    ) -> Result<Tensor, Error> {
        let ((vectors, _), dtype) = (form(tangents), self.loss.gradient().dtype());
        let layout = self.network.layout();
        layout.expect_pieces("tangents", tangents, &[vectors], dtype)?;
        let mut values = Values::new(self.network, None);
        for (index, node) in self.network.nodes().iter().enumerate() {
            let inputs = node.inputs.iter();
            let inputs: Vec<_> = inputs.map(|&input| values.try_get(input)).collect();
            keep(&inputs);
            let tangent = Tangent {
                inputs: &inputs,
                parameters: &node.own(tangents),
            };
            let dy = node.layer.jvp(self.at(index, node), tangent)?;
            values.push(dy);
        }
        // There is at least one layer with parameters, and no tangent vanishes behind it.
        let logits = values.try_get(self.network.nodes().len());
        logits.cloned().ok_or(Error::NoParameters)
    }

    /// Adds θ̄ of the block `cotangent` at the logits to `sums`, with second-order terms where
    /// `tangents` are given.
    fn backward(
        &self,
        cotangent: Tensor,
        sums: &[Tensor],
        tangents: Option<Tangents<'_>>,
    ) -> Result<(), Error> {
        self.loss
            .expect_block("cotangents of the logits", &cotangent)?;
        let layout = self.network.layout();
        layout.expect_pieces("sums", sums, &[cotangent.dim(1)?], cotangent.dtype())?;
        let mut cotangents = Cotangents::new(self.network, cotangent);
        for (index, node) in self.network.nodes().iter().enumerate().rev() {
            let Some(cotangent) = cotangents.take(index) else {
                continue;
            };
            let (at, sums) = (self.at(index, node), node.own(sums));
            let mut inputs = node.layer.vjp(at, &cotangent, &sums, &self.wanted(node))?;
            if let (Some(tangents), SecondOrder::Terms(rule)) =
                (&tangents, node.layer.second_order())
                && let Some(primal) = &tangents.cotangents[index]
            {
                let own = tangents.inputs[index].iter().map(Option::as_ref);
                let tangent = Tangent {
                    inputs: &own.collect::<Vec<_>>(),
                    parameters: &node.own(tangents.parameters),
                };
                let fresh = inputs.into_iter();
                let fresh = fresh.map(|input| input.map(Cotangent::into_fresh).transpose());
                let fresh = fresh.collect::<Result<Vec<_>, Error>>()?;
                let input_sums: Vec<_> = fresh.iter().map(Option::as_ref).collect();
                rule.add_terms(at, primal, tangent, &sums, &input_sums)?;
                inputs = fresh
                    .into_iter()
                    .map(|sum| sum.map(Cotangent::Fresh))
                    .collect();
            }
            for (&value, input) in node.inputs.iter().zip(inputs) {
                if let Some(input) = input {
                    cotangents.add(value, input)?;
                }
            }
        }
        Ok(())
    }

    /// Of which inputs of a node x̄ is wanted: where parameters stand before them.
    fn wanted(&self, node: &Node) -> Vec<bool> {
        let inputs = node.inputs.iter();
        inputs
            .map(|&value| self.network.differentiable(value))
            .collect()
    }

    /// x̄ of each input of a node, of ȳ `cotangent`, where parameters stand before it.
    fn input_cotangents(
        &self,
        index: usize,
        node: &Node,
        cotangent: &Tensor,
    ) -> Result<Vec<Option<Cotangent>>, Error> {
        let at = self.at(index, node);
        let wanted = self.wanted(node).into_iter().enumerate();
        let inputs = wanted.map(|(input, wanted)| {
            let rule = || node.layer.vjp_input(at, input, cotangent);
            wanted.then(rule).transpose()
        });
        inputs.collect()
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
