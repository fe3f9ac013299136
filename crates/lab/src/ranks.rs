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

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Result, bail};
use flatness_layers::{Ranks, Workers};

use crate::arguments::Command;
use crate::setting::Model;

/// Whether another process speaks, and writes the files.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Whether the first process leads, and the others follow.
static LEADS: AtomicBool = AtomicBool::new(false);

/// Where this process is among those that share the work, once it has joined them.
static SEAT: OnceLock<Seat> = OnceLock::new();

/// Where a process is among those that share the work.
#[derive(Debug, Clone, Copy)]
struct Seat {
    /// How many there are.
    #[cfg(feature = "mpi")]
    size: usize,
    /// Those of them on this machine.
    neighbours: usize,
    /// Which of those this is, from 0.
    place: usize,
}

impl Seat {
    const ALONE: Self = Self {
        #[cfg(feature = "mpi")]
        size: 1,
        neighbours: 1,
        place: 0,
    };

    fn own() -> Self {
        SEAT.get().copied().unwrap_or(Self::ALONE)
    }
}

pub(crate) fn is_silent() -> bool {
    SILENT.load(Ordering::Relaxed)
}

/// Processes on this machine that share the work, and its memory.
pub(crate) fn neighbours() -> usize {
    Seat::own().neighbours
}

/// Which of them this is, from 0.
pub(crate) fn place() -> usize {
    Seat::own().place
}

/// Processes that a launcher has started together, as it tells each of them in its `variables`.
fn started(variables: impl Fn(&str) -> Option<String>) -> usize {
    let said = |name| variables(name)?.parse().ok();
    let all = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"];
    // A batch script of Slurm, which runs once, has the number of tasks too; only a task has a rank.
    let tasks = || variables("PMIX_RANK").and_then(|_| said("SLURM_NTASKS"));
    let size: Option<usize> = all.into_iter().find_map(said).or_else(tasks);
    size.map_or(1, |size| size.max(1))
}

/// Joins the others, where a launcher has started several for a `command` that shares its work.
pub(crate) fn join(command: &Command) -> Result<()> {
    let size = started(|name| std::env::var(name).ok());
    if size == 1 {
        return Ok(());
    }
    if !cfg!(feature = "mpi") {
        bail!(
            "{size} processes were started together, but this program was built without MPI: build it with `--features mpi` \
             (docs/SCALE.md), or start one"
        );
    }
    let leads = matches!(command, Command::Run(_));
    #[cfg(feature = "mpi")]
    {
        let seat = world::join()?;
        if seat.size == 1 {
            bail!(
                "{size} processes were started together, but MPI knows of this one alone: start them by its own `mpirun`, or by \
                 `srun --mpi=pmix`"
            );
        }
        let _ = SEAT.set(seat);
        SILENT.store(world::rank() > 0, Ordering::Relaxed);
        if leads && is_silent() {
            outlast_signals()?;
        }
    }
    LEADS.store(leads, Ordering::Relaxed);
    if !matches!(command, Command::Measure(_) | Command::Run(_)) {
        bail!(
            "{size} processes were started together, which only `flatness measure` and `flatness run` share their work among; \
             start one"
        );
    }
    Ok(())
}

/// From now on, the signals that ask for an end change nothing here: the first process gets them too, saves what it has, and
/// tells the others.
#[cfg(all(feature = "mpi", unix))]
fn outlast_signals() -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    Ok(())
}

/// There are no such signals.
#[cfg(all(feature = "mpi", not(unix)))]
fn outlast_signals() -> Result<()> {
    Ok(())
}

/// Goes on if all processes are the same program with the same `model` and the same data, of this `identity`.
pub(crate) fn agree(workers: &Workers, model: &Model, identity: &str) -> Result<()> {
    let program = [
        env!("CARGO_PKG_VERSION"),
        env!("FLATNESS_COMMIT"),
        env!("FLATNESS_DIRTY"),
    ];
    // A file may lie elsewhere on another machine.
    let network = (model.file.as_ref()).map_or(&model.name, |file| &file.digest);
    let word = |words: &[&str]| BuildHasherDefault::<DefaultHasher>::default().hash_one(words);
    let threads = workers.threads().to_string();
    Ok(workers.agree(&[
        ("program", word(&program)),
        ("threads", word(&[&threads])),
        ("network", word(&[network])),
        ("data", word(&[identity])),
    ])?)
}

/// The processes that share the examples; none for one by itself.
pub(crate) fn ranks() -> Option<Arc<dyn Ranks>> {
    #[cfg(feature = "mpi")]
    if Seat::own().size > 1 {
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
    if Seat::own().size > 1 {
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

/// Work that all do at the same message, and what comes of it here. If some fail and others do not, all end.
pub(crate) fn together<T>(work: impl FnOnce() -> Result<T>) -> Result<Result<T>> {
    let done = work();
    #[cfg(feature = "mpi")]
    if let Err(over) = world::close(done.is_err()) {
        return Err(done.err().unwrap_or_else(|| over.into()));
    }
    Ok(done)
}

/// Ends the work with the others, and tells whether any has `failed`; the first of those that have speaks.
pub(crate) fn part(failed: bool) -> bool {
    #[cfg(feature = "mpi")]
    if Seat::own().size > 1 {
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
    world::leave();
}

#[cfg(test)]
mod tests {
    use super::started;

    #[test]
    fn a_launcher_says_how_many_it_has_started_and_a_batch_script_runs_once() {
        for (variables, expected) in [
            (&[][..], 1),
            (&[("OMPI_COMM_WORLD_SIZE", "3")], 3),
            (&[("PMI_SIZE", "3")], 3),
            (&[("PMI_SIZE", "0")], 1),
            (&[("SLURM_STEP_NUM_TASKS", "3"), ("SLURM_NTASKS", "4")], 3),
            (&[("SLURM_NTASKS", "3"), ("PMIX_RANK", "0")], 3),
            (&[("SLURM_NTASKS", "3"), ("SLURM_PROCID", "0")], 1),
            (&[("SLURM_NTASKS", "3"), ("SLURM_STEP_NUM_TASKS", "1")], 1),
            // `mpirun` within an allocation.
            (
                &[
                    ("OMPI_COMM_WORLD_SIZE", "2"),
                    ("SLURM_STEP_NUM_TASKS", "4"),
                    ("PMIX_RANK", "1"),
                ],
                2,
            ),
        ] {
            let find = |name: &str| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(started(find), expected, "{variables:?}");
        }
    }
}
