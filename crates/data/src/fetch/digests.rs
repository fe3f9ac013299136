//! Size, MD5 and SHA-256 of a stream, taken while it passes.

use std::io::{self, Write};

use md5::Md5;
use sha2::{Digest, Sha256};

use super::RemoteFile;
use crate::hex::hex;

/// Size and digests of a stream.
#[derive(Clone)]
pub(super) struct Digests {
    pub(super) bytes: u64,
    md5: Md5,
    sha256: Sha256,
}

impl Digests {
    pub(super) fn new() -> Self {
        Self {
            bytes: 0,
            md5: Md5::new(),
            sha256: Sha256::new(),
        }
    }

    pub(super) fn update(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        self.md5.update(chunk);
        self.sha256.update(chunk);
    }

    /// The first difference from `file`, in words.
    pub(super) fn verify(self, file: &RemoteFile) -> Result<(), String> {
        if self.bytes > file.bytes {
            return Err(format!("size expected {}, got more", file.bytes));
        }
        if self.bytes < file.bytes {
            return Err(format!("size expected {}, got {}", file.bytes, self.bytes));
        }
        for (name, expected, got) in [
            ("md5", &file.md5, hex(&self.md5.finalize())),
            ("sha256", &file.sha256, hex(&self.sha256.finalize())),
        ] {
            if *expected != got {
                return Err(format!("{name} expected {expected}, got {got}"));
            }
        }
        Ok(())
    }
}

impl Write for Digests {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        self.update(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
