//! Homogeneous scaling: every weight layer of a ReLU network times a, another θ with the same predictions (claim C2).
//!
//! ```text
//! W_l ← a W_l,   b_l ← aˡ b_l,   l = 1, …, d from the input:      z(θ') = aᵈ z(θ),   a > 0
//! ```
//!
//! Layer l then puts out aˡ times what it did, since what stands between the layers (ReLU, pooling, flattening,
//! dropout) satisfies f(a x) = a f(x). The order of the logits stays, and with it every prediction; only the
//! confidence moves. Without biases it is a θ. Batch-norm and tanh break it; skips, whose branches differ in
//! depth, are refused too. Source: Neyshabur, Tomioka, Srebro, "Norm-Based Capacity Control in Neural Networks", COLT
//! 2015, section 2 (homogeneity), with biases taken along.

use std::ops::Range;

use candle_core::Tensor;
use flatness_layers::{Homogeneity, Network, Step};
use flatness_operator::check_dim;

use crate::Error;
use crate::graph::{diagonal, ranges, weighted};
use crate::vector::check_positive;

/// The scaling of one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomogeneousScaling {
    /// Ranges of the flat vector with their powers of a.
    powers: Vec<(Range<usize>, u32)>,
    depth: u32,
    /// P
    dim: usize,
}

impl HomogeneousScaling {
    /// The scaling of `network`, a chain of affine or convolutional layers and of layers that pass factors on.
    ///
    /// # Errors
    /// [`Error::NotHomogeneous`], which says what stands in the way.
    pub fn of(network: &Network) -> Result<Self, Error> {
        let refuse = |reason: String| Err(Error::NotHomogeneous { reason });
        let (mut powers, mut depth) = (Vec::new(), 0);
        let steps: Vec<Step<'_>> = network.steps().collect();
        for (index, step) in steps.iter().enumerate() {
            if *step.inputs != [index] {
                return refuse("it has a skip".to_owned());
            }
            match (step.layer.homogeneity(), weighted(&steps, index)) {
                (Homogeneity::Input, _) => {}
                (_, Some(parameters)) => {
                    depth += 1;
                    let of = ranges(network, parameters).into_iter();
                    powers.extend(of.zip(std::iter::once(1).chain(std::iter::repeat(depth))));
                }
                (_, None) => return refuse(format!("{} does not pass factors on", step.name)),
            }
        }
        Ok(Self {
            powers,
            depth,
            dim: network.layout().dim(),
        })
    }

    /// d, the number of weight layers: the logits are multiplied by aᵈ.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// θ' for `theta` (P) and a = `factor`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a `factor` that is not a positive number, another length.
    pub fn apply(&self, theta: &Tensor, factor: f64) -> Result<Tensor, Error> {
        check_positive("the factor", factor)?;
        check_dim("theta", theta, self.dim)?;
        let powers = self.powers.iter();
        let factors = powers.map(|(range, power)| (range.clone(), factor.powf(f64::from(*power))));
        Ok((theta * diagonal(self.dim, factors, theta.dtype(), theta.device())?)?)
    }
}
