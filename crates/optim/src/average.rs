//! Averages of iterates: plain accumulators over any vector.
//!
//! Means are kept in double precision whatever the iterates are: with the share 1/k of a late
//! iterate, single precision rounds its whole contribution away when k reaches 2^24, and drifts long
//! before. What a step is, a batch or an epoch, is the caller's choice.
//!
//! The named methods are compositions: SWA is [`Sgd`](crate::Sgd) with a [`UniformAverage`], Gadam
//! [`AdamW`](crate::AdamW) and GadamX [`Padam`](crate::Padam) with one. Batch-norm statistics
//! belong to the parameters they were taken at, so they are taken anew at an average.

mod exponential;
mod tail;
mod uniform;

use candle_core::{DType, Tensor};
use flatness_kernels::{Elementwise, Real, on_cpu, update_elements};

pub use exponential::ExponentialAverage;
pub use tail::TailAverage;
pub use uniform::UniformAverage;

use crate::checks::Form;
use crate::{Error, State, checks};

/// An average of the iterates seen so far.
pub trait Average: std::fmt::Debug + Send {
    /// Takes the next iterate (P); it is copied.
    ///
    /// # Errors
    /// [`Error::Vector`], [`Error::Strided`] or a device error.
    fn add(&mut self, iterate: &Tensor) -> Result<(), Error>;

    /// Number of iterates with a share in the average.
    fn count(&self) -> u64;

    /// The average (P) in the number type of the iterates.
    ///
    /// # Errors
    /// [`Error::NoIterates`] when nothing has been averaged, or a device error.
    fn average(&self) -> Result<Tensor, Error>;

    /// A copy of all that the next average depends on.
    ///
    /// # Errors
    /// A device error.
    fn state(&self) -> Result<State, Error>;

    /// Goes on from a saved state, with the same bits as if there had been no pause.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Unexpected`] or [`Error::Vector`], and nothing has changed then.
    fn restore(&mut self, state: &State) -> Result<(), Error>;
}

/// Fails for an iterate that is not of the form or strided.
fn check(iterate: &Tensor, form: &Form) -> Result<(), Error> {
    form.check("iterate", iterate)?;
    checks::contiguous("iterate", iterate)
}

/// A mean in double precision that iterates move.
#[derive(Debug)]
struct Mean {
    /// (P), f64.
    mean: Tensor,
    /// That of the iterates.
    form: Form,
}

impl Mean {
    /// The zero mean of vectors like `like`.
    fn new(like: &Tensor) -> Result<Self, Error> {
        checks::number_type(like)?;
        Ok(Self {
            mean: Tensor::zeros(like.shape(), DType::F64, like.device())?,
            form: Form::of(like),
        })
    }

    /// mean <- mean + share (iterate - mean).
    fn move_towards(&self, iterate: &Tensor, share: f64) -> Result<(), Error> {
        let all = 0..self.mean.elem_count();
        match self.form.dtype {
            DType::F32 if on_cpu(iterate) => {
                let rule = Move::<f32>::by(share);
                update_elements([&self.mean], [iterate], &[(all, rule)])?;
            }
            DType::F64 if on_cpu(iterate) => {
                let rule = Move::<f64>::by(share);
                update_elements([&self.mean], [iterate], &[(all, rule)])?;
            }
            _ => self.move_plainly(iterate, share)?,
        }
        Ok(())
    }

    fn move_plainly(&self, iterate: &Tensor, share: f64) -> Result<(), Error> {
        let way = (iterate.to_dtype(DType::F64)? - &self.mean)?;
        let moved = (&self.mean + (way * share)?)?;
        Ok(self.mean.slice_set(&moved, 0, 0)?)
    }

    fn rounded(&self) -> Result<Tensor, Error> {
        // A copy even where the number type stays, since the mean goes on changing.
        Ok(self.mean.to_dtype(self.form.dtype)?.copy()?)
    }
}

struct Move<T> {
    share: f64,
    iterate: std::marker::PhantomData<fn() -> T>,
}

impl<T> Move<T> {
    fn by(share: f64) -> Self {
        Self {
            share,
            iterate: std::marker::PhantomData,
        }
    }
}

impl<T: Real> Elementwise<1, 1> for Move<T> {
    type Target = f64;
    type Source = T;

    #[inline(always)]
    fn apply(&self, [mean]: [f64; 1], [iterate]: [T; 1]) -> [f64; 1] {
        [mean + self.share * (iterate.to_f64() - mean)]
    }
}
