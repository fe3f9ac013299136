//! The members of a zip archive, stored or deflated.
//!
//! PyTorch writes ZIP64 end records always, and `torch.load` looks at no checksum: one of zero, which it
//! writes where checksums are off, stands for none.

use std::borrow::Cow;
use std::io::{Cursor, Read};
use std::ops::Range;

use flate2::Crc;
use flate2::read::DeflateDecoder;
use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use crate::Error;

/// Most bytes that a member is inflated to, 512 MiB: three times the largest network of the zoo.
const MAX_INFLATED: u64 = 1 << 29;

/// The directory of an archive.
#[derive(Debug)]
pub struct Archive<'b> {
    zip: ZipArchive<Cursor<&'b [u8]>>,
}

/// Where in the bytes of its archive a member lies.
#[derive(Debug, Clone)]
pub struct Member {
    name: String,
    range: Range<usize>,
    /// Length inflated; none for what is stored.
    inflated: Option<u64>,
    /// Zero where there is none.
    checksum: u32,
}

impl<'b> Archive<'b> {
    /// The archive that `bytes` are, from the first to the last.
    ///
    /// # Errors
    /// [`Error::Archive`].
    pub fn open(bytes: &'b [u8]) -> Result<Self, Error> {
        // Looked for, the directory is found 76 bytes late if its first entry has the length of ZIP64's end records.
        let config = Config {
            archive_offset: ArchiveOffset::Known(0),
        };
        let zip = ZipArchive::with_config(config, Cursor::new(bytes));
        let zip = zip.map_err(|error| Error::Archive(error.to_string()))?;
        Ok(Self { zip })
    }

    /// Names of the members.
    pub fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.zip.file_names().filter_map(Result::ok)
    }

    /// The member called `name`.
    ///
    /// # Errors
    /// [`Error::Member`] for one that is not there, is encrypted or packed by another method.
    pub fn member(&mut self, name: &str) -> Result<Member, Error> {
        let failed = |reason: String| Error::Member {
            name: name.to_owned(),
            reason,
        };
        let index = self.zip.index_for_name(name);
        let index = index.ok_or_else(|| failed("it is not there".to_owned()))?;
        let entry = self.zip.by_index_raw(index);
        let entry = entry.map_err(|error| failed(error.to_string()))?;
        if entry.encrypted() {
            return Err(failed("it is encrypted".to_owned()));
        }
        let inflated = match entry.compression() {
            CompressionMethod::Stored => None,
            CompressionMethod::DEFLATE => Some(entry.size()),
            other => return Err(failed(format!("it is packed by {other}, not deflated"))),
        };
        let start = entry
            .data_start()
            .and_then(|start| usize::try_from(start).ok());
        let length = usize::try_from(entry.compressed_size()).ok();
        let range = start
            .zip(length)
            .and_then(|(start, length)| Some(start..start.checked_add(length)?));
        Ok(Member {
            name: name.to_owned(),
            range: range.ok_or_else(|| failed("its length overflows".to_owned()))?,
            inflated,
            checksum: entry.crc32(),
        })
    }
}

impl Member {
    /// What lies in `range` of a file that is no archive.
    #[must_use]
    pub fn stored(name: String, range: Range<usize>) -> Self {
        Self {
            name,
            range,
            inflated: None,
            checksum: 0,
        }
    }

    /// Its content; `bytes` are the whole file. Nothing is copied unless it is deflated.
    ///
    /// # Errors
    /// [`Error::Member`] for a damaged one, or one of more than 512 MiB deflated.
    pub fn read<'b>(&self, bytes: &'b [u8]) -> Result<Cow<'b, [u8]>, Error> {
        let failed = |reason: String| Error::Member {
            name: self.name.clone(),
            reason,
        };
        let stored = bytes.get(self.range.clone());
        let stored =
            stored.ok_or_else(|| failed("it ends behind the end of the file".to_owned()))?;
        let content = match self.inflated {
            None => Cow::Borrowed(stored),
            Some(length) if length > MAX_INFLATED => {
                return Err(failed(format!(
                    "it is larger than {MAX_INFLATED} bytes, deflated"
                )));
            }
            Some(length) => {
                let mut inflated = Vec::new();
                let mut stream = DeflateDecoder::new(stored).take(length + 1);
                let read = stream.read_to_end(&mut inflated);
                read.map_err(|error| failed(error.to_string()))?;
                if inflated.len() as u64 != length {
                    return Err(failed(format!("it does not inflate to {length} bytes")));
                }
                Cow::Owned(inflated)
            }
        };
        let mut checksum = Crc::new();
        if self.checksum != 0 {
            checksum.update(&content);
        }
        if checksum.sum() != self.checksum {
            return Err(failed("its checksum does not hold".to_owned()));
        }
        Ok(content)
    }
}
