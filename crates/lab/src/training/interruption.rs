//! Ctrl-C and the request to terminate: the first lets the step end and the state be saved, the next
//! ends the process at once. While something is measured nothing would be lost, so there the first
//! ends the process at once too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use anyhow::Result;

/// What a signal has asked for so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interruption(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The last signal, or 0.
    signal: AtomicI32,
    /// Whether a step will end soon and look here.
    stepping: AtomicBool,
}

/// A run that a signal has ended after its state was saved.
#[derive(Debug)]
pub(crate) struct Interrupted {
    pub(crate) signal: i32,
    pub(crate) epoch: u32,
    pub(crate) steps: u64,
}

impl Interrupted {
    /// Exit code: 130 after Ctrl-C, 143 after a request to terminate, as a shell would say.
    pub(crate) fn exit_code(&self) -> i32 {
        128 + self.signal
    }
}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { epoch, steps, .. } = self;
        write!(
            formatter,
            "interrupted after {steps} steps ({epoch} whole epochs); the state is saved, and the same command goes \
             on from there"
        )
    }
}

impl std::error::Error for Interrupted {}

impl Interruption {
    /// Listens to the signals from now on.
    pub(crate) fn watch() -> Result<Self> {
        let interruption = Self::default();
        #[cfg(unix)]
        interruption.clone().listen()?;
        Ok(interruption)
    }

    #[cfg(unix)]
    fn listen(self) -> Result<()> {
        use anyhow::Context;
        use signal_hook::consts::{SIGINT, SIGTERM};
        use signal_hook::iterator::Signals;

        let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot listen to signals")?;
        let listen = move || {
            for signal in signals.forever() {
                tracing::warn!(signal, "got a signal");
                let first = self.0.signal.swap(signal, Ordering::SeqCst) == 0;
                if first && self.0.stepping.load(Ordering::SeqCst) {
                    continue;
                }
                eprintln!(
                    "ended at once; the same command goes on from the state that was saved last"
                );
                std::process::exit(128 + signal);
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(listen).context("cannot start a thread")?;
        Ok(())
    }

    /// The signal that asks for an end, if one came.
    pub(crate) fn signal(&self) -> Option<i32> {
        Some(self.0.signal.load(Ordering::SeqCst)).filter(|&signal| signal != 0)
    }

    /// Says whether steps are done from now on, after each of which [`Interruption::signal`] is asked.
    pub(crate) fn set_stepping(&self, stepping: bool) {
        self.0.stepping.store(stepping, Ordering::SeqCst);
    }
}
