//! AMSGrad: Adam whose denominator never falls.
//!
//! ```text
//! m, v as in Adam
//! w <- max(w, v)
//! θ <- θ - lr m / (1 - β1^t) / (√(w / (1 - β2^t)) + ε)
//! ```
//!
//! Reddi, Kale & Kumar (2018), algorithm 2, which has no bias corrections; with them as in
//! `torch.optim.Adam(amsgrad=True)` and, for decoupled decay, `AdamW(amsgrad=True)`: the largest of
//! the moments before their correction.

use candle_core::Tensor;

use crate::Error;
use crate::decay::Decay;
use crate::moments::{MomentSettings, Moments, optimizer};

/// AMSGrad; its state is the vectors `first_moment`, `second_moment` and `largest_second_moment`.
#[derive(Debug)]
pub struct AmsGrad<D>(Moments<D>);

impl<D: Decay> AmsGrad<D> {
    /// An optimiser of vectors like `theta` (P), with zero moments.
    ///
    /// # Errors
    /// [`Error::Range`], [`Error::Excluded`], [`Error::NumberType`] or a device error.
    pub fn new(settings: MomentSettings, decay: D, theta: &Tensor) -> Result<Self, Error> {
        Ok(Self(Moments::new(settings, decay, theta)?.with_largest()?))
    }
}

optimizer!(AmsGrad);
