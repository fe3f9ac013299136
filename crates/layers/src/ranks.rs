//! Processes that share the examples: each goes over its own part, and what they find is summed.

use std::fmt::Debug;

use candle_core::Tensor;

use crate::Error;

/// Processes that make the same calls in the same order, each with its own part of the examples: *ranks*, as MPI calls
/// them.
///
/// All else that they compute must be the same on each of them to the last bit, and it is where the program, its input and
/// the kind of processor are: a sum is added in the order of the ranks once, and handed to all.
pub trait Ranks: Debug + Send + Sync {
    /// Which one this process is, from 0.
    fn rank(&self) -> usize;

    /// How many there are, at least 1.
    fn size(&self) -> usize;

    /// Replaces `values` by their sums over the ranks.
    ///
    /// # Errors
    /// [`RanksError`]; no further sum is made then.
    fn sum_f32(&self, values: &mut [f32]) -> Result<(), RanksError>;

    /// Replaces `values` by their sums over the ranks.
    ///
    /// # Errors
    /// [`RanksError`]; no further sum is made then.
    fn sum_f64(&self, values: &mut [f64]) -> Result<(), RanksError>;

    /// The sums of `values`, of float32 or float64, over the ranks, where they lie on devices that can send them to each other;
    /// else none, on every rank.
    ///
    /// # Errors
    /// [`RanksError`], after which no further sum is made, or a device error.
    fn sum_on_devices(&self, _values: &Tensor) -> Result<Option<Tensor>, Error> {
        Ok(None)
    }
}

/// Why there is no sum over the ranks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RanksError {
    /// A rank has ended, with an error of its own.
    #[error("rank {rank} has ended before the others; it says why")]
    Ended {
        /// Which.
        rank: usize,
    },
    /// The ranks do not do the same.
    #[error(
        "rank {rank} adds {got} numbers where rank 0 adds {expected}; start all ranks with the same program and input, on the \
         same kind of processor"
    )]
    Apart {
        /// The first that differs.
        rank: usize,
        /// Numbers of rank 0.
        expected: usize,
        /// Its own.
        got: usize,
    },
    /// The ranks do not have the same.
    #[error(
        "rank {rank} differs from rank 0 in {what}; start all ranks with the same program and input, on the same kind of \
         processor"
    )]
    Differ {
        /// The first that differs.
        rank: usize,
        /// In what.
        what: String,
    },
}
