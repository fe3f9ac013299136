//! Ctrl-C and the request to terminate: the first lets the step end and the state be saved, the next
//! ends the process at once. While something is measured nothing would be lost, so there the first
//! ends the process at once too.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use anyhow::{Context, Result};

/// The last signal, or 0.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Whether a step will end soon and look at [`SIGNAL`].
static STEPPING: AtomicBool = AtomicBool::new(false);

/// Whether somebody listens, to signals and to standard input.
static LISTENING: [OnceLock<()>; 2] = [const { OnceLock::new() }; 2];

/// A run that a signal has ended after its state was saved.
#[derive(Debug, thiserror::Error)]
#[error(
    "interrupted after {steps} steps ({epoch} whole epochs); the state is saved, and the same command goes on from there"
)]
pub(crate) struct Interrupted {
    pub(crate) signal: i32,
    pub(crate) epoch: u32,
    pub(crate) steps: u64,
}

/// Takes a signal.
fn take(signal: i32) {
    tracing::warn!(signal, "got a signal");
    let first = SIGNAL.swap(signal, Ordering::SeqCst) == 0;
    if first && STEPPING.load(Ordering::SeqCst) {
        return;
    }
    crate::output::say(
        "ended at once; the same command goes on from the state that was saved last",
    );
    std::process::exit(128 + signal);
}

/// Listens to the signals from now on.
#[cfg(unix)]
pub(crate) fn listen() -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    if LISTENING[0].set(()).is_err() {
        return Ok(());
    }
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot listen to signals")?;
    spawn("signals", move || signals.forever().for_each(take))
}

/// There are no such signals.
#[cfg(not(unix))]
pub(crate) fn listen() -> Result<()> {
    Ok(())
}

/// From now on the end of standard input is a request to terminate, where no signal came before: a program that
/// started this one has ended.
pub(crate) fn listen_to_input() -> Result<()> {
    const TERMINATE: i32 = 15;
    if LISTENING[1].set(()).is_err() {
        return Ok(());
    }
    spawn("input", || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        if signal().is_none() {
            take(TERMINATE);
        }
    })
}

fn spawn(name: &str, listen: impl FnOnce() + Send + 'static) -> Result<()> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(listen).context("cannot start a thread")?;
    Ok(())
}

/// The signal that asks for an end, if one came.
pub(super) fn signal() -> Option<i32> {
    Some(SIGNAL.load(Ordering::SeqCst)).filter(|&signal| signal != 0)
}

/// Says whether steps are done from now on, after each of which [`signal`] is asked.
pub(super) fn set_stepping(stepping: bool) {
    STEPPING.store(stepping, Ordering::SeqCst);
}
