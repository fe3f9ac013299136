//! The log of a run, `flatness.log`: a line with the time for the start, epochs, saved states, resumes, damaged states,
//! divergence, signals. A process that does several runs writes the log of one after the other.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use tracing_subscriber::filter::LevelFilter;

use crate::arguments::LogLevel;

/// The log of the run at work.
static FILE: Mutex<Option<File>> = Mutex::new(None);

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
        .with_writer(|| ToFile)
        .with_ansi(false)
        .with_target(false)
        // Standard error is for progress; where the log cannot be written, the other files cannot either.
        .log_internal_errors(false)
        .finish();
    *FILE.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    // That of the run before, if there was one, writes to the same place.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// Writes to [`FILE`].
struct ToFile;

impl Write for ToFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *FILE.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(file) => file.write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
