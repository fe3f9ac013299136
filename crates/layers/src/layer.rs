//! The contract of a layer: four exact rules.
//!
//! ```text
//! forward        y = f(x; θ)                  keeps what the other rules need
//! jvp            ẏ = df(ẋ, θ̇)
//! vjp            (x̄, θ̄) = dfᵀ ȳ
//! second order   (x̄, θ̄) += Σₖ ȳₖ d²fₖ (ẋ, θ̇)
//! ```
//!
//! x is (B, ...). Tangents ẋ, ẏ and cotangents x̄, ȳ are blocks (B, V, ...), θ̇ and θ̄ (V, shape).
//! Going backward with x̄, θ̄ <- vjp(ȳ block) + second order(primal ȳ; ẋ, θ̇) gives exact Hessian
//! products; the same loop without the second-order terms gives Gauss-Newton products. A rule fails where
//! a tensor operation does.

use candle_core::Tensor;

use crate::{BatchNorm, Dropout, Error, Parameter};

/// A layer at a point: its parameters there and what `forward` kept.
#[derive(Debug, Clone, Copy)]
pub struct Point<'a> {
    /// Parameters in the order of [`Layer::parameters`], each in its shape.
    pub parameters: &'a [Tensor],
    /// Tensors kept by [`Layer::forward`].
    pub saved: &'a [Tensor],
    /// Shape of one input example.
    pub input_shape: &'a [usize],
}

/// A block of V tangents.
#[derive(Debug, Clone, Copy)]
pub struct Tangent<'a> {
    /// ẋ, (B, V, input shape); absent for zero.
    pub input: Option<&'a Tensor>,
    /// θ̇ of each parameter, (V, shape).
    pub parameters: &'a [Tensor],
}

/// Second derivative of a layer.
#[derive(Clone, Copy)]
pub enum SecondOrder<'a> {
    /// Zero almost everywhere: piecewise linear in inputs and parameters together.
    Zero,
    /// Not zero: the rule that adds its terms.
    Terms(&'a dyn SecondOrderRule),
}

/// How a layer takes factors c > 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Homogeneity {
    /// f(c x) = c f(x), without parameters.
    Input,
    /// f(x; c W, c b) = c f(x; W, b) and f(c x; W, b) = f(x; c W, b); W is the first parameter and
    /// b, where there is one, the second.
    Affine,
    /// Neither of these, or not known.
    Unknown,
}

/// A differentiable function of inputs and parameters: of each example alone, but for
/// [`Layer::batch_norm`].
pub trait Layer: std::fmt::Debug + Send + Sync {
    /// Parameters with local names, such as `weight`; none unless said otherwise.
    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// Shape of one output example.
    ///
    /// # Errors
    /// Says what the layer needs when it cannot take `input`.
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, &'static str>;

    /// Multiply-adds of the matrix products in [`Layer::forward`] per example; none unless said
    /// otherwise.
    fn multiply_adds(&self, _input: &[usize]) -> u64 {
        0
    }

    /// Elements per example and vector of the largest tensor that a rule lays out beside its operands and results, on a
    /// device; none unless said otherwise.
    fn patches(&self, _input: &[usize]) -> usize {
        0
    }

    /// y = f(x; θ) and the tensors that the other rules need.
    fn forward(&self, parameters: &[Tensor], x: &Tensor) -> Result<(Tensor, Vec<Tensor>), Error>;

    /// ẏ (B, V, output shape); absent for zero.
    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error>;

    /// x̄ (B, V, input shape) of ȳ (B, V, output shape); a fresh tensor that the caller may change,
    /// unless [`Layer::second_order`] is [`SecondOrder::Zero`].
    fn vjp_input(&self, at: Point<'_>, cotangent: &Tensor) -> Result<Tensor, Error>;

    /// Adds θ̄ to `sums`, (V, shape) for each parameter, in place. Nothing to add without
    /// parameters.
    fn vjp_parameters(
        &self,
        _at: Point<'_>,
        _cotangent: &Tensor,
        _sums: &[Tensor],
    ) -> Result<(), Error> {
        Ok(())
    }

    /// The second derivative. Required, so that forgetting it cannot mean zero.
    fn second_order(&self) -> SecondOrder<'_>;

    /// How the layer takes positive factors; not known unless said otherwise.
    fn homogeneity(&self) -> Homogeneity {
        Homogeneity::Unknown
    }

    /// The layer as batch-norm with batch statistics, the one that couples the examples of a batch;
    /// none unless said otherwise.
    fn batch_norm(&self) -> Option<&BatchNorm> {
        None
    }

    /// The layer as dropout that can be switched on; none unless said otherwise.
    fn dropout(&self) -> Option<&Dropout> {
        None
    }
}

/// What a [`Layer`] says that is linear in its inputs and has no parameters.
macro_rules! linear {
    () => {
        fn second_order(&self) -> $crate::SecondOrder<'_> {
            $crate::SecondOrder::Zero
        }

        fn homogeneity(&self) -> $crate::Homogeneity {
            $crate::Homogeneity::Input
        }
    };
}
pub(crate) use linear;

/// The second-order terms of a layer.
pub trait SecondOrderRule {
    /// Adds Σₖ ȳₖ d²fₖ (ẋ, θ̇) to `sums`, (V, shape) for each parameter, and to `input_sum`,
    /// (B, V, input shape), where that is wanted, both in place. `cotangent` is the primal ȳ
    /// (B, output shape).
    fn add_terms(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        sums: &[Tensor],
        input_sum: Option<&Tensor>,
    ) -> Result<(), Error>;
}
