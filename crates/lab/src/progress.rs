//! Progress on standard error: bars on a terminal, a plain line now and then otherwise, or nothing.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};
use flatness_operator::LinearOperator;
use flatness_records::EpochMetrics;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Least time between two plain lines.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// Where progress goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Quiet,
    Plain,
    Bars,
}

/// One stage of the work, of a known number of units.
pub(crate) struct Stage {
    bar: Option<ProgressBar>,
    plain: Option<RefCell<Plain>>,
}

struct Plain {
    name: String,
    unit: &'static str,
    total: u64,
    done: u64,
    /// Units that were done before this stage began.
    skipped: u64,
    started: Instant,
    said: Instant,
    message: String,
}

impl Progress {
    /// Bars where standard error is a terminal, plain lines elsewhere, nothing when `quiet`.
    pub(crate) fn new(quiet: bool) -> Self {
        match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Self::Quiet,
            (false, true) => Self::Bars,
            (false, false) => Self::Plain,
        }
    }

    /// Says one line.
    pub(crate) fn say(self, line: &str) {
        if self != Self::Quiet {
            eprintln!("{line}");
        }
    }

    /// Begins a stage of `total` units.
    pub(crate) fn stage(self, name: &str, unit: &'static str, total: u64) -> Stage {
        let bar = (self == Self::Bars).then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let template = format!(
                "{{prefix:28}} [{{bar:24}}] {{pos}}/{{len}} {unit}  {{per_sec}}  {{eta}} left  {{msg}}"
            );
            let style = ProgressStyle::with_template(&template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ");
            bar.set_style(style);
            bar.set_prefix(name.to_owned());
            bar
        });
        let plain = (self == Self::Plain).then(|| {
            let now = Instant::now();
            RefCell::new(Plain {
                name: name.to_owned(),
                unit,
                total,
                done: 0,
                skipped: 0,
                started: now,
                said: now,
                message: String::new(),
            })
        });
        Stage { bar, plain }
    }
}

impl Stage {
    /// `units` were done before, by another process: they do not count for the rate.
    pub(crate) fn skip(&self, units: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(units);
            bar.reset_eta();
        }
        if let Some(plain) = &self.plain {
            let mut plain = plain.borrow_mut();
            plain.done += units;
            plain.skipped += units;
        }
    }

    /// Shows the state now.
    pub(crate) fn message(&self, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(message.to_owned());
        }
        if let Some(plain) = &self.plain {
            plain.borrow_mut().message = message.to_owned();
        }
    }

    /// `units` more are done; `message` is the state now, where it is not empty.
    pub(crate) fn advance(&self, units: u64, message: &str) {
        if let Some(bar) = &self.bar {
            if !message.is_empty() {
                bar.set_message(message.to_owned());
            }
            bar.inc(units);
        }
        if let Some(plain) = &self.plain {
            let mut plain = plain.borrow_mut();
            plain.done += units;
            if !message.is_empty() {
                plain.message = message.to_owned();
            }
            if plain.said.elapsed() >= PLAIN_INTERVAL {
                plain.said = Instant::now();
                eprintln!("{}", plain.line());
            }
        }
    }
}

impl Plain {
    fn line(&self) -> String {
        let Self {
            name,
            unit,
            total,
            done,
            skipped,
            message,
            ..
        } = self;
        let rate = (done - skipped) as f64 / self.started.elapsed().as_secs_f64();
        let left = total.saturating_sub(*done) as f64 / rate;
        let separator = if message.is_empty() { "" } else { "  " };
        format!("{name}: {done}/{total} {unit}, {rate:.1}/s, {left:.0} s left{separator}{message}")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What to say of an epoch.
pub(crate) fn epoch_message(metrics: &EpochMetrics) -> String {
    let mut message = format!("loss {:.4}", metrics.running_loss);
    if let Some(accuracy) = metrics.running_accuracy {
        message += &format!("  accuracy {:.2} %", 100.0 * accuracy);
    }
    if let Some(rate) = metrics.examples_per_second {
        message += &format!("  {rate:.0} images/s");
    }
    message
}

/// An operator whose products advance a stage.
pub(crate) struct Watched<'a, Operator> {
    pub(crate) operator: Operator,
    pub(crate) stage: &'a Stage,
}

impl<Operator: LinearOperator> LinearOperator for Watched<'_, Operator> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }

    fn dtype(&self) -> DType {
        self.operator.dtype()
    }

    fn device(&self) -> &Device {
        self.operator.device()
    }

    fn scale(&self) -> f64 {
        self.operator.scale()
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, flatness_operator::Error> {
        let product = self.operator.apply_block(vectors)?;
        self.stage.advance(vectors.dim(0)? as u64, "");
        Ok(product)
    }
}
