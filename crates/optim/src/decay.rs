//! The two weight decays, which agree for plain gradient descent only.
//!
//! ```text
//! coupled L2         g <- g + wd θ          before the moments see g
//! decoupled decay    θ <- (1 - lr wd) θ     before the step; the moments do not see it
//! ```
//!
//! Coupled L2 is the gradient of (wd/2) ‖θ‖², the `weight_decay` of `torch.optim.SGD` and `Adam`.
//! Decoupled decay is that of `torch.optim.AdamW`: it is scaled by the learning rate of the step,
//! where Loshchilov & Hutter (2019), algorithm 2, scale it by the schedule's factor alone.
//!
//! Ranges of θ may be left out, as is often done with biases and normalisation. By default
//! everything decays, as in the paper's runs.

use std::ops::Range;

use candle_core::Tensor;

pub(crate) use self::sealed::Factors;
use self::sealed::Sealed;
use crate::{Error, checks};

/// L2 regularisation whose gradient is added to that of the loss.
#[derive(Debug, Clone, PartialEq)]
pub struct CoupledL2 {
    coefficient: f64,
    excluded: Vec<Range<usize>>,
}

/// Decay of the parameters themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoupledDecay {
    coefficient: f64,
    excluded: Vec<Range<usize>>,
}

/// A weight decay: [`CoupledL2`] or [`DecoupledDecay`].
pub trait Decay: std::fmt::Debug + Clone + Send + Sealed {
    /// The coefficient wd; 0 is no decay.
    fn coefficient(&self) -> f64;

    /// Ranges of θ that do not decay.
    fn excluded(&self) -> &[Range<usize>];
}

mod sealed {
    /// g <- g + `coupled` θ, θ <- `keep` θ.
    #[derive(Debug, Clone, Copy)]
    pub struct Factors {
        pub(crate) coupled: f64,
        pub(crate) keep: f64,
    }

    impl Factors {
        pub(crate) const NO_DECAY: Self = Self {
            coupled: 0.0,
            keep: 1.0,
        };
    }

    pub trait Sealed {
        /// What happens to the elements that decay.
        fn factors(&self, learning_rate: f64) -> Factors;
    }
}

macro_rules! decay {
    ($type:ty, $factors:expr) => {
        impl $type {
            /// The decay of all of θ with the coefficient wd.
            ///
            /// # Errors
            /// [`Error::Range`] for a coefficient that is negative or not finite.
            pub fn new(coefficient: f64) -> Result<Self, Error> {
                checks::finite_and_not_negative("the weight decay", coefficient)?;
                Ok(Self {
                    coefficient,
                    excluded: Vec::new(),
                })
            }

            /// The same without the elements of `ranges`, ascending and disjoint.
            ///
            /// # Errors
            /// [`Error::Excluded`] for ranges that are not so.
            pub fn excluding(
                self,
                ranges: impl IntoIterator<Item = Range<usize>>,
            ) -> Result<Self, Error> {
                let excluded: Vec<_> = ranges.into_iter().collect();
                check_ranges(&excluded, usize::MAX)?;
                Ok(Self { excluded, ..self })
            }
        }

        impl Decay for $type {
            fn coefficient(&self) -> f64 {
                self.coefficient
            }

            fn excluded(&self) -> &[Range<usize>] {
                &self.excluded
            }
        }

        impl Sealed for $type {
            fn factors(&self, learning_rate: f64) -> Factors {
                $factors(self.coefficient, learning_rate)
            }
        }
    };
}
decay!(CoupledL2, |coefficient, _| Factors {
    coupled: coefficient,
    ..Factors::NO_DECAY
});
decay!(DecoupledDecay, |coefficient, learning_rate| Factors {
    keep: 1.0 - learning_rate * coefficient,
    ..Factors::NO_DECAY
});

fn check_ranges(ranges: &[Range<usize>], elements: usize) -> Result<(), Error> {
    let mut behind = 0;
    for range in ranges {
        if range.start < behind || range.end < range.start || range.end > elements {
            return Err(Error::Excluded {
                range: range.clone(),
                elements,
            });
        }
        behind = range.end;
    }
    Ok(())
}

/// A decay laid over vectors of P elements.
#[derive(Debug)]
pub(crate) struct Reach<D> {
    decay: D,
    elements: usize,
    /// 0 where nothing decays and 1 elsewhere, like θ; made when the plain path first needs it.
    mask: Option<Tensor>,
}

impl<D: Decay> Reach<D> {
    pub(crate) fn new(decay: D, theta: &Tensor) -> Result<Self, Error> {
        checks::number_type(theta)?;
        let elements = theta.elem_count();
        check_ranges(decay.excluded(), elements)?;
        Ok(Self {
            decay,
            elements,
            mask: None,
        })
    }

    /// Pieces that cover all elements in order, each with its `rule`.
    pub(crate) fn pieces<R>(
        &self,
        learning_rate: f64,
        rule: impl Fn(Factors) -> R,
    ) -> Vec<(Range<usize>, R)> {
        let factors = self.decay.factors(learning_rate);
        let mut pieces = Vec::with_capacity(2 * self.decay.excluded().len() + 1);
        let mut behind = 0;
        for excluded in self.decay.excluded() {
            pieces.push((behind..excluded.start, rule(factors)));
            pieces.push((excluded.clone(), rule(Factors::NO_DECAY)));
            behind = excluded.end;
        }
        pieces.push((behind..self.elements, rule(factors)));
        pieces
    }

    /// `theta` and `gradient` as they are after the decay, in operations of candle.
    pub(crate) fn plain(
        &mut self,
        theta: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
    ) -> Result<(Tensor, Tensor), Error> {
        let Factors { coupled, keep } = self.decay.factors(learning_rate);
        if self.decay.excluded().is_empty() {
            return Ok(((theta * keep)?, (gradient + (theta * coupled)?)?));
        }
        if self.mask.is_none() {
            self.mask = Some(self.make_mask(theta)?);
        }
        let decaying = match &self.mask {
            Some(mask) => (theta * mask)?,
            None => theta.clone(),
        };
        let decayed = (theta + (&decaying * (keep - 1.0))?)?;
        Ok((decayed, (gradient + (decaying * coupled)?)?))
    }

    fn make_mask(&self, theta: &Tensor) -> Result<Tensor, Error> {
        let mut mask = vec![1f32; self.elements];
        for excluded in self.decay.excluded() {
            mask[excluded.clone()].fill(0.0);
        }
        let mask = Tensor::from_vec(mask, theta.shape(), theta.device())?;
        Ok(mask.to_dtype(theta.dtype())?)
    }
}
