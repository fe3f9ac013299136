//! The processes of MPI.
//!
//! Before they add anything, all say how many numbers they have, or that they end. Then every process adds one slice of all,
//! in the order of the ranks, and hands it to the others: the bits of a sum are the same everywhere and every time, and the
//! messages of a process grow with the numbers alone.

use std::cell::RefCell;
use std::ops::AddAssign;
use std::sync::OnceLock;

use anyhow::{Result, bail};
use flatness_layers::{Ranks, RanksError};
use mpi::Threading;
use mpi::datatype::{Partition, PartitionMut};
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Equivalence};

thread_local! {
    /// MPI, from the first call to the last, both of the main thread.
    static UNIVERSE: RefCell<Option<Universe>> = const { RefCell::new(None) };
}

/// Why there is no further sum.
static OVER: OnceLock<RanksError> = OnceLock::new();

/// Said in the place of a count: the work has failed, or is done.
const FAILED: u64 = u64::MAX;
const DONE: u64 = u64::MAX - 1;

/// Numbers in a message, which MPI counts in 31 bits.
const MESSAGE: usize = 1 << 28;

/// Starts MPI, and says which of the processes this is.
pub(super) fn join() -> Result<usize> {
    let Some((universe, _)) = mpi::initialize_with_threading(Threading::Funneled) else {
        bail!("MPI has been started already");
    };
    UNIVERSE.with_borrow_mut(|place| *place = Some(universe));
    Ok(rank())
}

/// Ends MPI with the others: whether this process is the first that has `failed`, where any has.
pub(super) fn part(failed: bool) -> Option<bool> {
    let end = if failed { FAILED } else { DONE };
    let first = match OVER.get() {
        Some(RanksError::Ended { rank }) => Some(*rank),
        Some(RanksError::Apart { .. }) => Some(0),
        None => said(end).iter().position(|&said| said != DONE),
    };
    let first = first.map(|first| first == rank());
    UNIVERSE.with_borrow_mut(Option::take);
    first
}

pub(super) fn rank() -> usize {
    // MPI counts in C's int, from 0.
    SimpleCommunicator::world().rank() as usize
}

fn size() -> usize {
    SimpleCommunicator::world().size() as usize
}

/// What all say, in their order.
fn said(word: u64) -> Vec<u64> {
    let mut words = vec![0; size()];
    SimpleCommunicator::world().all_gather_into(&word, &mut words[..]);
    words
}

/// The processes of MPI.
#[derive(Debug)]
pub(super) struct World;

impl World {
    fn sum<T: Equivalence + AddAssign + Copy + Default>(
        &self,
        values: &mut [T],
    ) -> Result<(), RanksError> {
        if let Some(error) = OVER.get() {
            return Err(error.clone());
        }
        let words = said(values.len() as u64);
        let over = |error: RanksError| {
            let _ = OVER.set(error.clone());
            Err(error)
        };
        if let Some(rank) = words.iter().position(|&word| word >= DONE) {
            return over(RanksError::Ended { rank });
        }
        if let Some(rank) = words.iter().position(|&word| word != words[0]) {
            return over(RanksError::Apart {
                rank,
                expected: words[0] as usize,
                got: words[rank] as usize,
            });
        }
        values.chunks_mut(MESSAGE).for_each(add);
        Ok(())
    }
}

/// Replaces `values`, a message of them, by their sums.
fn add<T: Equivalence + AddAssign + Copy + Default>(values: &mut [T]) {
    let (world, rank, size) = (SimpleCommunicator::world(), rank(), size());
    let edge = |rank: usize| values.len() * rank / size;
    // A message is short enough for C's int.
    let first: Vec<i32> = (0..size).map(|rank| edge(rank) as i32).collect();
    let counts: Vec<i32> = (0..size)
        .map(|rank| (edge(rank + 1) - edge(rank)) as i32)
        .collect();
    let own = counts[rank] as usize;
    let mut slices = vec![T::default(); own * size];
    let to = Partition::new(&*values, &counts[..], &first[..]);
    let (same, places) = (
        vec![counts[rank]; size],
        (0..size).map(|rank| (rank * own) as i32),
    );
    let places: Vec<i32> = places.collect();
    world.all_to_all_varcount_into(
        &to,
        &mut PartitionMut::new(&mut slices[..], &same[..], &places[..]),
    );
    let (sum, addends) = slices.split_at_mut(own);
    for addend in addends.chunks(own.max(1)) {
        for (sum, addend) in sum.iter_mut().zip(addend) {
            *sum += *addend;
        }
    }
    world.all_gather_varcount_into(
        &*sum,
        &mut PartitionMut::new(values, &counts[..], &first[..]),
    );
}

impl Ranks for World {
    fn rank(&self) -> usize {
        rank()
    }

    fn size(&self) -> usize {
        size()
    }

    fn sum_f32(&self, values: &mut [f32]) -> Result<(), RanksError> {
        self.sum(values)
    }

    fn sum_f64(&self, values: &mut [f64]) -> Result<(), RanksError> {
        self.sum(values)
    }
}
