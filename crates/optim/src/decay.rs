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

use crate::{Error, checks};

/// A weight decay.
#[derive(Debug, Clone, PartialEq)]
pub struct Decay {
    kind: Kind,
    coefficient: f64,
    /// Ranges of θ that do not decay.
    excluded: Vec<Range<usize>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Coupled,
    Decoupled,
}

impl Decay {
    /// L2 regularisation of all of θ with the coefficient wd, whose gradient is added to that of the
    /// loss; 0 is no decay.
    ///
    /// # Errors
    /// [`Error::Range`] for a coefficient that is negative or not finite.
    pub fn coupled(coefficient: f64) -> Result<Self, Error> {
        Self::new(Kind::Coupled, coefficient)
    }

    /// Decay of the parameters themselves with the coefficient wd, all of them.
    ///
    /// # Errors
    /// As [`Decay::coupled`].
    pub fn decoupled(coefficient: f64) -> Result<Self, Error> {
        Self::new(Kind::Decoupled, coefficient)
    }

    fn new(kind: Kind, coefficient: f64) -> Result<Self, Error> {
        checks::finite_and_not_negative("the weight decay", coefficient)?;
        Ok(Self {
            kind,
            coefficient,
            excluded: Vec::new(),
        })
    }

    /// The same without the elements of `ranges`, ascending and disjoint.
    ///
    /// # Errors
    /// [`Error::Excluded`] for ranges that are not so.
    pub fn excluding(self, ranges: impl IntoIterator<Item = Range<usize>>) -> Result<Self, Error> {
        let excluded: Vec<_> = ranges.into_iter().collect();
        check_ranges(&excluded, usize::MAX)?;
        Ok(Self { excluded, ..self })
    }

    /// What happens to the elements that decay.
    fn factors(&self, learning_rate: f64) -> Factors {
        match self.kind {
            Kind::Coupled => Factors {
                coupled: self.coefficient,
                ..Factors::NO_DECAY
            },
            Kind::Decoupled => Factors {
                keep: 1.0 - learning_rate * self.coefficient,
                ..Factors::NO_DECAY
            },
        }
    }
}

/// g <- g + `coupled` θ, θ <- `keep` θ.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factors {
    pub(crate) coupled: f64,
    pub(crate) keep: f64,
}

impl Factors {
    const NO_DECAY: Self = Self {
        coupled: 0.0,
        keep: 1.0,
    };
}

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
pub(crate) struct Reach {
    decay: Decay,
    elements: usize,
}

impl Reach {
    pub(crate) fn new(decay: Decay, theta: &Tensor) -> Result<Self, Error> {
        checks::number_type(theta)?;
        let elements = theta.elem_count();
        check_ranges(&decay.excluded, elements)?;
        Ok(Self { decay, elements })
    }

    /// Pieces that cover all elements in order, each with its `rule`.
    pub(crate) fn pieces<R>(
        &self,
        learning_rate: f64,
        rule: impl Fn(Factors) -> R,
    ) -> Vec<(Range<usize>, R)> {
        let factors = self.decay.factors(learning_rate);
        let mut pieces = Vec::with_capacity(2 * self.decay.excluded.len() + 1);
        let mut behind = 0;
        for excluded in &self.decay.excluded {
            pieces.push((behind..excluded.start, rule(factors)));
            pieces.push((excluded.clone(), rule(Factors::NO_DECAY)));
            behind = excluded.end;
        }
        pieces.push((behind..self.elements, rule(factors)));
        pieces
    }
}
