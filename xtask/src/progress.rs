//! Progress of a grid: a bar on a terminal, plain lines otherwise, both on standard error; and the sentences of all tasks.
//! Work does not end because nobody listens.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::pool::Ending;

/// Says one line on standard error, if it can be said.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a line on standard output, if it can be printed.
pub(crate) fn put(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Hours, minutes and seconds, or seconds.
pub(crate) fn time(seconds: f64) -> String {
    let whole = seconds.ceil() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..7200 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

/// Counts runs, and estimated seconds for the time left.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    /// At a time.
    jobs: usize,
    runs: usize,
    runs_done: usize,
    seconds: f64,
    seconds_done: f64,
}

impl Progress {
    /// Starts counting `runs` runs, `jobs` at a time, that take about `seconds` on one core together.
    pub(crate) fn start(runs: usize, jobs: usize, seconds: f64) -> Self {
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
            jobs,
            runs,
            runs_done: 0,
            seconds,
            seconds_done: 0.0,
        }
    }

    /// One more run has ended, of which `seconds` were expected.
    pub(crate) fn ended(&mut self, label: &str, seconds: f64, ending: &Ending) {
        self.runs_done += 1;
        self.seconds_done += seconds;
        let left = time((self.seconds - self.seconds_done) / self.jobs as f64);
        let counted = format!("{}/{} runs, about {left} left", self.runs_done, self.runs);
        let outcome = match ending {
            Ending::Done => "done",
            Ending::Diverged => "diverged",
            Ending::Stopped => "stopped",
            Ending::Failed(_) => "failed",
        };
        match &self.bar {
            Some(bar) => {
                bar.set_position((1000.0 * self.seconds_done / self.seconds) as u64);
                bar.set_message(counted);
                if *ending != Ending::Done {
                    bar.println(format!("  {label}: {outcome}"));
                }
            }
            None => say(&format!("{counted}: {label}: {outcome}")),
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times_are_rounded_up() {
        for (seconds, expected) in [
            (0.2, "1 s"),
            (59.5, "1 min 00 s"),
            (185.1, "3 min 06 s"),
            (35_000.0, "9.7 h"),
        ] {
            assert_eq!(time(seconds), expected);
        }
    }
}
