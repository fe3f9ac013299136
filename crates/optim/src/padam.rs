//! Padam: AMSGrad that adapts partially, between Adam (p = 1/2) and SGD (p -> 0).
//!
//! ```text
//! m, v as in Adam; w <- max(w, v)
//! θ <- θ - lr √(1 - β2^t) / (1 - β1^t) · m / (√w + ε)^{2p}
//! ```
//!
//! Chen et al., "Closing the generalization gap of adaptive gradient methods in training deep
//! neural networks" (2018), as in the authors' software (github.com/uclaml/Padam, `Padam.py`, with
//! `amsgrad` on) and its copy in the software of Gadam (github.com/diegogranziol/Gadam,
//! `base_optimizers/padam.py`). The paper's algorithm 1 has neither corrections nor ε. In the
//! software ε is added to the root of the largest moment before any correction, and *inside* the
//! power: the denominator is (√w + ε)^{2p}, and not w^p + ε. The correction √(1 - β2^t) is not
//! raised to 2p either. So p = 1/2 is AMSGrad of [`AmsGrad`](crate::AmsGrad) but for ε, which
//! counts 1 / √(1 - β2^t) times as much here.
//!
//! GadamX is Padam with p = 1/8 and an average of its iterates. Its software runs it with decoupled
//! decay, θ <- (1 - lr wd) θ before the step, and calls the one with coupled L2 Padam.

use candle_core::Tensor;

use crate::decay::Decay;
use crate::moments::{Correction, Exponent, MomentSettings, Moments, optimizer};
use crate::{Error, checks};

/// Padam; its state is the vectors `first_moment`, `second_moment` and `largest_second_moment`.
#[derive(Debug)]
pub struct Padam<D>(Moments<D>);

impl<D: Decay> Padam<D> {
    /// An optimiser of vectors like `theta` (P), with zero moments; `partial` is p, in (0, 1/2].
    /// Values other than 1/2, 1/4 and 1/8 take a general power, which is slow on the CPU.
    ///
    /// # Errors
    /// [`Error::Range`], [`Error::Excluded`], [`Error::NumberType`] or a device error.
    pub fn new(
        settings: MomentSettings,
        partial: f64,
        decay: D,
        theta: &Tensor,
    ) -> Result<Self, Error> {
        let inside = partial > 0.0 && partial <= 0.5;
        checks::range("the partial exponent", partial, "in (0, 1/2]", inside)?;
        let exponent = if partial == 0.5 {
            Exponent::One
        } else if partial == 0.25 {
            Exponent::Half
        } else if partial == 0.125 {
            Exponent::Quarter
        } else {
            Exponent::Other(2.0 * partial)
        };
        let moments = Moments::new(settings, decay, theta)?.with_largest()?;
        Ok(Self(moments.with_form(Correction::StepSize, exponent)))
    }
}

optimizer!(Padam);
