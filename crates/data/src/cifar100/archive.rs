//! The archive of CIFAR-100, read as a stream: nothing is unpacked to disk.
//!
//! Members are taken by their exact names, so that no path leads anywhere; others are passed over. Memory
//! and work are bounded by the complete data set: extended headers, whose length an archive is free to
//! choose, are passed over instead of held, and unpacking stops where the published archive has ended
//! long ago.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::files::{Content, Member, Parts};
use super::records::{MAX_NAMES_BYTES, Named, RECORD_BYTES};
use super::{CLASSES, DIRECTORY_NAME, EXAMPLES_PER_CLASS};
use crate::error::{Error, Result};

/// Most bytes unpacked: the records and names, and a megabyte for headers and what else was packed.
const MAX_UNPACKED: u64 = (CLASSES * (EXAMPLES_PER_CLASS[0] + EXAMPLES_PER_CLASS[1]) * RECORD_BYTES
    + 2 * MAX_NAMES_BYTES
    + (1 << 20)) as u64;

/// Read the archive at `path`.
pub(super) fn read(path: &Path) -> Result<Content> {
    let stream = File::open(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let stream = MultiGzDecoder::new(BufReader::with_capacity(1 << 16, stream));
    read_tar(&path.display().to_string(), stream)
}

/// Read the four members of the tar `stream`; `archive` names it in errors.
fn read_tar(archive: &str, stream: impl Read) -> Result<Content> {
    let damaged = |error: io::Error| Error::Archive {
        archive: archive.to_owned(),
        reason: error.to_string(),
    };
    let mut stream = Counted {
        stream,
        bytes: 0,
        limit: MAX_UNPACKED,
    };
    let mut parts = Parts::default();
    let mut tar = tar::Archive::new(&mut stream);
    // Raw: without this the names in extended headers are read into memory, however long.
    for entry in tar.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        let Some(member) = member_at(&entry.path_bytes()) else {
            continue;
        };
        let file = format!("{archive}: {}", member.name());
        if !entry.header().entry_type().is_file() {
            return Err(Error::NotAFile { file });
        }
        if parts.has(member) {
            return Err(Error::Duplicate { file });
        }
        let mut content = Counted {
            limit: entry.size(),
            stream: &mut entry,
            bytes: 0,
        };
        let named = Named {
            file: file.clone(),
            stream: &mut content,
            damaged: &damaged,
        };
        parts.read(member, named)?;
        let (expected, got) = (content.limit, content.bytes);
        if got != expected {
            return Err(Error::Truncated {
                file,
                expected,
                got,
            });
        }
    }
    // Only at the end of the stream does the gzip decoder verify its checksum.
    io::copy(&mut stream, &mut io::sink()).map_err(damaged)?;
    parts.finish(|member| Error::MissingMember {
        place: archive.to_owned(),
        name: member.name(),
    })
}

/// Which of the four files lies at `path` in an archive.
fn member_at(path: &[u8]) -> Option<Member> {
    let path = path.strip_prefix(b"./").unwrap_or(path);
    let name = path
        .strip_prefix(DIRECTORY_NAME.as_bytes())?
        .strip_prefix(b"/")?;
    Member::ALL
        .into_iter()
        .find(|member| member.name().as_bytes() == name)
}

/// A stream, how much of it was read, and from where on reading is an error.
struct Counted<R> {
    stream: R,
    bytes: u64,
    limit: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.bytes += count as u64;
        if self.bytes > self.limit {
            let reason = format!("it has more than {} bytes", self.limit);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
        }
        Ok(count)
    }
}
