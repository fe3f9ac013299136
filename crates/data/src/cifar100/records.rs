//! The files of a CIFAR-100 directory, whatever they are read from: records and names.
//!
//! ```text
//! record   coarse label  fine label  1024 red  1024 green  1024 blue     one byte each, planes row-major
//! ```
//!
//! Source: the description of the binary version on the page of the data set. A file of records has no
//! header: it is a whole number of them. Reading stops one byte after the most that the complete data set
//! holds, and nothing is allocated before its bytes have arrived.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::{CLASSES, EXAMPLE_SHAPE, SUPERCLASSES};
use crate::error::{Error, Result};
use crate::idx::check_labels;

/// Bytes of the pixels of one record.
pub(super) const PIXELS: usize = EXAMPLE_SHAPE[0] * EXAMPLE_SHAPE[1] * EXAMPLE_SHAPE[2];

/// Bytes of one record: two labels and the pixels.
pub(super) const RECORD_BYTES: usize = 2 + PIXELS;

/// Most bytes of a file of names, some forty times the published one.
pub(super) const MAX_NAMES_BYTES: usize = 1 << 15;

/// Name of a file, and how an error of its stream is reported.
pub(super) struct Named<'a, R> {
    /// Path, or archive and member.
    pub(super) file: String,
    pub(super) stream: R,
    pub(super) damaged: &'a dyn Fn(io::Error) -> Error,
}

/// The content of a file of N ≥ 1 records.
pub(super) struct Records {
    /// The file, as errors name it.
    pub(super) file: String,
    /// (N), below [`SUPERCLASSES`].
    pub(super) coarse: Vec<u8>,
    /// (N), below [`CLASSES`].
    pub(super) fine: Vec<u8>,
    /// (N, C, H, W), row-major.
    pub(super) pixels: Vec<u8>,
    /// SHA-256 in hexadecimal of the file.
    pub(super) sha256: String,
}

impl Records {
    /// From 1 to `limit` records, all there are.
    pub(super) fn read<R: Read>(named: Named<'_, R>, limit: usize) -> Result<Self> {
        let Named {
            file,
            mut stream,
            damaged,
        } = named;
        let (mut coarse, mut fine, mut pixels) = (Vec::new(), Vec::new(), Vec::new());
        let mut hasher = Sha256::new();
        let mut record = Vec::with_capacity(RECORD_BYTES);
        loop {
            record.clear();
            let mut next = stream.by_ref().take(RECORD_BYTES as u64);
            next.read_to_end(&mut record).map_err(damaged)?;
            let refused = |got: String| {
                let expected = format!("from 1 to {limit} records of {RECORD_BYTES} bytes");
                Error::content(&file, "content", expected, got)
            };
            match *record {
                [] if fine.is_empty() => return Err(refused("none".to_owned())),
                [] => break,
                _ if fine.len() == limit => return Err(refused("more".to_owned())),
                [of_superclass, of_class, ref image @ ..] if image.len() == PIXELS => {
                    coarse.push(of_superclass);
                    fine.push(of_class);
                    pixels.extend_from_slice(image);
                    hasher.update(&record);
                }
                _ => {
                    let got = format!("{} and {} bytes", fine.len(), record.len());
                    return Err(refused(got));
                }
            }
        }
        check_labels(&format!("{file} (coarse labels)"), &coarse, SUPERCLASSES)?;
        check_labels(&format!("{file} (fine labels)"), &fine, CLASSES)?;
        pixels.shrink_to_fit();
        Ok(Self {
            file,
            coarse,
            fine,
            pixels,
            sha256: format!("{:x}", hasher.finalize()),
        })
    }
}

/// Exactly `count` names, one per line; blank lines may follow the last.
pub(super) fn read_names<R: Read>(named: Named<'_, R>, count: usize) -> Result<Vec<String>> {
    let Named {
        file,
        stream,
        damaged,
    } = named;
    let mut bytes = Vec::new();
    let mut stream = stream.take(MAX_NAMES_BYTES as u64 + 1);
    stream.read_to_end(&mut bytes).map_err(damaged)?;
    let expected = format!("{count} names, one per line");
    let refused = |got: String| Error::content(&file, "content", &expected, got);
    if bytes.len() > MAX_NAMES_BYTES {
        return Err(refused(format!("more than {MAX_NAMES_BYTES} bytes")));
    }
    let text =
        String::from_utf8(bytes).map_err(|_| refused("bytes that are no text".to_owned()))?;
    let lines = text.trim_end().lines();
    let names: Vec<String> = lines.map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        return Err(refused("an empty line".to_owned()));
    }
    if names.len() != count {
        return Err(refused(names.len().to_string()));
    }
    Ok(names)
}
