//! The part of a file that has arrived, under a name that no reader asks for: it outlives the process, so
//! that a later download continues it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::digests::Digests;
use super::{RemoteFile, write_error};
use crate::error::Result;

/// The first bytes of a file, on disk and digested.
pub(super) struct Part<'a> {
    pub(super) file: &'a RemoteFile,
    path: PathBuf,
    stream: File,
    digests: Digests,
}

impl<'a> Part<'a> {
    /// What an earlier download of `file` left in `directory`; nothing where that is larger than the file.
    pub(super) fn open(file: &'a RemoteFile, directory: &Path) -> Result<Self> {
        let path = directory.join(format!(".{}.part", file.name));
        let open = || -> io::Result<(File, Digests)> {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false);
            let mut stream = options.open(&path)?;
            let mut digests = Digests::new();
            io::copy(&mut (&mut stream).take(file.bytes + 1), &mut digests)?;
            Ok((stream, digests))
        };
        let (stream, digests) = open().map_err(|error| write_error(&path, error))?;
        let mut part = Self {
            file,
            path,
            stream,
            digests,
        };
        if part.bytes() > file.bytes {
            part.discard()?;
        }
        Ok(part)
    }

    /// Number of bytes that have arrived.
    pub(super) fn bytes(&self) -> u64 {
        self.digests.bytes
    }

    /// Append the bytes that follow.
    pub(super) fn append(&mut self, chunk: &[u8]) -> Result<()> {
        self.stream
            .write_all(chunk)
            .map_err(|error| write_error(&self.path, error))?;
        self.digests.update(chunk);
        Ok(())
    }

    /// Throw away what has arrived.
    pub(super) fn discard(&mut self) -> Result<()> {
        self.digests = Digests::new();
        self.stream
            .set_len(0)
            .and_then(|()| self.stream.rewind())
            .map_err(|error| write_error(&self.path, error))
    }

    /// The first difference from the whole file, in words.
    pub(super) fn verify(&self) -> std::result::Result<(), String> {
        self.digests.clone().verify(self.file)
    }

    /// Make this verified part the file of its name in `directory`.
    pub(super) fn store(self, directory: &Path) -> Result<()> {
        let path = directory.join(&self.file.name);
        let store = || -> io::Result<()> {
            self.stream.sync_all()?;
            fs::rename(&self.path, &path)?;
            // The rename itself survives a power cut only once the directory is on disk, too.
            #[cfg(unix)]
            File::open(directory)?.sync_all()?;
            Ok(())
        };
        store().map_err(|error| write_error(&path, error))
    }

    /// Leave what has arrived to a later download; of nothing, no file stays.
    pub(super) fn leave(self) -> Result<()> {
        let Self {
            path,
            stream,
            digests,
            ..
        } = self;
        drop(stream);
        if digests.bytes == 0 {
            fs::remove_file(&path).map_err(|error| write_error(&path, error))?;
        }
        Ok(())
    }
}
