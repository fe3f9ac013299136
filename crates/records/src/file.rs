//! Whole files, written so that a reader sees the old content or the new, never a part, and JSON that shows a changed bit.
//!
//! The last field of an object, `digest`, is of all bytes before it: a file whose contents have another is refused. Files of
//! former versions have none and are read as they are.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::Error;

/// Name of the last field.
const DIGEST: &str = "digest";

/// Names of the temporary files of [`write_atomic`] begin with this; one that is left belongs to a
/// process that was killed.
pub const TEMPORARY_PREFIX: &str = ".flatness-";

/// Replaces `path` by `bytes`: temporary file in the same directory, fsync, rename, fsync of the
/// directory where it can be had. Creates missing parent directories.
///
/// # Errors
/// [`Error::Write`] when any step before the last fails; `path` then still has its old content. [`Error::Sync`] when the last
/// does; then it has the new.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_atomic_by(path, |file| file.write_all(bytes))
}

/// As [`write_atomic`], of what `write` writes piece by piece.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_atomic_by(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Error> {
    let directory = parent(path);
    let replace = || -> io::Result<()> {
        create_directories(directory)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY_PREFIX);
        // Readable like any other new file, as the process's mask has it; the library's default is private.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let (file, temporary) = builder.tempfile_in(directory)?.into_parts();
        let mut buffer = BufWriter::new(&file);
        write(&mut buffer)?;
        buffer.flush()?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        let _ = temporary.keep();
        Ok(())
    };
    replace().map_err(Error::write(path))?;
    sync(directory).map_err(|source| Error::Sync {
        path: path.to_owned(),
        source,
    })
}

/// Makes `path` and those of its parents that are missing, each with its name on the disk.
///
/// # Errors
/// Those of the operating system.
pub fn create_directories(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent(path);
    create_directories(parent)?;
    match std::fs::create_dir(path) {
        // Another process was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made?,
    }
    sync(parent)
}

/// The directory that `path` is in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Puts the names in `directory` on the disk, where that can be had.
fn sync(directory: &Path) -> io::Result<()> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.or_else(tolerate)
}

/// Passes over what says that a directory cannot be put on the disk by itself: that of file systems that do not (a power cut may
/// then undo a rename, and the file is whole all the same), and that of a directory that may not be opened. A disk that fails, is
/// full or has become read-only is an error.
fn tolerate(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::Unsupported | ErrorKind::PermissionDenied => Ok(()),
        _ => Err(error),
    }
}

/// SHA-256 of the bytes of a file, in hexadecimal.
///
/// # Errors
/// [`Error::Read`].
pub fn file_digest(path: &Path) -> Result<String, Error> {
    let mut hash = Sha256::new();
    let read = File::open(path).and_then(|mut file| io::copy(&mut file, &mut hash));
    read.map_err(Error::read(path))?;
    Ok(hexadecimal(&hash.finalize()))
}

/// Writes `value`, an object, to `path` as indented JSON with its digest and a final newline, atomically.
///
/// # Errors
/// As [`write_atomic`], and [`Error::Encode`].
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(Error::encode(path))?;
    write_atomic(path, (sealed(&text) + "\n").as_bytes())
}

/// Reads a JSON file; `expected` names its kind in the error.
///
/// # Errors
/// [`Error::Read`], [`Error::Json`], and [`Error::Digest`] for contents that are not as they were written.
pub fn read_json<T: DeserializeOwned>(path: &Path, expected: &'static str) -> Result<T, Error> {
    let text = read_sealed(path)?;
    serde_json::from_str(&text).map_err(Error::json(path, expected))
}

/// The text of a JSON file, an object, without its digest.
///
/// # Errors
/// [`Error::Read`], and [`Error::Digest`] for contents that are not as they were written.
pub fn read_sealed(path: &Path) -> Result<String, Error> {
    let mut text = std::fs::read_to_string(path).map_err(Error::read(path))?;
    if let Some(head) = check(&text, path)? {
        text.truncate(head);
        text.push('}');
    }
    Ok(text)
}

/// `json`, the text of an object with at least one field, with its digest as the last.
pub(crate) fn sealed(json: &str) -> String {
    let Some(fields) = json.strip_suffix('}') else {
        return json.to_owned();
    };
    let head = fields.trim_end();
    let digest = digest(head);
    match &fields[head.len()..] {
        "" => format!("{head},\"{DIGEST}\":\"{digest}\"}}"),
        end => format!("{head},{end}  \"{DIGEST}\": \"{digest}\"{end}}}"),
    }
}

/// Writes an object, the JSON that `write` writes piece by piece, as a line with its digest.
///
/// # Errors
/// Those of `out` and `write`.
pub fn write_sealed(
    out: &mut dyn Write,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut sealing = Sealing {
        out,
        hash: Sha256::new(),
        held: None,
    };
    let mut buffer = BufWriter::new(&mut sealing);
    write(&mut buffer)?;
    buffer.flush()?;
    drop(buffer);
    let Sealing { out, hash, .. } = sealing;
    writeln!(out, ",\"{DIGEST}\":\"{}\"}}", first_digits(hash))
}

/// Passes on all but the last byte, the end of the object, and hashes what it passes on.
struct Sealing<'a> {
    out: &'a mut dyn Write,
    hash: Sha256,
    held: Option<u8>,
}

impl Write for Sealing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some((last, rest)) = bytes.split_last() {
            for piece in [self.held.as_slice(), rest] {
                self.out.write_all(piece)?;
                self.hash.update(piece);
            }
            self.held = Some(*last);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Refuses an object that has another digest than its contents; gives the length of these, where it has one.
pub(crate) fn check(json: &str, path: &Path) -> Result<Option<usize>, Error> {
    let parts = || {
        let fields = json.trim_end().strip_suffix('}')?.trim_end();
        let (fields, got) = fields.strip_suffix('"')?.rsplit_once('"')?;
        let fields = fields.trim_end().strip_suffix(':')?.trim_end();
        let fields = fields.strip_suffix('"')?.strip_suffix(DIGEST)?;
        let head = fields.strip_suffix('"')?.trim_end().strip_suffix(',')?;
        Some((head, got))
    };
    match parts() {
        Some((head, got)) if digest(head) != got => Err(Error::Digest {
            path: path.to_owned(),
        }),
        head => Ok(head.map(|(head, _)| head.len())),
    }
}

/// First 16 hexadecimal digits of the SHA-256.
pub(crate) fn digest(text: &str) -> String {
    first_digits(Sha256::new_with_prefix(text))
}

fn first_digits(hash: Sha256) -> String {
    hexadecimal(&hash.finalize()[..8])
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use serde_json::{Value, from_str, json, to_string, to_string_pretty};

    use super::{DIGEST, check, sealed, tolerate, write_sealed};

    #[cfg(target_os = "linux")]
    #[test]
    fn a_directory_that_cannot_be_synced_is_none_that_fails() {
        // EINVAL, EOPNOTSUPP, ENOSYS and EACCES; EIO, ENOSPC, EROFS and EDQUOT.
        for (code, is_tolerated) in [
            (22, true),
            (95, true),
            (38, true),
            (13, true),
            (5, false),
            (28, false),
            (30, false),
            (122, false),
        ] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(tolerate(error).is_ok(), is_tolerated, "{code}");
        }
    }

    #[test]
    fn piece_by_piece_the_same_comes_out() {
        let value = json!({"list": (0..5000).collect::<Vec<_>>(), "of": {"a": 1}});
        let mut pieces = Vec::new();
        write_sealed(&mut pieces, |out| Ok(serde_json::to_writer(out, &value)?)).expect("memory");
        let whole = sealed(&to_string(&value).expect("JSON")) + "\n";
        assert_eq!(String::from_utf8(pieces).expect("JSON"), whole);
    }

    #[test]
    fn every_flipped_bit_is_an_error_or_changes_nothing() {
        let value = json!({"epoch": 3, "loss": 0.25, "of": {"digest": "0", "list": [1, "two"]}});
        let contents = |text: &str| -> Option<Value> {
            check(text, Path::new("file")).ok()?;
            let mut value: Value = from_str(text).ok()?;
            value.as_object_mut()?.remove(DIGEST);
            Some(value)
        };
        for text in [to_string(&value), to_string_pretty(&value)] {
            let text = text.expect("JSON");
            // One of a former version.
            assert_eq!(contents(&text).as_ref(), Some(&value));
            let whole = sealed(&text) + "\n";
            assert_eq!(contents(&whole).as_ref(), Some(&value));
            let mut harmless = 0;
            for place in 0..8 * whole.len() {
                let mut flipped = whole.clone().into_bytes();
                flipped[place / 8] ^= 1 << (place % 8);
                let read = String::from_utf8(flipped)
                    .ok()
                    .and_then(|text| contents(&text));
                if let Some(mut read) = read {
                    // In the name of the digest, which is then that of nobody.
                    let fields = read.as_object_mut().expect("an object");
                    fields.retain(|name, _| value.get(name).is_some());
                    assert_eq!(read, value, "bit {place}");
                    harmless += 1;
                }
            }
            assert!(harmless <= 8 * DIGEST.len(), "{harmless}");
        }
    }
}
