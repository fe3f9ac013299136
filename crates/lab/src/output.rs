//! Results on standard output, and sentences on standard error.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};

use crate::ranks;

/// Writes `text` and a line's end. A reader that has gone away, such as `head`, has seen enough.
pub(crate) fn put(text: &str) -> Result<()> {
    if ranks::is_silent() {
        return Ok(());
    }
    let mut output = std::io::stdout().lock();
    let written = writeln!(output, "{text}").and_then(|()| output.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Says one line on standard error, if it can be said: work does not end because nobody listens.
pub(crate) fn say(line: &str) {
    if !ranks::is_silent() {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

/// The chain of an error as one line; what an outer message repeats of an inner one is left out.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| {
        let cause = cause.to_string().replace('\n', " ");
        match said.as_str() {
            "" => cause,
            _ if said.contains(&cause) => said,
            _ => format!("{said}: {cause}"),
        }
    })
}
