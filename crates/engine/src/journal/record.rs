//! One product on record: rows k | SHA-256 of V | W (k, dim) | SHA-256 of all before.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

/// Bytes of a SHA-256.
pub(super) const DIGEST: usize = 32;

/// Bytes of a record before its product: rows and digest of the block.
const HEAD: usize = 8 + DIGEST;

/// A record that is whole.
pub(super) struct Record {
    pub(super) rows: u64,
    pub(super) block: [u8; DIGEST],
    pub(super) product: Vec<u8>,
}

impl Record {
    /// Bytes of the record in the file.
    pub(super) fn bytes(&self) -> u64 {
        (HEAD + self.product.len() + DIGEST) as u64
    }

    fn digest(&self) -> [u8; DIGEST] {
        let mut digest = Sha256::new();
        digest.update(self.rows.to_le_bytes());
        digest.update(self.block);
        digest.update(&self.product);
        digest.finalize().into()
    }

    pub(super) fn write(&self, file: &mut impl Write) -> io::Result<()> {
        file.write_all(&self.rows.to_le_bytes())?;
        file.write_all(&self.block)?;
        file.write_all(&self.product)?;
        file.write_all(&self.digest())
    }

    /// The record at the beginning of the `rest` bytes of `reader`, its rows of `row` bytes, unless it
    /// is torn.
    pub(super) fn read(reader: &mut impl Read, row: u64, rest: u64) -> io::Result<Option<Self>> {
        if rest < HEAD as u64 {
            return Ok(None);
        }
        let (mut rows, mut block) = ([0; 8], [0; DIGEST]);
        reader.read_exact(&mut rows)?;
        reader.read_exact(&mut block)?;
        let rows = u64::from_le_bytes(rows);
        let after = (HEAD + DIGEST) as u64;
        let product = rows.checked_mul(row);
        let Some(product) = product.filter(|bytes| bytes.saturating_add(after) <= rest) else {
            return Ok(None);
        };
        let mut record = Self {
            rows,
            block,
            product: vec![0; usize::try_from(product).map_err(io::Error::other)?],
        };
        reader.read_exact(&mut record.product)?;
        let mut digest = [0; DIGEST];
        reader.read_exact(&mut digest)?;
        Ok((record.digest() == digest).then_some(record))
    }
}
