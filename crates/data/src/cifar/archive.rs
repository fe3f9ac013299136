//! The archive of a version, read as a stream: nothing is unpacked to disk.
//!
//! ```text
//! entry    header  content  zeros up to a block of 512 bytes; two empty blocks behind the last entry
//! header   0 name 100   124 size 12   148 checksum 8   156 type 1   257 "ustar"   345 prefix 155 bytes
//! ```
//!
//! Source: POSIX.1-1988, ustar; numbers are octal digits. Headers of GNU tar that begin alike are read too.
//!
//! Members are taken by their exact names, so that no path leads anywhere; others are passed over. Memory
//! and work are bounded by the complete data set: extended headers, whose length an archive is free to
//! choose, are passed over instead of held, and unpacking stops where the published archive has ended
//! long ago.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::files::{Content, Parts};
use super::records::Named;
use super::{CifarSet, Version};
use crate::error::{Error, Result};

/// Bytes of a block of a tar.
const BLOCK: usize = 512;

/// Read the archive at `path`.
pub(super) fn read(set: &'static CifarSet, path: &Path) -> Result<Content> {
    let stream = File::open(path).map_err(Error::io("read", path))?;
    let stream = MultiGzDecoder::new(BufReader::with_capacity(1 << 16, stream));
    read_tar(set, &path.display().to_string(), stream)
}

/// Read the members of the tar `stream`, which are of the version of the first of them; `archive` names it in errors.
fn read_tar(set: &'static CifarSet, archive: &str, stream: impl Read) -> Result<Content> {
    let refused = |reason: &str| Error::damaged(archive, "archive", reason);
    let damaged = |error: io::Error| refused(&error.to_string());
    let mut stream = Bounded {
        stream,
        rest: set.most_unpacked(),
    };
    let mut parts: Option<Parts> = None;
    loop {
        let mut header = Vec::with_capacity(BLOCK);
        let mut block = stream.by_ref().take(BLOCK as u64);
        block.read_to_end(&mut header).map_err(damaged)?;
        // The end is marked by empty blocks; tars without them are met too.
        if header.iter().all(|&byte| byte == 0) {
            break;
        }
        let Some(entry) = Entry::read(&header) else {
            return Err(refused("a header is none of a tar"));
        };
        let padded = entry.size.next_multiple_of(BLOCK as u64);
        let mut rest = stream.by_ref().take(padded);
        let version = parts.as_ref().map(|parts| parts.version);
        if let Some((version, place)) = member_at(set, version, entry.path) {
            let file = format!("{archive}: {}", version.members[place]);
            let refused = |reason: &str| Err(Error::damaged(&file, "archive", reason));
            if !entry.is_file {
                return refused("it is not a plain file");
            }
            let parts = parts.get_or_insert_with(|| Parts::new(set, version));
            if parts.has(place) {
                return refused("it is there twice");
            }
            let mut content = rest.by_ref().take(entry.size);
            let named = Named {
                file: file.clone(),
                stream: &mut content,
                damaged: &damaged,
            };
            parts.read(place, named)?;
            if content.limit() > 0 {
                let got = entry.size - content.limit();
                return refused(&format!("it declares {} bytes and has {got}", entry.size));
            }
        }
        io::copy(&mut rest, &mut io::sink()).map_err(damaged)?;
    }
    // Only at the end of the stream does the gzip decoder verify its checksum.
    io::copy(&mut stream, &mut io::sink()).map_err(damaged)?;
    let parts = parts.unwrap_or_else(|| Parts::new(set, &set.versions[0]));
    parts.finish(|name| refused(&format!("it lacks {name}")))
}

/// What the header of an entry says.
struct Entry<'a> {
    path: &'a [u8],
    size: u64,
    is_file: bool,
}

impl<'a> Entry<'a> {
    /// `None` where the checksum, the sum of all bytes with blanks in its own place, is wrong, or the size is
    /// no number.
    fn read(header: &'a [u8]) -> Option<Self> {
        let octal = |range: Range<usize>| {
            let digits = str::from_utf8(header.get(range)?).ok()?;
            u64::from_str_radix(digits.trim_matches(['\0', ' ']), 8).ok()
        };
        let (expected, own) = (octal(148..156)?, header.get(148..156)?);
        let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
        if header.len() != BLOCK || sum(header) - sum(own) + 8 * u64::from(b' ') != expected {
            return None;
        }
        let name = header[..100].split(|&byte| byte == 0).next()?;
        // A ustar path may have a beginning elsewhere; those of this data set are short.
        let has_prefix = header[257..].starts_with(b"ustar\0") && header[345] != 0;
        Some(Self {
            path: if has_prefix { b"" } else { name },
            size: octal(124..136)?,
            is_file: matches!(header[156], b'0' | 0),
        })
    }
}

/// Which file of which version lies at `path` in an archive, of `version` where that is known.
fn member_at(
    set: &'static CifarSet,
    version: Option<&'static Version>,
    path: &[u8],
) -> Option<(&'static Version, usize)> {
    let path = path.strip_prefix(b"./").unwrap_or(path);
    let versions = set.versions.iter();
    let versions = versions.filter(|&it| version.is_none_or(|version| std::ptr::eq(it, version)));
    let mut members = versions.filter_map(|version| {
        let name = path
            .strip_prefix(version.directory.as_bytes())?
            .strip_prefix(b"/")?;
        let place = version
            .members
            .iter()
            .position(|member| member.as_bytes() == name);
        Some((version, place?))
    });
    members.next()
}

impl CifarSet {
    /// Most bytes unpacked: the records, twice as long as pickles may have them, and a megabyte for headers and what else was
    /// packed.
    fn most_unpacked(&self) -> u64 {
        let examples = self.classes[0] * self.examples_per_class.iter().sum::<usize>();
        let records = examples * self.record_bytes();
        (2 * records + (1 << 20)) as u64
    }
}

/// A stream, and how much of it may be read: beyond that is an error.
struct Bounded<R> {
    stream: R,
    rest: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        let rest = self.rest.checked_sub(count as u64);
        self.rest = rest.ok_or_else(|| {
            let reason = "it has more bytes than the whole data set";
            io::Error::new(io::ErrorKind::FileTooLarge, reason)
        })?;
        Ok(count)
    }
}
