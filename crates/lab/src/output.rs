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

/// The chain of an error as one line; what an outer message repeats of an inner one is left out, and so are the frames that
/// candle puts behind its messages where `RUST_BACKTRACE` is set.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| {
        let cause = cause.to_string();
        let is_frame = |line: &&str| line.trim_start().starts_with("0: ");
        let lines: Vec<&str> = cause.lines().take_while(|line| !is_frame(line)).collect();
        let cause = lines.join(" ");
        match said.as_str() {
            "" => cause,
            _ if said.contains(&cause) => said,
            _ => format!("{said}: {cause}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_one_line_without_repetitions_and_frames() {
        let inner = anyhow::anyhow!(
            "no driver\nat all\n   0: candle_core::error::Error::bt\n             at error.rs:1\n   1: main"
        );
        let said = sentence(
            &inner
                .context("no driver at all")
                .context("it cannot be had"),
        );
        assert_eq!(said, "it cannot be had: no driver at all");
        let said = sentence(&anyhow::anyhow!("one\ntwo").context("three"));
        assert_eq!(said, "three: one two");
    }
}
