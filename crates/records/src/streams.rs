//! Named random streams: one seed per spec, one derived seed per use.
//!
//! seed(name) = first 8 bytes, little endian, of SHA-256(seed as 8 bytes little endian ‖ name).
//! A new use of randomness takes a new name and so leaves every other stream as it was.

use sha2::{Digest, Sha256};

/// The random streams of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    seed: u64,
}

impl Streams {
    /// The streams that belong to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Seed of the stream called `name`.
    #[must_use]
    pub fn seed(&self, name: &str) -> u64 {
        let digest = Sha256::new()
            .chain_update(self.seed.to_le_bytes())
            .chain_update(name)
            .finalize();
        digest
            .iter()
            .take(8)
            .rev()
            .fold(0, |seed, &byte| seed << 8 | u64::from(byte))
    }
}
