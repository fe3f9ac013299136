//! Numbers in which the formulas of elementwise functions are written once: f32, f64, whole tensors
//! by candle's operations, and the text of a kernel.

mod text;

pub(crate) use text::Text;

use std::sync::Arc;

use candle_core::{Error, Result, Tensor};

/// A number x, or a tensor of them.
pub trait Number: Clone {
    /// a x + b.
    #[must_use]
    fn affine(&self, a: f64, b: f64) -> Self;
    /// `value`, whatever x is.
    #[must_use]
    fn constant(&self, value: f64) -> Self;
    /// x + other.
    #[must_use]
    fn plus(&self, other: &Self) -> Self;
    /// x - other.
    #[must_use]
    fn minus(&self, other: &Self) -> Self;
    /// x · other.
    #[must_use]
    fn times(&self, other: &Self) -> Self;
    /// x / other.
    #[must_use]
    fn over(&self, other: &Self) -> Self;
    /// The exponential.
    #[must_use]
    fn exp(&self) -> Self;
    /// The exponential less 1, exact where x is small.
    #[must_use]
    fn exp_m1(&self) -> Self;
    /// The natural logarithm.
    #[must_use]
    fn ln(&self) -> Self;
    /// log(1 + x), exact where x is small.
    #[must_use]
    fn ln_1p(&self) -> Self;
    /// The hyperbolic tangent.
    #[must_use]
    fn tanh(&self) -> Self;
    /// The error function.
    #[must_use]
    fn erf(&self) -> Self;
    /// The sine.
    #[must_use]
    fn sin(&self) -> Self;
    /// The cosine.
    #[must_use]
    fn cos(&self) -> Self;
    /// The square root.
    #[must_use]
    fn sqrt(&self) -> Self;
    /// The power with a real exponent.
    #[must_use]
    fn powf(&self, exponent: f64) -> Self;
    /// `above` where x > `bound`; `otherwise` elsewhere, and where x is not a number.
    #[must_use]
    fn choose(&self, bound: f64, above: &Self, otherwise: &Self) -> Self;

    /// x².
    #[must_use]
    fn squared(&self) -> Self {
        self.times(self)
    }

    /// 1 / x.
    #[must_use]
    fn reciprocal(&self) -> Self {
        self.constant(1.0).over(self)
    }

    /// 1 / (1 + e⁻ˣ).
    #[must_use]
    fn sigmoid(&self) -> Self {
        self.affine(-1.0, 0.0).exp().affine(1.0, 1.0).reciprocal()
    }
}

macro_rules! number {
    ($type:ty, $erf:path) => {
        impl Number for $type {
            number!($type: exp, exp_m1, ln, ln_1p, tanh, sin, cos, sqrt);

            #[inline(always)]
            fn affine(&self, a: f64, b: f64) -> Self {
                a as Self * self + b as Self
            }
            #[inline(always)]
            fn constant(&self, value: f64) -> Self {
                value as Self
            }
            #[inline(always)]
            fn plus(&self, other: &Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn minus(&self, other: &Self) -> Self {
                self - other
            }
            #[inline(always)]
            fn times(&self, other: &Self) -> Self {
                self * other
            }
            #[inline(always)]
            fn over(&self, other: &Self) -> Self {
                self / other
            }
            #[inline(always)]
            fn erf(&self) -> Self {
                $erf(*self)
            }
            #[inline(always)]
            fn powf(&self, exponent: f64) -> Self {
                <$type>::powf(*self, exponent as Self)
            }
            #[inline(always)]
            fn choose(&self, bound: f64, above: &Self, otherwise: &Self) -> Self {
                if *self > bound as Self { *above } else { *otherwise }
            }
        }
    };
    ($type:ty: $($function:ident),*) => {
        $(
            #[inline(always)]
            fn $function(&self) -> Self {
                <$type>::$function(*self)
            }
        )*
    };
}
number!(f32, candle_core::cpu::erf::erf_f32);
number!(f64, candle_core::cpu::erf::erf_f64);

/// A tensor, or the first error on the way to it. One of no axes is a number for all elements of others.
#[derive(Clone)]
pub(crate) struct Whole(std::result::Result<Tensor, Arc<Error>>);

impl Whole {
    pub(crate) fn new(tensor: &Tensor) -> Self {
        Self::of(Ok(tensor.clone()))
    }

    pub(crate) fn of(tensor: Result<Tensor>) -> Self {
        Self(tensor.map_err(Arc::new))
    }

    pub(crate) fn tensor(self) -> Result<Tensor> {
        self.0.map_err(|error| {
            Arc::into_inner(error).unwrap_or_else(|| Error::msg("a tensor operation failed"))
        })
    }

    fn then(&self, operation: impl FnOnce(&Tensor) -> Result<Tensor>) -> Self {
        Self(match &self.0 {
            Ok(tensor) => operation(tensor).map_err(Arc::new),
            Err(error) => Err(error.clone()),
        })
    }

    fn with(
        &self,
        other: &Self,
        operation: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>,
    ) -> Self {
        match &other.0 {
            Ok(other) => self.then(|tensor| operation(tensor, other)),
            Err(error) => Self(Err(error.clone())),
        }
    }
}

impl Number for Whole {
    fn affine(&self, a: f64, b: f64) -> Self {
        self.then(|x| x.affine(a, b))
    }

    fn constant(&self, value: f64) -> Self {
        self.then(|x| x.zeros_like()? + value)
    }

    fn plus(&self, other: &Self) -> Self {
        self.with(other, Tensor::broadcast_add)
    }

    fn minus(&self, other: &Self) -> Self {
        self.with(other, Tensor::broadcast_sub)
    }

    fn times(&self, other: &Self) -> Self {
        self.with(other, Tensor::broadcast_mul)
    }

    fn over(&self, other: &Self) -> Self {
        self.with(other, Tensor::broadcast_div)
    }

    fn exp(&self) -> Self {
        self.then(Tensor::exp)
    }

    /// tanh(x / 2) (eˣ + 1), since candle has no such operation.
    fn exp_m1(&self) -> Self {
        let half = self.affine(0.5, 0.0).tanh();
        half.times(&self.exp().affine(1.0, 1.0))
    }

    fn ln(&self) -> Self {
        self.then(Tensor::log)
    }

    /// candle has no such operation either, and log(u) alone loses what is small: here 0 ≤ x.
    fn ln_1p(&self) -> Self {
        let sum = self.affine(1.0, 1.0);
        let lost = self.minus(&sum.affine(1.0, -1.0)).over(&sum);
        sum.ln().plus(&lost)
    }

    fn tanh(&self) -> Self {
        self.then(Tensor::tanh)
    }

    fn erf(&self) -> Self {
        self.then(Tensor::erf)
    }

    fn sin(&self) -> Self {
        self.then(Tensor::sin)
    }

    fn cos(&self) -> Self {
        self.then(Tensor::cos)
    }

    fn sqrt(&self) -> Self {
        self.then(Tensor::sqrt)
    }

    fn powf(&self, exponent: f64) -> Self {
        self.then(|x| x.powf(exponent))
    }

    fn choose(&self, bound: f64, above: &Self, otherwise: &Self) -> Self {
        above.with(otherwise, |above, otherwise| {
            let x = self.clone().tensor()?;
            x.gt(bound)?.where_cond(above, otherwise)
        })
    }
}
