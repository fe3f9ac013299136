//! Elementwise functions and the products with their derivatives.
//!
//! ```text
//! relu        max(x, 0)       f' = 1 where x > 0     f'' = 0
//! tanh        tanh x          f' = 1 - y²            f'' = -2 y (1 - y²)
//! softplus    log(1 + eˣ)     f' = s                 f'' = s (1 - s)        s = 1 / (1 + e⁻ˣ)
//! ```
//!
//! ReLU'(0) = 0, as in PyTorch (candle's own has 1). On the CPU, NaN passes through ReLU as it does
//! there, so that a broken weight shows in the loss; candle's own turns it into 0. Softplus is
//! exact everywhere, where PyTorch's is x above 20.

#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor};

use crate::collect::collect;
use crate::real::{Real, dispatch, elements, expect_shape, on_cpu, tensor};

/// An elementwise function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Rectified linear unit.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// Smooth relative of ReLU.
    Softplus,
}

impl Activation {
    /// y = f(x), and what the derivatives are computed of: s for softplus, y for the others.
    ///
    /// # Errors
    /// A number type other than f32 and f64, a tensor that is not contiguous, or a device error.
    pub fn evaluate(self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        if on_cpu(x) {
            return dispatch!(x.dtype(), evaluate_on_slices(self, x));
        }
        let y = match self {
            Self::Relu => x.relu()?,
            Self::Tanh => x.tanh()?,
            Self::Softplus => {
                let exponential = x.abs()?.neg()?.exp()?;
                // As in the cross-entropy: candle has no log1p, and log(u) alone loses what is small.
                let sum = (&exponential + 1.0)?;
                let lost = ((exponential - (&sum - 1.0)?)? / &sum)?;
                let y = ((x.relu()? + sum.log()?)? + lost)?;
                return Ok((y, (x.neg()?.exp()? + 1.0)?.recip()?));
            }
        };
        Ok((y.clone(), y))
    }

    /// f'(x) ⊙ ẋ for every vector of `block` ẋ (B, V, ...), with what `evaluate` has `kept`, (B, ...).
    ///
    /// # Errors
    /// As [`Activation::evaluate`], and shapes that do not fit.
    pub fn slope_product(self, kept: &Tensor, block: &Tensor) -> Result<Tensor> {
        expect_block(kept, block)?;
        if on_cpu(kept) {
            return dispatch!(kept.dtype(), slope_product_on_slices(self, kept, block));
        }
        let slope = match self {
            Self::Relu => kept.gt(0.0)?.to_dtype(kept.dtype())?,
            Self::Tanh => kept.sqr()?.affine(-1.0, 1.0)?,
            Self::Softplus => kept.clone(),
        };
        block.broadcast_mul(&slope.unsqueeze(1)?)
    }

    /// ȳ ⊙ f''(x) ⊙ ẋ for every vector of `block` ẋ (B, V, ...); `kept` and the primal `cotangent` ȳ
    /// are (B, ...). None where f'' is zero.
    ///
    /// # Errors
    /// As [`Activation::slope_product`].
    pub fn curvature_product(
        self,
        kept: &Tensor,
        cotangent: &Tensor,
        block: &Tensor,
    ) -> Result<Option<Tensor>> {
        expect_block(kept, block)?;
        let curvature = match self {
            Self::Relu => return Ok(None),
            Self::Tanh => (kept * kept.sqr()?.affine(2.0, -2.0)?)?,
            Self::Softplus => (kept * kept.affine(-1.0, 1.0)?)?,
        };
        let factors = (cotangent * curvature)?.unsqueeze(1)?;
        Ok(Some(block.broadcast_mul(&factors)?))
    }
}

/// Fails unless `block` is (B, V, ...) of `kept` (B, ...).
fn expect_block(kept: &Tensor, block: &Tensor) -> Result<()> {
    let (examples, vectors) = (kept.dim(0)?, block.dim(1)?);
    let expected = [&[examples, vectors], &kept.dims()[1..]].concat();
    expect_shape("block", block, &expected)
}

fn evaluate_on_slices<T: Real>(activation: Activation, x: &Tensor) -> Result<(Tensor, Tensor)> {
    Ok(match activation {
        Activation::Relu => {
            let y = map::<T>(x, |x| if x <= T::ZERO { T::ZERO } else { x })?;
            (y.clone(), y)
        }
        Activation::Tanh => {
            let y = map::<T>(x, T::tanh)?;
            (y.clone(), y)
        }
        Activation::Softplus => {
            let softplus = |x: T| {
                let (largest, magnitude) = if x > T::ZERO { (x, x) } else { (T::ZERO, -x) };
                largest + (-magnitude).exp().ln_1p()
            };
            let slope = |x: T| T::ONE / (T::ONE + (-x).exp());
            (map(x, softplus)?, map(x, slope)?)
        }
    })
}

fn map<T: Real>(x: &Tensor, function: impl Fn(T) -> T + Sync) -> Result<Tensor> {
    let values = elements::<T>(x)?;
    let values = values.slice()?;
    let mapped = collect(values.len(), 1, |part, spare| {
        spare.extend(values[part].iter().map(|&x| function(x)));
        Ok(())
    })?;
    tensor(mapped, x.shape(), x)
}

fn slope_product_on_slices<T: Real>(
    activation: Activation,
    kept: &Tensor,
    block: &Tensor,
) -> Result<Tensor> {
    match activation {
        Activation::Relu => product(kept, block, |y, x| if y > T::ZERO { x } else { T::ZERO }),
        Activation::Tanh => product(kept, block, |y, x: T| x * (T::ONE - y * y)),
        Activation::Softplus => product(kept, block, |slope, x: T| x * slope),
    }
}

/// `function` of the elements of each vector of `block` and those of `kept`, in one pass.
fn product<T: Real>(
    kept: &Tensor,
    block: &Tensor,
    function: impl Fn(T, T) -> T + Sync,
) -> Result<Tensor> {
    let (kept_values, block_values) = (elements::<T>(kept)?, elements::<T>(block)?);
    let (kept_values, block_values) = (kept_values.slice()?, block_values.slice()?);
    let (examples, vectors) = (kept.dim(0)?, block.dim(1)?);
    let (rows, width) = (examples * vectors, kept_values.len() / examples.max(1));
    let products = collect(rows, width, |rows, spare| {
        for row in rows {
            let kept = &kept_values[row / vectors * width..][..width];
            let pairs = kept.iter().zip(&block_values[row * width..][..width]);
            spare.extend(pairs.map(|(&kept, &x)| function(kept, x)));
        }
        Ok(())
    })?;
    tensor(products, block.shape(), block)
}
