//! y = x Wᵀ + b along the last axis, and its derivative passes.
//!
//! ```text
//! forward        y  = x Wᵀ + b                               x (B, ..., I)   W (O, I)   b (O)   y (B, ..., O)
//! tangent        ẏ  = ẋ Wᵀ + x Ẇᵀ + ḃ                        ẋ (B, V, ..., I)  Ẇ (V, O, I)  ḃ (V, O)
//! cotangent      x̄  = ȳ W,   W̄ += ȳᵀ x,   b̄ += Σ ȳ          ȳ (B, V, ..., O)  W̄ (V, O, I)  b̄ (V, O)
//! second order   x̄ += ȳ Ẇ,   W̄ += ȳᵀ ẋ                       ȳ (B, ..., O)
//! ```
//!
//! The axes between, alike in every operand, are the positions of a sequence or image, all of which one W serves; there may
//! be none. A weight may be stored the other way round, (I, O), and so are its tangents and sums then ([`Order`]).
//! Sums run over the batch and the positions; nothing is divided by them. Every function fails for shapes that do not
//! fit, tensors that are not contiguous, or a device error.

mod cpu;
mod launched;
mod plain;
#[cfg(test)]
mod tests;

use candle_core::{D, Result, Tensor, bail};

use crate::product::Extent;
use crate::real::{by_path, expect_shape};

/// How a weight is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// (O, I), as `torch.nn.Linear` has it.
    OutputsFirst,
    /// (I, O), as matrix products of ONNX and GPT-2's `Conv1D` have it.
    InputsFirst,
}

impl Order {
    /// The shape of a weight.
    #[must_use]
    pub fn shape(self, outputs: usize, inputs: usize) -> [usize; 2] {
        match self {
            Self::OutputsFirst => [outputs, inputs],
            Self::InputsFirst => [inputs, outputs],
        }
    }
}

/// A weight W, (O, I) or (I, O).
#[derive(Debug, Clone, Copy)]
pub struct Weight<'a> {
    /// Its elements.
    pub tensor: &'a Tensor,
    /// Which axis is which.
    pub order: Order,
}

/// The axes of the operands.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    batch: usize,
    vectors: usize,
    /// The axes between, as one.
    positions: usize,
    inputs: usize,
    outputs: usize,
    order: Order,
}

impl Sizes {
    /// Of one of the operands that has the positions, (B, ..., I or O), `between` its axes there.
    fn new(weight: Weight<'_>, batch: usize, vectors: usize, between: &[usize]) -> Result<Self> {
        let (rows, columns) = weight.tensor.dims2()?;
        let [outputs, inputs] = weight.order.shape(rows, columns);
        Ok(Self {
            batch,
            vectors,
            positions: between.iter().product(),
            inputs,
            outputs,
            order: weight.order,
        })
    }

    /// The weight of vector `index` as a matrix (O, I).
    fn map(self, index: usize) -> Extent {
        match self.order {
            Order::OutputsFirst => Extent::outer(self.outputs, self.inputs, index),
            Order::InputsFirst => Extent::outer(self.inputs, self.outputs, index).transposed(),
        }
    }

    /// Whether the weights of all vectors are one matrix (V O, I), and a block without positions one (B, V O).
    fn is_wide(self) -> bool {
        self.positions == 1 && self.order == Order::OutputsFirst
    }

    /// Whether several products have the weight of one vector in common.
    fn repeats_maps(self) -> bool {
        self.vectors > 1 && self.positions > 1 && self.batch > 1
    }

    /// The rows of a primal tensor and those of a block that belong together, in as few matrices as there can be: each
    /// with its vector.
    fn pairs(self, primal: usize, block: usize) -> Vec<(usize, Extent, Extent)> {
        let Self {
            batch,
            vectors,
            positions,
            ..
        } = self;
        let rows = |columns| Extent::row_major(batch * positions, columns);
        if vectors == 1 {
            return vec![(0, rows(primal), rows(block))];
        }
        let each = (0..vectors).flat_map(|vector| {
            let examples = if positions == 1 { 1 } else { batch };
            (0..examples).map(move |example| match positions {
                1 => (
                    vector,
                    rows(primal),
                    Extent::inner(batch, vectors, block, vector),
                ),
                _ => (
                    vector,
                    Extent::outer(positions, primal, example),
                    Extent::outer(positions, block, example * vectors + vector),
                ),
            })
        });
        each.collect()
    }

    fn weight(self) -> Vec<usize> {
        self.order.shape(self.outputs, self.inputs).to_vec()
    }

    fn expect_weights(self, name: &str, weights: &Tensor) -> Result<()> {
        expect_shape(
            name,
            weights,
            &[&[self.vectors], &self.weight()[..]].concat(),
        )
    }

    fn expect_biases(self, name: &str, biases: Option<&Tensor>) -> Result<()> {
        let expect = |biases| expect_shape(name, biases, &[self.vectors, self.outputs]);
        biases.map_or(Ok(()), expect)
    }
}

/// The axes between batch and last axis of a tensor (B, ..., last), or behind the vectors of a block.
fn between(tensor: &Tensor, leading: usize) -> Result<&[usize]> {
    match tensor.rank().checked_sub(1) {
        Some(last) if last >= leading => Ok(&tensor.dims()[leading..last]),
        _ => bail!(
            "expected at least {} axes, got {:?}",
            leading + 1,
            tensor.shape()
        ),
    }
}

/// Fails unless `tensor` is `leading`, the axes `between`, and `last`.
fn expect(
    name: &str,
    tensor: &Tensor,
    leading: &[usize],
    between: &[usize],
    last: usize,
) -> Result<()> {
    expect_shape(name, tensor, &[leading, between, &[last]].concat())
}

fn with_last(tensor: &Tensor, last: usize) -> Vec<usize> {
    [&tensor.dims()[..tensor.rank() - 1], &[last]].concat()
}

/// y = x Wᵀ + b, (B, ..., O), of x (B, ..., I), `weight` and `bias` (O).
pub fn forward(x: &Tensor, weight: Weight<'_>, bias: Option<&Tensor>) -> Result<Tensor> {
    let between = between(x, 1)?;
    let sizes = Sizes::new(weight, x.dim(0)?, 1, between)?;
    expect("inputs", x, &[sizes.batch], between, sizes.inputs)?;
    bias.map_or(Ok(()), |bias| expect_shape("bias", bias, &[sizes.outputs]))?;
    let y = by_path!(x, forward(sizes, x, weight.tensor, bias));
    y?.reshape(with_last(x, sizes.outputs))
}

/// ẏ = ẋ Wᵀ + x Ẇᵀ + ḃ, (B, V, ..., O). Without `dx` the input has no tangent.
pub fn tangent(
    x: &Tensor,
    weight: Weight<'_>,
    dx: Option<&Tensor>,
    dweight: &Tensor,
    dbias: Option<&Tensor>,
) -> Result<Tensor> {
    let (between, vectors) = (between(x, 1)?, dweight.dim(0)?);
    let sizes = Sizes::new(weight, x.dim(0)?, vectors, between)?;
    expect("inputs", x, &[sizes.batch], between, sizes.inputs)?;
    sizes.expect_weights("weight tangents", dweight)?;
    sizes.expect_biases("bias tangents", dbias)?;
    if let Some(dx) = dx {
        expect(
            "input tangents",
            dx,
            &[sizes.batch, vectors],
            between,
            sizes.inputs,
        )?;
    }
    let dy = by_path!(x, tangent(sizes, x, weight.tensor, dx, dweight, dbias));
    dy?.reshape([&[sizes.batch, vectors], between, &[sizes.outputs]].concat())
}

/// x̄ = ȳ W, (B, V, ..., I), of `cotangent` ȳ (B, V, ..., O).
pub fn input_cotangent(weight: Weight<'_>, cotangent: &Tensor) -> Result<Tensor> {
    let (between, batch, vectors) = (between(cotangent, 2)?, cotangent.dim(0)?, cotangent.dim(1)?);
    let sizes = Sizes::new(weight, batch, vectors, between)?;
    expect(
        "cotangents",
        cotangent,
        &[batch, vectors],
        between,
        sizes.outputs,
    )?;
    let x_bar = by_path!(cotangent, input_cotangent(sizes, weight.tensor, cotangent));
    x_bar?.reshape(with_last(cotangent, sizes.inputs))
}

/// W̄ += ȳᵀ x and b̄ += Σ ȳ, in place, of `cotangent` ȳ (B, V, ..., O), with W̄ stored as `order` says.
pub fn accumulate_cotangent(
    x: &Tensor,
    cotangent: &Tensor,
    order: Order,
    weight_sum: &Tensor,
    bias_sum: Option<&Tensor>,
) -> Result<()> {
    let (between, batch, vectors) = (between(cotangent, 2)?, cotangent.dim(0)?, cotangent.dim(1)?);
    let sizes = Sizes {
        batch,
        vectors,
        positions: between.iter().product(),
        inputs: x.dim(D::Minus1)?,
        outputs: cotangent.dim(D::Minus1)?,
        order,
    };
    expect("inputs", x, &[batch], between, sizes.inputs)?;
    sizes.expect_weights("weight sum", weight_sum)?;
    sizes.expect_biases("bias sum", bias_sum)?;
    by_path!(
        x,
        accumulate_cotangent(sizes, x, cotangent, weight_sum, bias_sum)
    )
}

/// W̄ += ȳᵀ ẋ in place, of the primal `cotangent` ȳ (B, ..., O) and the tangent `dx` (B, V, ..., I), with W̄ stored as
/// `order` says.
pub fn accumulate_second_order(
    cotangent: &Tensor,
    dx: &Tensor,
    order: Order,
    weight_sum: &Tensor,
) -> Result<()> {
    let (between, batch, vectors) = (between(dx, 2)?, dx.dim(0)?, dx.dim(1)?);
    let sizes = Sizes {
        batch,
        vectors,
        positions: between.iter().product(),
        inputs: dx.dim(D::Minus1)?,
        outputs: cotangent.dim(D::Minus1)?,
        order,
    };
    expect("cotangent", cotangent, &[batch], between, sizes.outputs)?;
    sizes.expect_weights("weight sum", weight_sum)?;
    by_path!(
        cotangent,
        accumulate_second_order(sizes, cotangent, dx, weight_sum)
    )
}

/// x̄ += ȳ Ẇ in place, (B, V, ..., I), of the primal `cotangent` ȳ (B, ..., O) and the tangent Ẇ, stored as `order` says.
pub fn add_second_order(
    cotangent: &Tensor,
    dweight: &Tensor,
    order: Order,
    input_sum: &Tensor,
) -> Result<()> {
    let (between, batch, vectors) = (between(input_sum, 2)?, input_sum.dim(0)?, input_sum.dim(1)?);
    let sizes = Sizes {
        batch,
        vectors,
        positions: between.iter().product(),
        inputs: input_sum.dim(D::Minus1)?,
        outputs: cotangent.dim(D::Minus1)?,
        order,
    };
    expect("cotangent", cotangent, &[batch], between, sizes.outputs)?;
    sizes.expect_weights("weight tangents", dweight)?;
    by_path!(
        cotangent,
        add_second_order(sizes, cotangent, dweight, input_sum)
    )
}
