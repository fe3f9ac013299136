//! Products written down as they are made, so that a long measurement goes on after any kill with the
//! same bits.
//!
//! ```text
//! header   "flatness journal 1\n" | SHA-256 of the identity | dim | bytes per element
//! record   rows k | SHA-256 of V | W = A V (k, dim) | SHA-256 of the record before it
//! ```
//!
//! Numbers are u64, all little-endian. Methods that are deterministic ask for the same blocks V in the
//! same order: as long as they ask for those on record, the products W are read instead of made. A last
//! record that a kill tore is cut off. What the bits of a product depend on (weights, data, matrix, batch
//! size, threads, version) belongs into the identity.

mod record;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use flatness_operator::{LinearOperator, check_block};
use sha2::{Digest, Sha256};

use record::Record;

const MAGIC: &[u8] = b"flatness journal 1\n";

/// Work that a loss of power may undo. A kill alone undoes no record.
const SYNC_EVERY: Duration = Duration::from_secs(5);

/// An operator whose products are on record.
pub(crate) struct Journal<Operator> {
    operator: Operator,
    path: PathBuf,
    /// Vectors on record when it was opened.
    recorded: u64,
    state: Mutex<State>,
}

struct State {
    file: File,
    /// Where the next record that was not asked for yet begins, in bytes.
    next: u64,
    /// Where the last record ends.
    end: u64,
    /// Records asked for so far.
    asked: u64,
    synced: Instant,
}

impl<Operator: LinearOperator> Journal<Operator> {
    /// Opens the journal of `operator` at `path`, or begins one. `identity` says which measurement it
    /// is of.
    ///
    /// # Errors
    /// A file that is no journal or that of another measurement, which is left as it is, one that
    /// another process has open, or one that cannot be read or written.
    pub(crate) fn open(operator: Operator, path: &Path, identity: &str) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(|| format!("cannot open the journal {}", path.display()))?;
        if file.try_lock().is_err() {
            bail!(
                "the journal {} is in use by another process; wait for it to end",
                path.display()
            );
        }
        let state = State::open(file, &operator, identity);
        let (state, recorded) =
            state.with_context(|| format!("cannot go on from the journal {}", path.display()))?;
        Ok(Self {
            operator,
            path: path.to_owned(),
            recorded,
            state: Mutex::new(state),
        })
    }

    /// Vectors whose products were on record when it was opened.
    pub(crate) fn recorded(&self) -> u64 {
        self.recorded
    }

    /// Removes the file, once the measurement is done.
    pub(crate) fn remove(self) -> Result<()> {
        std::fs::remove_file(&self.path)
            .with_context(|| format!("cannot remove the journal {}", self.path.display()))
    }

    fn product(&self, vectors: &Tensor) -> Result<Tensor> {
        let block = Sha256::digest(bytes(vectors)?).into();
        // A thread that panicked while writing left a torn record at most, which `end` does not hold.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.next == state.end {
            let product = self.operator.apply_block(vectors)?;
            let record = Record {
                rows: vectors.dim(0)? as u64,
                block,
                product: bytes(&product)?,
            };
            let written = state.append(&record);
            written.with_context(|| format!("cannot write the journal {}", self.path.display()))?;
            return Ok(product);
        }
        let record = state
            .next(element(&self.operator) * self.operator.dim() as u64)
            .with_context(|| format!("cannot read the journal {}", self.path.display()))?;
        if record.block != block {
            bail!(
                "the journal {} belongs to another measurement: its product {} is of other vectors; \
                 remove it, or repeat the command that began it",
                self.path.display(),
                state.asked + 1
            );
        }
        state.step(&record);
        tensor(&record.product, vectors)
    }
}

impl State {
    /// The state of `file` and the vectors on record in it, a torn record cut off.
    fn open<Operator: LinearOperator>(
        mut file: File,
        operator: &Operator,
        identity: &str,
    ) -> Result<(Self, u64)> {
        let mut header = MAGIC.to_vec();
        header.extend(Sha256::digest(identity));
        header.extend((operator.dim() as u64).to_le_bytes());
        header.extend(element(operator).to_le_bytes());
        let mut found = Vec::new();
        (&file).take(header.len() as u64).read_to_end(&mut found)?;
        if !header.starts_with(&found) {
            bail!(
                "it belongs to another measurement or is no journal; remove it, or name another file"
            );
        }
        let mut recorded = 0;
        let mut end = header.len() as u64;
        if found.len() < header.len() {
            // A kill tore the header itself.
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header)?;
            file.sync_all()?;
        } else {
            let mut reader = BufReader::new(&file);
            let row = element(operator) * operator.dim() as u64;
            let mut rest = file.metadata()?.len() - end;
            while let Some(record) = Record::read(&mut reader, row, rest)? {
                recorded += record.rows;
                end += record.bytes();
                rest -= record.bytes();
            }
            file.set_len(end)?;
        }
        let state = Self {
            file,
            next: header.len() as u64,
            end,
            asked: 0,
            synced: Instant::now(),
        };
        Ok((state, recorded))
    }

    /// The next record, its rows of `row` bytes.
    fn next(&mut self, row: u64) -> Result<Record> {
        self.file.seek(SeekFrom::Start(self.next))?;
        let rest = self.end - self.next;
        let record = Record::read(&mut BufReader::new(&self.file), row, rest)?;
        record.context("it changed while it was in use")
    }

    /// Goes past `record`.
    fn step(&mut self, record: &Record) {
        self.next += record.bytes();
        self.asked += 1;
    }

    fn append(&mut self, record: &Record) -> Result<()> {
        // Behind the last whole record, wherever a write that failed before came to.
        self.file.seek(SeekFrom::Start(self.end))?;
        record.write(&mut self.file)?;
        self.end += record.bytes();
        self.step(record);
        if self.synced.elapsed() >= SYNC_EVERY {
            self.file.sync_data()?;
            self.synced = Instant::now();
        }
        Ok(())
    }
}

/// Bytes per element.
fn element<Operator: LinearOperator>(operator: &Operator) -> u64 {
    operator.dtype().size_in_bytes() as u64
}

/// The elements row by row, little-endian.
fn bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let flat = tensor.flatten_all()?;
    let mut bytes = Vec::with_capacity(tensor.elem_count() * tensor.dtype().size_in_bytes());
    match tensor.dtype() {
        DType::F32 => {
            let elements = flat.to_vec1::<f32>()?.into_iter();
            elements.for_each(|x| bytes.extend_from_slice(&x.to_le_bytes()));
        }
        DType::F64 => {
            let elements = flat.to_vec1::<f64>()?.into_iter();
            elements.for_each(|x| bytes.extend_from_slice(&x.to_le_bytes()));
        }
        other => bail!("a journal holds float32 and float64, got {other:?}"),
    }
    Ok(bytes)
}

/// The tensor of these bytes, of the form of `like`.
fn tensor(bytes: &[u8], like: &Tensor) -> Result<Tensor> {
    Ok(Tensor::from_raw_buffer(
        bytes,
        like.dtype(),
        like.dims(),
        like.device(),
    )?)
}

impl<Operator: LinearOperator> LinearOperator for Journal<Operator> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }

    fn dtype(&self) -> DType {
        self.operator.dtype()
    }

    fn device(&self) -> &Device {
        self.operator.device()
    }

    fn scale(&self) -> f64 {
        self.operator.scale()
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, flatness_operator::Error> {
        check_block(self, vectors)?;
        let product = self.product(vectors);
        product.map_err(|error| flatness_operator::Error::from_source(format!("{error:#}")))
    }
}
