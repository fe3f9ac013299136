//! The log of a run, `flatness.log`: a line with the time for the start, epochs, saved states, resumes, damaged states,
//! divergence, signals.

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result};
use tracing_subscriber::filter::LevelFilter;

use crate::arguments::LogLevel;

/// From now on events of `level` and worse are appended to the log in `directory`.
pub(crate) fn start(directory: &Path, level: LogLevel) -> Result<()> {
    let level = match level {
        LogLevel::Off => return Ok(()),
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let path = directory.join("flatness.log");
    let file = (File::options().create(true).append(true).open(&path))
        .with_context(|| format!("cannot open the log {}", path.display()))?;
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(Mutex::new(file))
        .with_ansi(false)
        .with_target(false)
        // Standard error is for progress; where the log cannot be written, the other files cannot either.
        .log_internal_errors(false)
        .finish();
    tracing::subscriber::set_global_default(subscriber).context("the log is open already")
}
