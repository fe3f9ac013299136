//! Processes that MPI has started: `mpirun -n 4 flatness measure ...` shares the examples among them.
//!
//! All make the same calls; in a run, which the first alone trains, whenever it tells the others to. The first alone speaks
//! and writes files; one that fails tells the others, which end with it, and says why.

#[cfg(feature = "nccl")]
mod devices;
#[cfg(any(feature = "nccl", test))]
mod slices;
#[cfg(feature = "mpi")]
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use flatness_layers::Ranks;

use crate::arguments::Command;

/// Whether another process speaks, and writes the files.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Whether the first process leads, and the others follow.
static LEADS: AtomicBool = AtomicBool::new(false);

pub(crate) fn is_silent() -> bool {
    SILENT.load(Ordering::Relaxed)
}

/// Processes of a launcher that tells each of them how many there are.
fn started() -> usize {
    said(["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"]).map_or(1, |size| size.max(1))
}

/// Those of them on this machine, which share its memory.
pub(crate) fn neighbours() -> usize {
    said(["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"])
        .filter(|&size| size > 0)
        .unwrap_or_else(started)
}

/// Which of them this is, from 0.
pub(crate) fn place() -> usize {
    said(["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID"]).unwrap_or(0)
}

/// The number in the first of these variables that is set.
fn said(variables: [&str; 2]) -> Option<usize> {
    let number = |name| std::env::var(name).ok()?.parse().ok();
    variables.into_iter().find_map(number)
}

/// Joins the others, where a launcher has started several for a `command` that shares its work.
pub(crate) fn join(command: &Command) -> Result<()> {
    let size = started();
    if size == 1 {
        return Ok(());
    }
    if !cfg!(feature = "mpi") {
        bail!(
            "{size} processes were started together, but this program was built without MPI: build it with `--features mpi` \
             (docs/SCALE.md), or start one"
        );
    }
    #[cfg(feature = "mpi")]
    SILENT.store(world::join()? > 0, Ordering::Relaxed);
    LEADS.store(matches!(command, Command::Run(_)), Ordering::Relaxed);
    if !matches!(command, Command::Measure(_) | Command::Run(_)) {
        bail!(
            "{size} processes were started together, which only `flatness measure` and `flatness run` share their work among; \
             start one"
        );
    }
    Ok(())
}

/// The processes that share the examples; none for one by itself.
pub(crate) fn ranks() -> Option<Arc<dyn Ranks>> {
    #[cfg(feature = "mpi")]
    if started() > 1 {
        return Some(Arc::new(world::World));
    }
    None
}

/// Work that the processes that follow this one do with it, once they have this `message`.
pub(crate) fn lead<T>(
    message: impl FnOnce() -> Result<Vec<u8>>,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    #[cfg(feature = "mpi")]
    if started() > 1 {
        world::lead(message()?)?;
        return together(work)?;
    }
    drop(message);
    work()
}

/// Takes `each` message of the process that leads, until it has no more.
pub(crate) fn follow(each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    #[cfg(feature = "mpi")]
    return world::follow(each);
    #[cfg(not(feature = "mpi"))]
    {
        drop(each);
        Ok(())
    }
}

/// Work that all do at the same message, and what comes of it here. If one alone fails, all end.
pub(crate) fn together<T>(work: impl FnOnce() -> Result<T>) -> Result<Result<T>> {
    let done = work();
    #[cfg(feature = "mpi")]
    world::close()?;
    Ok(done)
}

/// Ends the work with the others, and tells whether any has `failed`; the first of those that have speaks.
pub(crate) fn part(failed: bool) -> bool {
    #[cfg(feature = "mpi")]
    if started() > 1 {
        let followers = LEADS.load(Ordering::Relaxed) && !is_silent();
        let first = world::part(failed, followers);
        SILENT.store(first != Some(true), Ordering::Relaxed);
        return first.is_some();
    }
    failed
}

/// Lets the others end, once all is said: `mpirun` kills all at the first that ends with an error.
pub(crate) fn leave() {
    #[cfg(feature = "mpi")]
    if started() > 1 {
        world::leave();
    }
}
