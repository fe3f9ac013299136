//! `--vector-memory` in bytes, and what does not fit it as a sentence.

use anyhow::{Error, anyhow};

use super::{sampling, spectral};
use crate::environment;

/// The share of the machine's memory that vectors take where the user does not say: data, activations and
/// other programs have the rest.
const SHARE: u64 = 2;

/// What vectors take where the system does not say how much memory there is.
const UNKNOWN: u64 = 4 << 30;

/// Memory in bytes.
pub(super) struct Allowance {
    pub(super) allowed: u64,
    /// One vector of the matrix.
    pub(super) vector: u64,
    /// A vector of P elements.
    pub(super) whole: u64,
    /// What a product takes for each of its vectors.
    pub(super) product: u64,
    /// Eigenvectors, which stay: of all parameters, whatever the rows of the matrix. And what a journal copies.
    pub(super) kept: u64,
}

/// A part of a measurement that does not fit.
pub(super) struct Refusal {
    pub(super) what: String,
    /// Bytes that it takes at least.
    pub(super) needed: u64,
    /// What would fit instead.
    pub(super) fits: Option<String>,
}

impl Allowance {
    /// What is left beside `bytes`.
    pub(super) fn beside(&self, bytes: u64) -> u64 {
        self.allowed.saturating_sub(bytes)
    }

    /// Refuses what takes more than is allowed.
    pub(super) fn hold(
        &self,
        what: &str,
        needed: u64,
        fits: Option<String>,
    ) -> Result<(), Refusal> {
        if needed <= self.allowed {
            return Ok(());
        }
        Err(Refusal {
            what: what.to_owned(),
            needed,
            fits,
        })
    }

    /// Vectors that are multiplied at a time beside `vectors` bytes, at most a block.
    pub(super) fn rows(
        &self,
        what: &str,
        vectors: u64,
        fits: Option<String>,
    ) -> Result<usize, Refusal> {
        let fixed = vectors.saturating_add(self.kept);
        self.hold(what, fixed.saturating_add(self.product), fits)?;
        let rows = usize::try_from(self.beside(fixed) / self.product).unwrap_or(usize::MAX);
        Ok(rows.min(spectral::BLOCK))
    }

    /// Probes multiplied at a time for the sampling error of the Frobenius norm, at most a block: each has a
    /// product of each fold, and their mean.
    pub(super) fn sampled(&self) -> Result<usize, Refusal> {
        let each = self.whole * (sampling::FOLDS as u64 + 2) + self.product;
        let fixed = self.kept + self.whole * sampling::PROBES as u64;
        self.hold("the sampling error of the norm", fixed + each, None)?;
        let rows = usize::try_from(self.beside(fixed) / each).unwrap_or(usize::MAX);
        Ok(rows.min(spectral::BLOCK))
    }

    pub(super) fn sentence(&self, refusal: &Refusal) -> Error {
        let Refusal { what, needed, fits } = refusal;
        let fits = fits.as_ref();
        let fits = fits.map_or_else(String::new, |fits| format!(", or {fits}, which fits"));
        anyhow!(
            "{what} takes {} MiB of vectors at least, but --vector-memory allows {} MiB; give more{fits}",
            needed.div_ceil(1 << 20),
            self.allowed >> 20
        )
    }
}

/// Bytes of `--vector-memory`, given in MiB, or the default.
pub(super) fn allowed(vector_memory: Option<usize>) -> u64 {
    match vector_memory {
        Some(mebibytes) => (mebibytes as u64).saturating_mul(1 << 20),
        None => environment::memory().map_or(UNKNOWN, |bytes| bytes / SHARE),
    }
}
