//! The elementwise functions that networks are made of, with f' and f''.
//!
//! ```text
//! relu           max(x, 0)                  f' = 1 where x > 0          f'' = 0
//! tanh           tanh x                     f' = 1 - y²                 f'' = -2 y (1 - y²)
//! softplus       log(1 + eˣ)                f' = s                      f'' = s (1 - s)
//! sigmoid        s = 1 / (1 + e⁻ˣ)          f' = s (1 - s)              f'' = s (1 - s) (1 - 2 s)
//! gelu           x Φ(x)                     f' = Φ + x φ                f'' = (2 - x²) φ
//! gelu, tanh     x (1 + t) / 2              t = tanh u,  u = √(2/π) (x + 0.044715 x³)
//! silu           x s                        f' = s (1 + x (1 - s))      f'' = s (1 - s) (2 + x (1 - 2 s))
//! mish           x t,  t = tanh(softplus)   f' = t + x s (1 - t²)
//! hard-swish     x min(max(x + 3, 0), 6) / 6
//! ```
//!
//! Φ and φ are the distribution and the density of the standard normal. Kinks are as in PyTorch: ReLU'(0) = 0
//! (candle's own has 1), at the ends of `Clip`, `HardSigmoid` and `HardSwish` the slope is that of the constant
//! side, as of `relu6` and `hardtanh`, |x|' = 0 at 0, and elsewhere a kink belongs to the side below it. On the
//! CPU, NaN passes through as it does there, so that a broken weight shows in the loss; candle's own ReLU turns it
//! into 0. Softplus is exact everywhere, where PyTorch's is x above 20.
//!
//! One more is an arm in `Function::derivatives`.

mod formulas;
#[cfg(test)]
mod tests;

use candle_core::{Error, Result, Tensor};

use crate::elementwise::add_in_place;
use crate::function::{self, Function, add_product, expect_block, map, product};
use crate::launch::launcher;
use crate::number::{Number, Text, Whole};
use crate::real::{Real, dispatch, expect_shape, on_cpu};

/// An elementwise function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// Rectified linear unit.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// Smooth relative of ReLU.
    Softplus,
    /// Logistic function.
    Sigmoid,
    /// x Φ(x).
    Gelu,
    /// The approximation of [`Activation::Gelu`] by a hyperbolic tangent.
    GeluTanh,
    /// x times its logistic function, also called swish.
    Silu,
    /// x above zero and `slope` x below.
    LeakyRelu {
        /// Below zero.
        slope: f64,
    },
    /// x above zero and `alpha` (eˣ - 1) below.
    Elu {
        /// Minus the limit far below zero.
        alpha: f64,
    },
    /// `slope` x + `shift`, cut off below 0 and above 1: 1/6 and 1/2 in PyTorch.
    HardSigmoid {
        /// Between the ends.
        slope: f64,
        /// At zero.
        shift: f64,
    },
    /// x times the hard sigmoid of PyTorch.
    HardSwish,
    /// x tanh(softplus(x)).
    Mish,
    /// x, cut off below `lowest` and above `highest`: 0 and 6 are ReLU6.
    Clip {
        /// -∞ for no bound.
        lowest: f64,
        /// ∞ for no bound.
        highest: f64,
    },
    /// Exponential.
    Exp,
    /// Natural logarithm.
    Log,
    /// Square root.
    Sqrt,
    /// 1 / x.
    Reciprocal,
    /// Power with a constant exponent.
    Power {
        /// Any number; of negative x the power is a number for whole ones only.
        exponent: f64,
    },
    /// Error function.
    Erf,
    /// Absolute value.
    Abs,
    /// `scale` x + `shift`.
    Linear {
        /// Factor.
        scale: f64,
        /// At zero.
        shift: f64,
    },
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// 1 above zero and 0 below: what masks are made of. Its derivative is zero.
    Step {
        /// At zero.
        at_zero: f64,
    },
}

impl Activation {
    /// y = f(x), and what the products are computed of: y of relu and tanh, s of softplus, nothing of a linear
    /// function, and f' and f'' of others.
    ///
    /// # Errors
    /// A number type other than f32 and f64, a tensor that is not contiguous, or a device error.
    pub fn evaluate(self, x: &Tensor) -> Result<(Tensor, Vec<Tensor>)> {
        let y = match self {
            Self::Linear { scale, shift } => return Ok((affine(x, scale, shift)?, Vec::new())),
            Self::Relu | Self::Tanh | Self::Softplus if on_cpu(x) => {
                let (y, kept) = dispatch!(x.dtype(), evaluate_on_slices(self, x))?;
                return Ok((y, vec![kept]));
            }
            Self::Relu | Self::Tanh | Self::Softplus if launcher(x).is_some() => {
                return self.launched(x);
            }
            Self::Relu => x.relu()?,
            Self::Tanh => x.tanh()?,
            Self::Softplus => {
                let [y, s, _] = self.derivatives(&Whole::new(x));
                return Ok((y.tensor()?, vec![s.tensor()?]));
            }
            _ => return function::evaluate(&self, x),
        };
        Ok((y.clone(), vec![y]))
    }

    /// f'(x) ⊙ ẋ for every vector of `block` ẋ (B, V, ...), with what `evaluate` has `kept`, (B, ...) each.
    ///
    /// # Errors
    /// As [`Activation::evaluate`], and shapes that do not fit.
    pub fn slope_product(self, kept: &[Tensor], block: &Tensor) -> Result<Tensor> {
        let Some(kept) = kept.first() else {
            return match self {
                Self::Linear { scale, .. } => affine(block, scale, 0.0),
                _ => candle_core::bail!("expected what `evaluate` has kept"),
            };
        };
        expect_block(kept, block)?;
        if on_cpu(kept) {
            return dispatch!(kept.dtype(), slope_product_on_slices(self, kept, block));
        }
        if let Some(launcher) = launcher(kept) {
            let slope = match self {
                Self::Relu => "(kept > T(0) ? T(1) : T(0))",
                Self::Tanh => "(T(1) - kept * kept)",
                _ => function::launched::KEPT,
            };
            return function::launched::slope_product(&*launcher, slope, kept, block);
        }
        let slope = match self {
            Self::Relu => kept.gt(0.0)?.to_dtype(kept.dtype())?,
            Self::Tanh => kept.sqr()?.affine(-1.0, 1.0)?,
            _ => kept.clone(),
        };
        block.broadcast_mul(&slope.unsqueeze(1)?)
    }

    /// sum += ȳ ⊙ f''(x) ⊙ ẋ for every vector of `block` ẋ (B, V, ...) in place, with what `evaluate` has
    /// `kept`; it and the primal `cotangent` ȳ are (B, ...). Nothing is added where f'' is zero.
    ///
    /// # Errors
    /// As [`Activation::slope_product`], and a sum that shares the storage of an operand.
    pub fn add_curvature_product(
        self,
        kept: &[Tensor],
        cotangent: &Tensor,
        block: &Tensor,
        sum: &Tensor,
    ) -> Result<()> {
        if self.is_piecewise_linear() {
            return Ok(());
        }
        let kept = match (self, kept) {
            (Self::Tanh | Self::Softplus, [kept]) => kept,
            (_, [_, curvature]) => {
                return function::add_curvature_product(curvature, cotangent, block, sum);
            }
            _ => candle_core::bail!("expected what `evaluate` has kept"),
        };
        expect_block(kept, block)?;
        expect_shape("cotangent", cotangent, kept.dims())?;
        expect_shape("sum", sum, block.dims())?;
        if on_cpu(kept) {
            return dispatch!(
                kept.dtype(),
                add_curvature_product_on_slices(self, kept, cotangent, block, sum)
            );
        }
        if let Some(launcher) = launcher(kept) {
            let curvature = match self {
                Self::Tanh => "(kept * (T(2) * kept * kept - T(2)))",
                _ => "(kept * (T(1) - kept))",
            };
            let kept = [kept, cotangent];
            return function::launched::add_curvature_product(
                &*launcher, curvature, kept, block, sum,
            );
        }
        let curvature = match self {
            Self::Tanh => (kept * kept.sqr()?.affine(2.0, -2.0)?)?,
            _ => (kept * kept.affine(-1.0, 1.0)?)?,
        };
        let factors = (cotangent * curvature)?.unsqueeze(1)?;
        add_in_place(sum, &block.broadcast_mul(&factors)?)
    }

    /// [`Activation::evaluate`] of relu, tanh and softplus, which keep what others do not.
    fn launched(self, x: &Tensor) -> Result<(Tensor, Vec<Tensor>)> {
        let x_text = Text::new("x");
        let [mut y, s, _] = self.derivatives(&x_text);
        if self == Self::Relu {
            // Keeps what is not a number.
            y = x_text.then("x <= T(0) ? T(0) : x");
        }
        let results = match self {
            Self::Softplus => vec![("y", &y), ("s", &s)],
            _ => vec![("y", &y)],
        };
        let Some(launcher) = launcher(x) else {
            candle_core::bail!("expected a device with kernels");
        };
        let mut results = function::launched::evaluate(&*launcher, x, &results)?;
        let y = results.remove(0);
        let kept = results.pop().unwrap_or_else(|| y.clone());
        Ok((y, vec![kept]))
    }
}

/// scale x + shift of every element.
fn affine(x: &Tensor, scale: f64, shift: f64) -> Result<Tensor> {
    match launcher(x) {
        Some(launcher) => {
            let line = Text::new("x").affine(scale, shift);
            let results = function::launched::evaluate(&*launcher, x, &[("y", &line)])?;
            results
                .into_iter()
                .next()
                .ok_or_else(|| Error::msg("no result"))
        }
        None => x.affine(scale, shift),
    }
}

fn evaluate_on_slices<T: Real>(activation: Activation, x: &Tensor) -> Result<(Tensor, Tensor)> {
    let y = match activation {
        Activation::Relu => map::<T>(x, |x| if x <= T::ZERO { T::ZERO } else { x })?,
        Activation::Tanh => map::<T>(x, T::tanh)?,
        _ => {
            let softplus = |x: T| {
                let (largest, magnitude) = if x > T::ZERO { (x, x) } else { (T::ZERO, -x) };
                largest + (-magnitude).exp().ln_1p()
            };
            let slope = |x: T| T::ONE / (T::ONE + (-x).exp());
            return Ok((map(x, softplus)?, map(x, slope)?));
        }
    };
    Ok((y.clone(), y))
}

fn slope_product_on_slices<T: Real>(
    activation: Activation,
    kept: &Tensor,
    block: &Tensor,
) -> Result<Tensor> {
    match activation {
        Activation::Relu => product(kept, block, |y, x| if y > T::ZERO { x } else { T::ZERO }),
        Activation::Tanh => product(kept, block, |y, x: T| x * (T::ONE - y * y)),
        _ => product(kept, block, |slope, x: T| x * slope),
    }
}

fn add_curvature_product_on_slices<T: Real>(
    activation: Activation,
    kept: &Tensor,
    cotangent: &Tensor,
    block: &Tensor,
    sum: &Tensor,
) -> Result<()> {
    let two = T::ONE + T::ONE;
    match activation {
        Activation::Tanh => add_product(kept, cotangent, block, sum, move |y: T| {
            y * (y * y * two - two)
        }),
        _ => add_product(kept, cotangent, block, sum, |s: T| s * (T::ONE - s)),
    }
}
