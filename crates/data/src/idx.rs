//! The IDX format of MNIST: unsigned bytes behind a big-endian header, raw or gzip.
//!
//! ```text
//! labels   0x00000801  count                    then count bytes
//! images   0x00000803  count  rows  columns     then count · rows · columns bytes, row-major
//! ```
//!
//! Source: the description of the format on the MNIST page of LeCun, Cortes and Burges. The file must
//! be exactly as long as its header says. Compression is recognised by content, not by name. Memory is
//! bounded by what the file really holds: nothing is allocated on the header's word alone, and inflating
//! stops one byte after the declared end.

use std::io::{self, Read};

use flate2::bufread::GzDecoder;
use flatness_formats::magic::{HEAD, name};

use crate::error::{Error, Result};

/// Largest number of data bytes accepted, 1 GiB: twenty times the training images of MNIST.
pub const MAX_BYTES: u64 = 1 << 30;

/// Magic number of one byte per example.
const LABELS: u32 = 0x0801;

/// Magic number of one byte per pixel, one channel.
const IMAGES: u32 = 0x0803;

/// First bytes of every gzip stream (RFC 1952); an IDX file begins with two zeros.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Whether these are the bytes of a gzip file.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&GZIP_MAGIC)
}

/// What a file with this magic number holds: type 0x08 (unsigned byte) and the number of dimensions.
fn kind(magic: u32) -> Option<&'static str> {
    match magic {
        LABELS => Some("labels"),
        IMAGES => Some("images"),
        _ => None,
    }
}

/// Content of an images file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Number of images, at least 1.
    pub count: usize,
    /// Height in pixels, at least 1.
    pub rows: usize,
    /// Width in pixels, at least 1.
    pub columns: usize,
    /// (count, rows, columns), row-major, 0 is the background.
    pub pixels: Vec<u8>,
}

/// Read the content of an images file, raw or gzip; `file` names it in errors.
///
/// # Errors
/// When the gzip stream, the magic number, a dimension or the length is wrong.
pub fn read_images(file: &str, bytes: &[u8]) -> Result<Images> {
    let ([count, rows, columns], pixels) = read(file, bytes, IMAGES, ["count", "rows", "columns"])?;
    Ok(Images {
        count,
        rows,
        columns,
        pixels,
    })
}

/// Read the content of a labels file, raw or gzip, whose labels must be below `classes`; `file` names
/// it in errors. Returns one label per example, at least one.
///
/// # Errors
/// When the gzip stream, the magic number, the count, the length or a label is wrong.
pub fn read_labels(file: &str, bytes: &[u8], classes: usize) -> Result<Vec<u8>> {
    let (_, labels) = read(file, bytes, LABELS, ["count"])?;
    check_labels(file, &labels, classes)?;
    Ok(labels)
}

/// The smallest index whose label is not below `classes`, as an error naming `file`.
pub(crate) fn check_labels<L: Copy + Into<i64>>(
    file: &str,
    labels: &[L],
    classes: usize,
) -> Result<()> {
    let mut labels = labels.iter().map(|&label| label.into()).enumerate();
    match labels.find(|&(_, label)| !usize::try_from(label).is_ok_and(|label| label < classes)) {
        None => Ok(()),
        Some((index, got)) => Err(Error::Label {
            file: file.to_owned(),
            index,
            classes,
            got,
        }),
    }
}

fn read<const D: usize>(
    file: &str,
    bytes: &[u8],
    magic: u32,
    fields: [&'static str; D],
) -> Result<([usize; D], Vec<u8>)> {
    if is_gzip(bytes) {
        return decode(file, Members(GzDecoder::new(bytes)), magic, fields);
    }
    decode(file, bytes, magic, fields)
}

/// The members of a gzip file one behind the other; zeros behind the last are padding, as of tapes.
struct Members<'b>(GzDecoder<&'b [u8]>);

impl Read for Members<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.0.read(buffer)?;
            let rest: &[u8] = self.0.get_ref();
            if count > 0 || buffer.is_empty() || rest.iter().all(|&byte| byte == 0) {
                return Ok(count);
            }
            self.0 = GzDecoder::new(rest);
        }
    }
}

fn decode<const D: usize>(
    file: &str,
    mut source: impl Read,
    magic: u32,
    fields: [&'static str; D],
) -> Result<([usize; D], Vec<u8>)> {
    let header_length = 4 * (1 + D);
    let mut header = read_at_most(file, &mut source, header_length as u64)?;
    let refused = |field: &str, expected: String, got: String| {
        Err(Error::content(file, field, expected, got))
    };
    let bytes = format!("{header_length} bytes");
    let short = || Error::content(file, "header", &bytes, header.len());
    let (found, dimensions) = header.split_first_chunk::<4>().ok_or_else(short)?;
    let found = u32::from_be_bytes(*found);
    if found != magic {
        header.extend(read_at_most(file, source, HEAD as u64)?);
        return Err(other_content(file, magic, found, &header));
    }
    let (dimensions, _) = dimensions.as_chunks::<4>();
    let dimensions: [[u8; 4]; D] = dimensions.try_into().map_err(|_| short())?;
    let dimensions = dimensions.map(u32::from_be_bytes);

    if let Some(zero) = dimensions.iter().position(|&dimension| dimension == 0) {
        return refused(fields[zero], "at least 1".to_owned(), "0".to_owned());
    }
    let product = dimensions.iter().try_fold(1_u64, |product, &dimension| {
        product.checked_mul(u64::from(dimension))
    });
    let Some(expected) = product.filter(|&product| product <= MAX_BYTES) else {
        let (expected, got) = (format!("at most {MAX_BYTES}"), format!("{dimensions:?}"));
        return refused("product of the dimensions", expected, got);
    };

    // The byte too many tells an overlong file from a complete one, and asking for it makes the gzip
    // decoder verify its checksum.
    let mut data = read_at_most(file, source, expected + 1)?;
    let got = data.len() as u64;
    if got != expected {
        let got = match got < expected {
            true => format!("{got}: it is truncated"),
            false => "more: it is too long".to_owned(),
        };
        return refused("data behind the header", format!("{expected} bytes"), got);
    }
    data.shrink_to_fit();
    Ok((dimensions.map(|dimension| dimension as usize), data))
}

/// What a file of other content than `magic` is, which begins with `head` and in it with `got`.
fn other_content(file: &str, magic: u32, got: u32, head: &[u8]) -> Error {
    let mut expected = format!("IDX {}", kind(magic).unwrap_or_default());
    let got = match kind(got) {
        Some(found) => format!("IDX {found}: images and labels are swapped"),
        None => {
            expected = format!("{expected} with magic number {magic:#010x}");
            let what = name(head).map(|what| format!(", {what}"));
            format!("{got:#010x}{}", what.unwrap_or_default())
        }
    };
    Error::content(file, "content", expected, got)
}

/// Up to `limit` bytes; the buffer grows with what arrives, never with what was promised.
fn read_at_most(file: &str, source: impl Read, limit: u64) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    // Only the gzip decoder can fail here: the other source is a slice.
    source
        .take(limit)
        .read_to_end(&mut data)
        .map_err(|error| Error::damaged(file, "gzip stream", error))?;
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that never ends, and how much of it was taken: a gzip bomb without the gzip.
    struct Endless {
        header: Vec<u8>,
        taken: u64,
    }

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            for byte in buffer.iter_mut() {
                *byte = self.header.get(self.taken as usize).copied().unwrap_or(0);
                self.taken += 1;
            }
            Ok(buffer.len())
        }
    }

    #[test]
    fn an_endless_stream_is_left_one_byte_after_its_declared_end() {
        let mut stream = Endless {
            header: vec![0, 0, 8, 1, 0, 0, 3, 232],
            taken: 0,
        };
        let error = decode("bomb", &mut stream, LABELS, ["count"]).unwrap_err();
        assert!(error.to_string().contains("1000 bytes, got more"));
        assert_eq!(stream.taken, 8 + 1000 + 1);
    }
}
