//! Whole files, written so that a reader sees the old content or the new, never a part.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// Names of the temporary files of [`write_atomic`] begin with this; one that is left belongs to a
/// process that was killed.
pub const TEMPORARY_PREFIX: &str = ".flatness-";

/// Replaces `path` by `bytes`: temporary file in the same directory, fsync, rename, fsync of the
/// directory where it can be had. Creates missing parent directories.
///
/// # Errors
/// [`Error::Write`] when any step fails; `path` then still has its old content.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let write = || -> io::Result<()> {
        std::fs::create_dir_all(directory)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY_PREFIX);
        // Readable like any other new file, as the process's mask has it; the library's default is private.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        // Some file systems cannot: there the file is whole all the same, and a power cut may undo the rename.
        let _ = File::open(directory).and_then(|directory| directory.sync_all());
        Ok(())
    };
    write().map_err(Error::write(path))
}

/// Writes `value` to `path` as indented JSON with a final newline, atomically.
///
/// # Errors
/// As [`write_atomic`], and [`Error::Encode`].
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(Error::encode(path))?;
    write_atomic(path, (text + "\n").as_bytes())
}

/// Reads a JSON file; `expected` names its kind in the error.
///
/// # Errors
/// [`Error::Read`] and [`Error::Json`].
pub fn read_json<T: DeserializeOwned>(path: &Path, expected: &'static str) -> Result<T, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::read(path))?;
    serde_json::from_str(&text).map_err(Error::json(path, expected))
}
