//! The processes of MPI.
//!
//! Before they add anything, all say how many numbers they have, or that they end. Then every process adds one slice of all,
//! in the order of the ranks, and hands it to the others: the bits of a sum are the same everywhere and every time, and the
//! messages of a process grow with the numbers alone.
//!
//! Where the first rank leads, the others are its followers: between the sums they sleep until it has a message for them.

use std::cell::RefCell;
use std::ops::AddAssign;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use flatness_layers::{Ranks, RanksError};
use mpi::Threading;
use mpi::datatype::{Partition, PartitionMut};
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Destination, Equivalence, Root, Source};

use super::Seat;

thread_local! {
    /// MPI, from the first call to the last, both of the main thread.
    static UNIVERSE: RefCell<Option<Universe>> = const { RefCell::new(None) };
}

/// Why there is no further sum.
static OVER: OnceLock<Over> = OnceLock::new();

#[derive(Debug)]
struct Over {
    error: RanksError,
    /// The first rank that has failed.
    first: Option<usize>,
}

/// Said in the place of a count: the work has failed, is done, or goes on with what the first rank says; what that asked for
/// has failed here.
const FAILED: u64 = u64::MAX;
const DONE: u64 = u64::MAX - 1;
const MESSAGE: u64 = u64::MAX - 2;
const REFUSED: u64 = u64::MAX - 3;

/// Numbers at once, which MPI counts in 31 bits.
const MOST: usize = 1 << 28;

/// Between two looks whether the first rank has something to say: to wait within MPI takes a core.
const PAUSE: Duration = Duration::from_millis(2);

/// Starts MPI, and says where among its processes this one is.
pub(super) fn join() -> Result<Seat> {
    let Some((universe, _)) = mpi::initialize_with_threading(Threading::Funneled) else {
        bail!("MPI has been started already");
    };
    UNIVERSE.with_borrow_mut(|place| *place = Some(universe));
    let here = SimpleCommunicator::world().split_shared(0);
    Ok(Seat {
        size: size(),
        neighbours: here.size() as usize,
        place: here.rank() as usize,
    })
}

/// Ends the work with the others, which wait for a message of this one where it has `followers`: whether this process is the
/// first that has `failed`, where any has.
pub(super) fn part(failed: bool, followers: bool) -> Option<bool> {
    let first = if let Some(over) = OVER.get() {
        over.first.or_else(|| failed.then(rank))
    } else {
        if followers {
            wake();
        }
        let words = said(if failed { FAILED } else { DONE });
        let find = |is: &dyn Fn(u64) -> bool| words.iter().position(|&word| is(word));
        find(&|word| word == FAILED).or_else(|| find(&|word| !matches!(word, DONE | MESSAGE)))
    };
    first.map(|first| first == rank())
}

/// Ends MPI, which none leaves before all have come here.
pub(super) fn leave() {
    UNIVERSE.with_borrow_mut(Option::take);
}

/// Ends all processes.
#[cfg(feature = "nccl")]
pub(super) fn abort() -> ! {
    SimpleCommunicator::world().abort(2)
}

pub(super) fn rank() -> usize {
    // MPI counts in C's int, from 0.
    SimpleCommunicator::world().rank() as usize
}

pub(super) fn size() -> usize {
    SimpleCommunicator::world().size() as usize
}

/// What all say, in their order.
pub(super) fn said(word: u64) -> Vec<u64> {
    let mut words = vec![0; size()];
    SimpleCommunicator::world().all_gather_into(&word, &mut words[..]);
    words
}

/// Goes on if all say the same, and nobody ends.
pub(super) fn agree(word: u64) -> Result<(), RanksError> {
    not_over()?;
    hold(&said(word))
}

/// Goes on unless there is no further sum.
fn not_over() -> Result<(), RanksError> {
    OVER.get().map_or(Ok(()), |over| Err(over.error.clone()))
}

/// Goes on if these words are the same, and none is an end.
fn hold(words: &[u64]) -> Result<(), RanksError> {
    let find = |is: &dyn Fn(u64) -> bool| words.iter().position(|&word| is(word));
    let ended = find(&|word| matches!(word, FAILED | DONE | REFUSED));
    let failed = || find(&|word| matches!(word, FAILED | REFUSED));
    let (error, first) = match (ended, find(&|word| word != words[0])) {
        (Some(rank), _) => (RanksError::Ended { rank }, failed()),
        (None, Some(rank)) => {
            let [expected, got] = [words[0], words[rank]].map(|word| word as usize);
            let apart = RanksError::Apart {
                rank,
                expected,
                got,
            };
            (apart, Some(0))
        }
        (None, None) => return Ok(()),
    };
    let _ = OVER.set(Over {
        error: error.clone(),
        first,
    });
    Err(error)
}

/// Ends the pause of the followers.
fn wake() {
    let world = SimpleCommunicator::world();
    (1..world.size()).for_each(|rank| world.process_at_rank(rank).send(&0_u8));
}

/// Hands a message to the followers.
pub(super) fn lead(mut message: Vec<u8>) -> Result<(), RanksError> {
    if OVER.get().is_none() {
        wake();
    }
    agree(MESSAGE)?;
    hand_round(&mut message);
    Ok(())
}

/// Takes `each` message of the first rank, until that has ended.
pub(super) fn follow(mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    while let Some(message) = next()? {
        each(&message)?;
    }
    Ok(())
}

/// Waits for a message of the first rank; none once that has ended.
fn next() -> Result<Option<Vec<u8>>, RanksError> {
    let world = SimpleCommunicator::world();
    let first = world.process_at_rank(0);
    while first.immediate_probe().is_none() {
        thread::sleep(PAUSE);
    }
    first.receive::<u8>();
    match agree(MESSAGE) {
        Ok(()) => {
            let mut message = Vec::new();
            hand_round(&mut message);
            Ok(Some(message))
        }
        Err(RanksError::Ended { rank: 0 }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Goes on if all have come to the end of what a message asked for, or if it has `failed` on all: then nothing else has.
pub(super) fn close(failed: bool) -> Result<(), RanksError> {
    not_over()?;
    let words = said(if failed { REFUSED } else { 0 });
    if words.iter().all(|&word| word == REFUSED) {
        return Ok(());
    }
    hold(&words)
}

/// Makes the `message` of the first rank that of all.
pub(super) fn hand_round(message: &mut Vec<u8>) {
    let world = SimpleCommunicator::world();
    let first = world.process_at_rank(0);
    let mut length = message.len() as u64;
    first.broadcast_into(&mut length);
    message.resize(length as usize, 0);
    (message.chunks_mut(MOST)).for_each(|part| first.broadcast_into(part));
}

/// The processes of MPI.
#[derive(Debug)]
pub(super) struct World;

impl World {
    fn sum<T: Equivalence + AddAssign + Copy + Default>(
        &self,
        values: &mut [T],
    ) -> Result<(), RanksError> {
        agree(values.len() as u64)?;
        values.chunks_mut(MOST).for_each(add);
        Ok(())
    }
}

/// Replaces `values`, of which there are few enough, by their sums.
fn add<T: Equivalence + AddAssign + Copy + Default>(values: &mut [T]) {
    let (world, rank, size) = (SimpleCommunicator::world(), rank(), size());
    let edge = |rank: usize| values.len() * rank / size;
    // Few enough for C's int.
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

    #[cfg(feature = "nccl")]
    fn sum_on_devices(
        &self,
        values: &candle_core::Tensor,
    ) -> Result<Option<candle_core::Tensor>, flatness_layers::Error> {
        super::devices::sum(values)
    }
}
