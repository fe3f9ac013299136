//! Progress on standard error: one line that changes on a terminal, a line now and then otherwise, or nothing.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::say;
use crate::ranks::is_silent;

/// Least time between two plain lines.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// Where progress goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Quiet,
    Plain,
    Terminal,
}

/// One stage of the work.
pub(crate) struct Stage {
    progress: Progress,
    state: RefCell<State>,
    bar: ProgressBar,
}

struct State {
    name: String,
    /// In the plural.
    unit: String,
    total: u64,
    done: u64,
    /// Units that were done before this stage began.
    skipped: u64,
    started: Instant,
    said: Instant,
    message: String,
}

impl Progress {
    /// A line that changes where standard error is a terminal, plain lines elsewhere, nothing when `quiet`.
    pub(crate) fn new(quiet: bool) -> Self {
        match (quiet || is_silent(), std::io::stderr().is_terminal()) {
            (true, _) => Self::Quiet,
            (false, true) => Self::Terminal,
            (false, false) => Self::Plain,
        }
    }

    /// Says one line.
    pub(crate) fn say(self, line: &str) {
        if self != Self::Quiet {
            say(line);
        }
    }

    /// Begins a stage of `total` units.
    pub(crate) fn stage(self, name: &str, unit: &str, total: u64) -> Stage {
        let target = match self {
            Self::Terminal => ProgressDrawTarget::stderr(),
            Self::Quiet | Self::Plain => ProgressDrawTarget::hidden(),
        };
        // This one field is cut at the terminal's width: a line that wraps cannot be taken back.
        let style = ProgressStyle::with_template("{wide_msg}");
        let bar = ProgressBar::with_draw_target(Some(total), target)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let now = Instant::now();
        let state = State {
            name: name.to_owned(),
            unit: unit.to_owned(),
            total,
            done: 0,
            skipped: 0,
            started: now,
            said: now,
            message: String::new(),
        };
        Stage {
            progress: self,
            state: RefCell::new(state),
            bar,
        }
    }
}

impl Stage {
    /// `units` were done before, by another process: they do not count for the rate.
    pub(crate) fn skip(&self, units: u64) {
        let mut state = self.state.borrow_mut();
        state.done += units;
        state.skipped += units;
    }

    /// There are `total` units after all, such as where an estimate was good enough before its budget.
    pub(crate) fn set_total(&self, total: u64) {
        self.state.borrow_mut().total = total;
    }

    /// Shows the state now.
    pub(crate) fn message(&self, message: &str) {
        self.advance(0, message);
    }

    /// `units` more are done; `message` is the state now, where it is not empty.
    pub(crate) fn advance(&self, units: u64, message: &str) {
        let mut state = self.state.borrow_mut();
        state.done += units;
        if !message.is_empty() {
            message.clone_into(&mut state.message);
        }
        match self.progress {
            Progress::Quiet => {}
            Progress::Plain if state.said.elapsed() < PLAIN_INTERVAL => {}
            Progress::Plain => {
                state.said = Instant::now();
                say(&state.line(state.started.elapsed()));
            }
            Progress::Terminal => self.bar.set_message(state.line(state.started.elapsed())),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl State {
    /// What matters most comes first, since the end may be cut.
    fn line(&self, elapsed: Duration) -> String {
        let Self {
            name,
            unit,
            total,
            done,
            message,
            ..
        } = self;
        let mut line = format!("{name}: {done}/{total} {unit}");
        let here = done.saturating_sub(self.skipped);
        if here > 0 {
            let each = elapsed.as_secs_f64() / here as f64;
            let left = duration(each * total.saturating_sub(*done) as f64);
            let rate = if each < 1.0 {
                format!("{:.1}/s", 1.0 / each)
            } else {
                format!("{} each", duration(each))
            };
            line += &format!(", {rate}, {left} left");
        }
        if !message.is_empty() {
            line += &format!("  {message}");
        }
        line
    }
}

/// Seconds to two or three digits.
pub(crate) fn duration(seconds: f64) -> String {
    const UNITS: [(f64, &str); 3] = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min")];
    let unit = UNITS
        .into_iter()
        .find(|(length, _)| seconds >= 2.0 * length);
    match unit {
        Some((length, name)) => format!("{:.0} {name}", seconds / length),
        None if seconds >= 10.0 => format!("{seconds:.0} s"),
        None => format!("{seconds:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Progress;

    #[test]
    fn a_line_has_the_rate_of_this_process_and_the_time_left_of_the_work() {
        for (lowered, skipped, done, seconds, expected) in [
            (100, 0, 0, 5, "0/100 epochs"),
            (100, 0, 2, 12, "2/100 epochs, 6.0 s each, 10 min left"),
            (100, 40, 20, 10, "60/100 epochs, 2.0/s, 20 s left"),
            (66, 0, 66, 66, "66/66 epochs, 1.0 s each, 0.0 s left"),
            (66, 70, 6, 3, "76/66 epochs, 2.0/s, 0.0 s left"),
        ] {
            let stage = Progress::Quiet.stage("training", "epochs", 100);
            stage.skip(skipped);
            stage.advance(done, "");
            stage.set_total(lowered);
            let line = stage.state.borrow().line(Duration::from_secs(seconds));
            assert_eq!(line, format!("training: {expected}"));
        }
    }
}
