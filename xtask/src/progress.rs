//! Progress of a grid: a bar on a terminal, plain lines otherwise, both on standard error.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::pool::Ending;

/// Counts runs, and estimated seconds so that the time left does not depend on the order of the runs.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    runs: usize,
    runs_done: usize,
    seconds: f64,
    seconds_done: f64,
}

impl Progress {
    /// Starts counting `runs` runs that take about `seconds` on one core together.
    pub(crate) fn start(runs: usize, seconds: f64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(1000);
            if let Ok(style) = ProgressStyle::with_template("  {bar:32} {msg}") {
                bar.set_style(style.progress_chars("━━─"));
            }
            bar.enable_steady_tick(Duration::from_millis(500));
            bar.set_message(format!("0/{runs} runs"));
            bar
        });
        Self {
            bar,
            started: Instant::now(),
            runs,
            runs_done: 0,
            seconds,
            seconds_done: 0.0,
        }
    }

    /// One more run has ended.
    pub(crate) fn ended(&mut self, label: &str, seconds: f64, ending: &Ending) {
        self.runs_done += 1;
        self.seconds_done += seconds;
        let share = self.seconds_done / self.seconds;
        let elapsed = self.started.elapsed();
        let rate = self.runs_done as f64 / elapsed.as_secs_f64() * 60.0;
        let left = elapsed.as_secs_f64() * (1.0 / share - 1.0);
        let left = Duration::try_from_secs_f64(left).unwrap_or_default();
        let counted = format!("{}/{} runs", self.runs_done, self.runs);
        let outcome = match ending {
            Ending::Done => "done",
            Ending::Diverged => "diverged",
            Ending::Failed(_) => "failed",
        };
        match &self.bar {
            Some(bar) => {
                bar.set_position((1000.0 * share) as u64);
                let left = HumanDuration(left);
                bar.set_message(format!("{counted}, {rate:.0} a minute, {left:#} left"));
                if *ending != Ending::Done {
                    bar.println(format!("  {label}: {outcome}"));
                }
            }
            None => eprintln!("{counted}, {} s left: {label}: {outcome}", left.as_secs()),
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
