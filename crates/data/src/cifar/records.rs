//! The files of a binary version, whatever they are read from: records and names.
//!
//! ```text
//! record   label, of CIFAR-100 coarse and fine  1024 red  1024 green  1024 blue     one byte each, planes row-major
//! ```
//!
//! Source: the description of the binary version on the page of the data set. A file of records has no
//! header: it is a whole number of them. Reading stops one byte after the most that the complete data set
//! holds, and nothing is allocated before its bytes have arrived.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::{CifarSet, EXAMPLE_SHAPE, HUNDRED, TEN};
use crate::error::{Error, Result};
use crate::idx::check_labels;

/// Bytes of the pixels of one record.
pub(super) const PIXELS: usize = EXAMPLE_SHAPE[0] * EXAMPLE_SHAPE[1] * EXAMPLE_SHAPE[2];

impl CifarSet {
    /// Labels of one record.
    fn labels(&self) -> usize {
        if self.classes[1] > 0 { 2 } else { 1 }
    }

    /// Bytes of one record: its labels and the pixels.
    pub(super) fn record_bytes(&self) -> usize {
        self.labels() + PIXELS
    }
}

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
    /// (N), below the number of superclasses; of none where there are none.
    pub(super) coarse: Vec<u8>,
    /// (N), below the number of classes.
    pub(super) fine: Vec<u8>,
    /// (N, C, H, W), row-major.
    pub(super) pixels: Vec<u8>,
    /// SHA-256 in hexadecimal of the file.
    pub(super) sha256: String,
}

impl Records {
    /// From 1 to `limit` records, all there are.
    pub(super) fn read<R: Read>(set: &CifarSet, named: Named<'_, R>, limit: usize) -> Result<Self> {
        let Named {
            file,
            mut stream,
            damaged,
        } = named;
        let (mut coarse, mut fine, mut pixels) = (Vec::new(), Vec::new(), Vec::new());
        let mut hasher = Sha256::new();
        let (labels, record_bytes) = (set.labels(), set.record_bytes());
        let mut record = Vec::with_capacity(record_bytes);
        loop {
            record.clear();
            let mut next = stream.by_ref().take(record_bytes as u64);
            next.read_to_end(&mut record).map_err(damaged)?;
            let refused = |got: String| {
                let expected = format!("from 1 to {limit} records of {record_bytes} bytes");
                Error::content(&file, "content", expected, got)
            };
            match record.split_at_checked(labels) {
                _ if record.is_empty() && fine.is_empty() => {
                    return Err(refused("none".to_owned()));
                }
                _ if record.is_empty() => break,
                _ if fine.len() == limit => return Err(refused("more".to_owned())),
                Some(([of_superclass @ .., of_class], image)) if image.len() == PIXELS => {
                    coarse.extend_from_slice(of_superclass);
                    fine.push(*of_class);
                    pixels.extend_from_slice(image);
                    hasher.update(&record);
                }
                _ => {
                    let bytes = fine.len() * record_bytes + record.len();
                    let is_whole = |other: &&&CifarSet| {
                        other.set != set.set && bytes.is_multiple_of(other.record_bytes())
                    };
                    let other = [&TEN, &HUNDRED].iter().find(is_whole).map(|other| {
                        let (records, title) = (bytes / other.record_bytes(), other.set.title());
                        format!(", which are {records} of {title}")
                    });
                    let (whole, rest) = (fine.len(), record.len());
                    return Err(refused(format!(
                        "{whole} and {rest} bytes{}",
                        other.unwrap_or_default()
                    )));
                }
            }
        }
        check_labels(&format!("{file} (coarse labels)"), &coarse, set.classes[1])?;
        check_labels(&format!("{file} (fine labels)"), &fine, set.classes[0])?;
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
