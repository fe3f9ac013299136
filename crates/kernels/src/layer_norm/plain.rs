//! The passes as candle operations, for every device.

use candle_core::{D, DType, Result, Tensor};

use super::{Point, Sizes};
use crate::elementwise::add_in_place;

pub(super) fn normalise(x: &Tensor, epsilon: f64) -> Result<(Tensor, Tensor)> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let r = (variance + epsilon)?.sqrt()?.recip()?;
    Ok((centred.broadcast_mul(&r)?, r.squeeze(D::Minus1)?))
}

impl Sizes {
    /// x̂ or a primal cotangent as (B, 1, M, G, W).
    fn primal(self, tensor: &Tensor) -> Result<Tensor> {
        tensor.reshape((self.examples, 1, self.repeats, self.groups, self.width))
    }

    /// A block as (B, V, M, G, W).
    fn block(self, tensor: &Tensor) -> Result<Tensor> {
        tensor.reshape((
            self.examples,
            self.vectors,
            self.repeats,
            self.groups,
            self.width,
        ))
    }

    /// r as (B, 1, M, G, 1).
    fn r(self, r: &Tensor) -> Result<Tensor> {
        r.reshape((self.examples, 1, self.repeats, self.groups, 1))
    }

    /// A parameter as (1, 1, G, W), or tangents of it as (V, 1, G, W).
    fn parameter(self, tensor: &Tensor) -> Result<Tensor> {
        let vectors = if tensor.rank() == 1 {
            1
        } else {
            tensor.dim(0)?
        };
        tensor.reshape((vectors, 1, self.groups, self.width))
    }

    /// Sums over batch and repeats, (V, P · run) in float64, of (B, V, M, G, W).
    fn gathered(self, terms: &Tensor) -> Result<Tensor> {
        let sums = terms.to_dtype(DType::F64)?.sum((0, 2))?;
        sums.reshape((self.vectors, self.period()))
    }
}

pub(super) fn scaled(
    sizes: Sizes,
    normalised: &Tensor,
    [slope, shift]: [Option<&Tensor>; 2],
) -> Result<Tensor> {
    let x = sizes.primal(normalised)?;
    let scaled = match slope {
        Some(slope) => x.broadcast_mul(&sizes.parameter(slope)?)?,
        None => x.zeros_like()?,
    };
    match shift {
        Some(shift) => scaled.broadcast_add(&sizes.parameter(shift)?),
        None => Ok(scaled),
    }
}

/// N(b) of a block b.
fn projected(sizes: Sizes, at: Point<'_>, block: &Tensor) -> Result<Tensor> {
    let x = sizes.primal(at.normalised)?;
    let q = block.broadcast_mul(&x)?.mean_keepdim(D::Minus1)?;
    let centred = block.broadcast_sub(&block.mean_keepdim(D::Minus1)?)?;
    (centred - q.broadcast_mul(&x)?)?.broadcast_mul(&sizes.r(at.r)?)
}

fn times(sizes: Sizes, block: Tensor, parameter: Option<&Tensor>) -> Result<Tensor> {
    match parameter {
        Some(parameter) => block.broadcast_mul(&sizes.parameter(parameter)?),
        None => Ok(block),
    }
}

pub(super) fn tangent(
    sizes: Sizes,
    at: Point<'_>,
    gamma: Option<&Tensor>,
    dx: &Tensor,
    parameters: [Option<&Tensor>; 2],
) -> Result<Tensor> {
    let moved = times(sizes, projected(sizes, at, &sizes.block(dx)?)?, gamma)?;
    match parameters {
        [None, None] => Ok(moved),
        _ => moved.broadcast_add(&scaled(sizes, at.normalised, parameters)?),
    }
}

pub(super) fn input_cotangent(
    sizes: Sizes,
    at: Point<'_>,
    gamma: Option<&Tensor>,
    cotangent: &Tensor,
) -> Result<Tensor> {
    projected(sizes, at, &times(sizes, sizes.block(cotangent)?, gamma)?)
}

pub(super) fn parameter_sums(
    sizes: Sizes,
    normalised: &Tensor,
    cotangent: &Tensor,
) -> Result<[Tensor; 2]> {
    let cotangent = sizes.block(cotangent)?;
    let products = cotangent.broadcast_mul(&sizes.primal(normalised)?)?;
    Ok([sizes.gathered(&products)?, sizes.gathered(&cotangent)?])
}

pub(super) fn add_second_order(
    sizes: Sizes,
    at: Point<'_>,
    [gamma, dgamma]: [Option<&Tensor>; 2],
    cotangent: &Tensor,
    dx: Option<&Tensor>,
    input_sum: Option<&Tensor>,
) -> Result<Option<Tensor>> {
    let (x, r) = (sizes.primal(at.normalised)?, sizes.r(at.r)?);
    let cotangent = sizes.primal(cotangent)?;
    let add = |terms: &Tensor| match input_sum {
        Some(sum) => add_in_place(
            sum,
            &terms
                .broadcast_as(sizes.block(sum)?.shape())?
                .reshape(sum.shape())?,
        ),
        None => Ok(()),
    };
    if let Some(dgamma) = dgamma {
        let turned = cotangent.broadcast_mul(&sizes.parameter(dgamma)?)?;
        add(&projected(sizes, at, &turned)?)?;
    }
    let Some(dx) = dx else {
        return Ok(None);
    };
    let dx = sizes.block(dx)?;
    let moved = projected(sizes, at, &dx)?;
    let u = times(sizes, cotangent.clone(), gamma)?;
    let p = dx.broadcast_mul(&x)?.mean_keepdim(D::Minus1)?;
    let q = (&u * &x)?.mean_keepdim(D::Minus1)?;
    let k = moved.broadcast_mul(&u)?.mean_keepdim(D::Minus1)?;
    let terms = p
        .broadcast_mul(&projected(sizes, at, &u)?)?
        .add(&moved.broadcast_mul(&q)?)?
        .add(&k.broadcast_mul(&x)?)?;
    add(&terms.broadcast_mul(&r)?.neg()?)?;
    sizes.gathered(&moved.broadcast_mul(&cotangent)?).map(Some)
}
