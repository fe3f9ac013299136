//! The contract of a layer: four exact rules.
//!
//! ```text
//! forward        y = f(x; θ)                  keeps what the other rules need
//! jvp            ẏ = df(ẋ, θ̇)
//! vjp            (x̄, θ̄) = dfᵀ ȳ
//! second order   (x̄, θ̄) += Σₖ ȳₖ d²fₖ (ẋ, θ̇)
//! ```
//!
//! x stands for one input or several, each (B, ...). Tangents ẋ, ẏ and cotangents x̄, ȳ are blocks (B, V, ...), θ̇ and θ̄ (V, shape).
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
    /// Shape of one example of each input.
    pub input_shapes: &'a [Vec<usize>],
}

/// A block of V tangents.
#[derive(Debug, Clone, Copy)]
pub struct Tangent<'a> {
    /// ẋ of each input, (B, V, input shape); absent for zero.
    pub inputs: &'a [Option<&'a Tensor>],
    /// θ̇ of each parameter, (V, shape).
    pub parameters: &'a [Tensor],
}

impl<'a> Tangent<'a> {
    /// ẋ of the first input, the only one of most layers.
    #[must_use]
    pub fn input(&self) -> Option<&'a Tensor> {
        self.inputs.first().copied().flatten()
    }
}

/// x̄ (B, V, input shape) of one input.
#[derive(Debug, Clone)]
pub enum Cotangent {
    /// A tensor whose memory nothing else holds: the sweep adds to it in place.
    Fresh(Tensor),
    /// A tensor that shares its memory, such as ȳ itself.
    Shared(Tensor),
}

impl Cotangent {
    /// x̄ = 0 of an input of `shape` (one example), beside ȳ `cotangent`.
    pub(crate) fn zero(shape: &[usize], cotangent: &Tensor) -> Result<Self, Error> {
        let shape = [&cotangent.dims()[..2], shape].concat();
        let zeros = Tensor::zeros(shape, cotangent.dtype(), cotangent.device())?;
        Ok(Self::Fresh(zeros))
    }

    /// The tensor, for who does not add to it.
    #[must_use]
    pub fn into_tensor(self) -> Tensor {
        match self {
            Self::Fresh(tensor) | Self::Shared(tensor) => tensor,
        }
    }

    /// The tensor in memory of its own.
    pub(crate) fn into_fresh(self) -> Result<Tensor, Error> {
        match self {
            Self::Fresh(tensor) => Ok(tensor),
            Self::Shared(tensor) => Ok(tensor.copy()?),
        }
    }
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

    /// Shape of one output example, of those of the inputs.
    ///
    /// # Errors
    /// Says what the layer needs when it cannot take `inputs`, which may be of any number.
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str>;

    /// Multiply-adds of the matrix products in [`Layer::forward`] per example; none unless said
    /// otherwise.
    fn multiply_adds(&self, _inputs: &[&[usize]]) -> u64 {
        0
    }

    /// Elements per example and vector of the largest tensor that a rule lays out beside its operands and results, on a
    /// device; none unless said otherwise.
    fn patches(&self, _inputs: &[&[usize]]) -> usize {
        0
    }

    /// y = f(x; θ) and the tensors that the other rules need. There are as many inputs as [`Layer::output_shape`] has taken.
    fn forward(
        &self,
        parameters: &[Tensor],
        inputs: &[&Tensor],
    ) -> Result<(Tensor, Vec<Tensor>), Error>;

    /// ẏ (B, V, output shape); absent for zero.
    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error>;

    /// x̄ of input number `input`, of ȳ (B, V, output shape).
    fn vjp_input(
        &self,
        at: Point<'_>,
        input: usize,
        cotangent: &Tensor,
    ) -> Result<Cotangent, Error>;

    /// Adds θ̄ to `sums`, (V, shape) for each parameter, in place. Nothing to add without
    /// parameters.
    fn vjp_parameters(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
    ) -> Result<(), Error>;

    /// Both at once: θ̄ added to `sums`, and x̄ of each input that is `wanted`. A layer whose two rules read the same has one
    /// of its own.
    fn vjp(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        sums: &[Tensor],
        wanted: &[bool],
    ) -> Result<Vec<Option<Cotangent>>, Error> {
        one_by_one(self, at, cotangent, sums, wanted)
    }

    /// The second derivative. Required, so that forgetting it cannot mean zero.
    fn second_order(&self) -> SecondOrder<'_>;

    /// How the layer takes positive factors; not known unless said otherwise.
    fn homogeneity(&self) -> Homogeneity {
        Homogeneity::Unknown
    }

    /// Whether it normalises its input, so that its parameters are a scale and a shift of what is normalised; not unless
    /// said otherwise.
    fn normalizes(&self) -> bool {
        false
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

/// [`Layer::vjp`] by the rules for the parameters and for each input.
pub(crate) fn one_by_one<L: Layer + ?Sized>(
    layer: &L,
    at: Point<'_>,
    cotangent: &Tensor,
    sums: &[Tensor],
    wanted: &[bool],
) -> Result<Vec<Option<Cotangent>>, Error> {
    layer.vjp_parameters(at, cotangent, sums)?;
    let inputs = wanted.iter().enumerate();
    let inputs = inputs.map(|(input, &wanted)| {
        let rule = || layer.vjp_input(at, input, cotangent);
        wanted.then(rule).transpose()
    });
    inputs.collect()
}

/// The shape of the only input.
pub(crate) fn only<'a>(inputs: &[&'a [usize]]) -> Result<&'a [usize], &'static str> {
    match inputs {
        [input] => Ok(input),
        _ => Err("it takes one input"),
    }
}

/// What a [`Layer`] says that has no parameters.
macro_rules! parameterless {
    () => {
        fn vjp_parameters(
            &self,
            _: $crate::Point<'_>,
            _: &candle_core::Tensor,
            _: &[candle_core::Tensor],
        ) -> Result<(), $crate::Error> {
            Ok(())
        }
    };
}
pub(crate) use parameterless;

/// What a [`Layer`] says that is linear in its inputs and has no parameters.
macro_rules! linear {
    () => {
        $crate::layer::parameterless!();

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
    /// Adds Σₖ ȳₖ d²fₖ (ẋ, θ̇) to `sums`, (V, shape) for each parameter, and to `input_sums`,
    /// (B, V, input shape) for each input where that is wanted, both in place. `cotangent` is the primal ȳ
    /// (B, output shape).
    fn add_terms(
        &self,
        at: Point<'_>,
        cotangent: &Tensor,
        tangent: Tangent<'_>,
        sums: &[Tensor],
        input_sums: &[Option<&Tensor>],
    ) -> Result<(), Error>;
}
