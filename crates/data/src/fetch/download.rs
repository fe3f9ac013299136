//! One file from the first mirror that completes it.
//!
//! An interrupted delivery leaves its bytes in the part, and whichever request comes next asks for the rest
//! (RFC 9110, section 14: `Range: bytes=N-`, status 206 and `Content-Range`). The digests of the whole
//! decide, so it does not matter if the part and the rest are from different mirrors or years.

use std::io::{self, Read};
use std::path::Path;

use ureq::http::header::{CONTENT_RANGE, RANGE};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use super::part::Part;
use super::{Progress, RemoteFile};
use crate::error::{Attempt, Error, Result};

/// Put `file` into `directory`, from what an earlier download left of it and from `mirrors`.
pub(super) fn fetch_file(
    file: &RemoteFile,
    mirrors: &[String],
    directory: &Path,
    agent: &Agent,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<()> {
    let mut part = Part::open(file, directory)?;
    match complete(&mut part, mirrors, agent, progress)? {
        Outcome::Complete => {
            part.store(directory)?;
            progress(Progress::Stored { file });
            Ok(())
        }
        Outcome::Incomplete(attempts) => {
            part.leave()?;
            Err(Error::Download {
                file: file.name.clone(),
                directory: directory.to_owned(),
                attempts,
            })
        }
    }
}

/// What the mirrors did for a part.
enum Outcome {
    /// The part is the verified file.
    Complete,
    /// Every mirror failed.
    Incomplete(Vec<Attempt>),
}

fn complete(
    part: &mut Part<'_>,
    mirrors: &[String],
    agent: &Agent,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Outcome> {
    let file = part.file;
    if part.bytes() == file.bytes {
        if part.verify().is_ok() {
            return Ok(Outcome::Complete);
        }
        part.discard()?;
    }
    let mut attempts = Vec::new();
    for mirror in mirrors {
        let url = format!("{mirror}{}", file.name);
        // At most twice: a part that is thrown away leaves none that could be at fault again.
        loop {
            progress(Progress::Asking { file, url: &url });
            let failure = match download(part, &url, agent, progress) {
                Ok(()) => return Ok(Outcome::Complete),
                Err(failure) => failure,
            };
            let (reason, is_mirror_done) = match failure {
                Failure::Disk(error) => return Err(error),
                Failure::Mirror(reason) => (reason, true),
                Failure::Part(reason) => {
                    part.discard()?;
                    (reason, false)
                }
            };
            let attempt = Attempt {
                url: url.clone(),
                reason,
            };
            progress(Progress::Failed {
                file,
                attempt: &attempt,
            });
            attempts.push(attempt);
            if is_mirror_done {
                break;
            }
        }
    }
    Ok(Outcome::Incomplete(attempts))
}

/// Why one request did not complete the part.
enum Failure {
    /// The next mirror may do better.
    Mirror(String),
    /// The part that was to be continued may be at fault: this mirror may do better from the start.
    Part(String),
    /// No mirror can help.
    Disk(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Disk(error)
    }
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        Self::Mirror(error.to_string())
    }
}

/// Append to `part` what `url` has of the rest, or everything anew where it does not deliver ranges, and
/// verify the whole. What remains when this fails is worth continuing.
fn download(
    part: &mut Part<'_>,
    url: &str,
    agent: &Agent,
    progress: &mut dyn FnMut(Progress<'_>),
) -> std::result::Result<(), Failure> {
    let file = part.file;
    let from = part.bytes();
    let mut response = if from == 0 {
        agent.get(url).call()?
    } else {
        let request = agent.get(url).header(RANGE, format!("bytes={from}-"));
        request.call().map_err(|error| match error {
            // The mirror's file ends before the rest begins.
            ureq::Error::StatusCode(416) => Failure::Part(format!("no bytes from {from} on")),
            error => error.into(),
        })?
    };
    let continues = from > 0 && response.status() == StatusCode::PARTIAL_CONTENT;
    if continues {
        check_rest(&response, from, file).map_err(Failure::Part)?;
        progress(Progress::Continuing { file, bytes: from });
    } else {
        let announced = response.body().content_length();
        if let Some(announced) = announced.filter(|&announced| announced != file.bytes) {
            return Err(Failure::Mirror(format!(
                "size expected {}, got {announced}",
                file.bytes
            )));
        }
        part.discard()?;
    }
    receive(part, response.body_mut(), progress)?;
    match part.verify() {
        Ok(()) => Ok(()),
        Err(difference) if continues => Err(Failure::Part(format!(
            "{difference}, continued at byte {from}"
        ))),
        Err(difference) => {
            part.discard()?;
            Err(Failure::Mirror(difference))
        }
    }
}

/// Whether a response with status 206 is `file` without its first `from` bytes; if not, the difference in
/// words.
fn check_rest(
    response: &Response<Body>,
    from: u64,
    file: &RemoteFile,
) -> std::result::Result<(), String> {
    let total = file.bytes;
    let expected = format!("bytes {from}-{}/{total}", total - 1);
    let of_unknown = format!("bytes {from}-{}/*", total - 1);
    let header = response.headers().get(CONTENT_RANGE);
    let got = header.map_or("nothing".into(), |value| {
        String::from_utf8_lossy(value.as_bytes())
    });
    if got != expected && got != of_unknown {
        return Err(format!("range expected {expected}, got {got}"));
    }
    match response.body().content_length() {
        Some(announced) if announced != total - from => Err(format!(
            "rest expected {} bytes, got {announced}",
            total - from
        )),
        _ => Ok(()),
    }
}

/// Append `body` to `part`, but no more than one byte beyond the whole.
fn receive(
    part: &mut Part<'_>,
    body: &mut Body,
    progress: &mut dyn FnMut(Progress<'_>),
) -> std::result::Result<(), Failure> {
    let file = part.file;
    let mut body = body.as_reader().take(file.bytes + 1 - part.bytes());
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(Failure::Mirror(format!(
                    "{}, {} of {} bytes are kept",
                    ureq::Error::from(error),
                    part.bytes(),
                    file.bytes
                )));
            }
        };
        part.append(&buffer[..count])?;
        let bytes = part.bytes().min(file.bytes);
        progress(Progress::Received { file, bytes });
    }
}
