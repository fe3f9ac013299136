//! Adam and AdamW.
//!
//! ```text
//! m <- β1 m + (1 - β1) g        m^ = m / (1 - β1^t)
//! v <- β2 v + (1 - β2) g²       v^ = v / (1 - β2^t)
//! θ <- θ - lr m^ / (√v^ + ε)
//! ```
//!
//! Kingma & Ba (2015), algorithm 1, with ε outside the root of the corrected moment, as in
//! `torch.optim.Adam`. With coupled L2 the gradient g includes wd θ; with decoupled decay this is
//! `torch.optim.AdamW`, the base optimiser of Gadam.

use candle_core::Tensor;

use crate::Error;
use crate::decay::{Decay, DecoupledDecay};
use crate::moments::{MomentSettings, Moments, optimizer};

/// Adam; its state is the vectors `first_moment` and `second_moment`.
#[derive(Debug)]
pub struct Adam<D>(Moments<D>);

/// Adam with decoupled decay: Loshchilov & Hutter (2019), scaled as in `torch.optim.AdamW`.
pub type AdamW = Adam<DecoupledDecay>;

impl<D: Decay> Adam<D> {
    /// An optimiser of vectors like `theta` (P), with zero moments.
    ///
    /// # Errors
    /// [`Error::Range`], [`Error::Excluded`], [`Error::NumberType`] or a device error.
    pub fn new(settings: MomentSettings, decay: D, theta: &Tensor) -> Result<Self, Error> {
        Ok(Self(Moments::new(settings, decay, theta)?))
    }
}

optimizer!(Adam);
