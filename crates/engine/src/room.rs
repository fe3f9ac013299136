//! Vectors of a measurement within the memory for them, decided before any product is made. A vector has an element
//! for each row of the measured matrix; what a product takes for each vector that it multiplies has one for each of the P
//! parameters.

use candle_core::DType;
use flatness_records::Request;

/// Vectors per product where they are random and independent: beyond, a pass over the data costs as much per vector.
pub(crate) const BLOCK: usize = 8;

/// What a product holds for each of its vectors, in vectors of P elements, beside itself and the sums of the
/// sweeps that go on at a time: the vector in pieces and, where the matrix has fewer rows, among zeros.
const MULTIPLIED: u64 = 2;

/// The memory, and what it is for.
#[derive(Debug, Clone)]
pub(crate) struct Room<'a> {
    pub(crate) request: &'a Request,
    /// Rows of the matrix.
    pub(crate) dim: usize,
    pub(crate) dtype: DType,
    pub(crate) allowed: u64,
    /// A vector of P elements.
    pub(crate) whole: u64,
    /// What a product takes for each of its vectors.
    pub(crate) product: u64,
    /// What stays there: eigenvectors, and what a journal copies.
    pub(crate) kept: u64,
    pub(crate) journalled: bool,
    /// Vectors that the search before holds.
    pub(crate) basis: usize,
}

/// Vectors that do not fit the memory for them.
#[derive(Debug, thiserror::Error)]
#[error(
    "{what} takes {} MiB of vectors at least, but --vector-memory allows {} MiB; give more{}",
    needed.div_ceil(1 << 20),
    allowed >> 20,
    fits.as_ref().map_or_else(String::new, |fits| format!(", or {fits}, which fits"))
)]
pub struct Refusal {
    /// The part of the measurement.
    pub what: String,
    /// Bytes that it takes at least.
    pub needed: u64,
    /// Bytes there are.
    pub allowed: u64,
    /// What would fit instead.
    pub fits: Option<String>,
}

impl<'a> Room<'a> {
    /// For a matrix of `dim` rows among P `parameters`, of `dtype`, with so many `sweeps` over the data at a time, each
    /// with sums of its own.
    pub(crate) fn new(
        request: &'a Request,
        [dim, parameters, sweeps]: [usize; 3],
        dtype: DType,
        allowed: u64,
    ) -> Self {
        let whole = (dtype.size_in_bytes() * parameters) as u64;
        Self {
            request,
            dim,
            dtype,
            allowed,
            whole,
            product: whole * (MULTIPLIED + sweeps as u64),
            kept: 0,
            journalled: false,
            basis: 0,
        }
    }

    /// Bytes of one vector of the matrix.
    pub(crate) fn vector(&self) -> u64 {
        (self.dtype.size_in_bytes() * self.dim) as u64
    }

    /// Bytes that a journal holds of a block and its product.
    pub(crate) fn journal(&self, block: usize) -> u64 {
        if self.journalled {
            2 * block as u64 * self.vector()
        } else {
            0
        }
    }

    /// What is left beside `bytes`.
    pub(crate) fn beside(&self, bytes: u64) -> u64 {
        self.allowed.saturating_sub(bytes)
    }

    /// The refusal of `what` takes `needed` bytes at least, where something else `fits`.
    pub(crate) fn refusal(&self, what: String, needed: u64, fits: Option<String>) -> Refusal {
        Refusal {
            what,
            needed,
            allowed: self.allowed,
            fits,
        }
    }

    /// Refuses what takes more than is allowed.
    pub(crate) fn hold(&self, what: &str, needed: u64) -> Result<(), Refusal> {
        if needed <= self.allowed {
            return Ok(());
        }
        Err(self.refusal(what.to_owned(), needed, None))
    }

    /// Vectors that are multiplied at a time beside `vectors` bytes, at most a block, where each takes `each`.
    pub(crate) fn rows(&self, what: &str, vectors: u64, each: u64) -> Result<usize, Refusal> {
        let fixed = vectors.saturating_add(self.kept);
        self.hold(what, fixed.saturating_add(each))?;
        let rows = usize::try_from(self.beside(fixed) / each).unwrap_or(usize::MAX);
        Ok(rows.min(BLOCK))
    }
}
