//! Products written down as they are made, so that a long measurement goes on after any kill with the
//! same bits.
//!
//! ```text
//! header   "flatness journal 2\n" | SHA-256 of the identity | dim | bytes per element | length of the maker | maker
//! record   rows k | SHA-256 of V | W = A V (k, dim) | SHA-256 of the record before it
//! ```
//!
//! Numbers are u64, all little-endian. Methods that are deterministic ask for the same blocks V in the
//! same order: as long as they ask for those on record, the products W are read instead of made. A last
//! record that a kill tore is cut off. What the bits of a product depend on belongs into the identity (weights, data, matrix,
//! batch size) or, where a refusal is to say it, into the maker (program, processor, threads): lines of `name: value`.

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use candle_core::{DType, Tensor};
use flatness_operator::{Error, LinearOperator};
use sha2::{Digest, Sha256};

const MAGIC: &[u8] = b"flatness journal 2\n";

/// Bytes of a SHA-256.
const DIGEST: usize = 32;

/// Bytes of a maker, beyond which a header is damaged.
const LONGEST: u64 = 1 << 16;

/// Bytes of a record before its product: rows and digest of the block.
const HEAD: usize = 8 + DIGEST;

/// Work that a loss of power may undo. A kill alone undoes no record.
const SYNC_EVERY: Duration = Duration::from_secs(5);

/// What can be wrong with a journal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file cannot be used.
    #[error("cannot {doing} the journal {}: {source}", path.display())]
    File {
        /// `open`, `lock`, `read`, `write` or `remove`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Two processes at one file.
    #[error("the journal {} is in use by another process; wait for it to end", .0.display())]
    InUse(PathBuf),
    /// Another measurement's, or no journal.
    #[error(
        "cannot go on from the journal {}: it belongs to another measurement or is no journal; remove it, or name another \
         file",
        .0.display()
    )]
    Foreign(PathBuf),
    /// The same measurement, begun where products have other bits.
    #[error(
        "cannot go on from the journal {}: it was begun {what}: {there}, here {here}; remove it, name another file, or go on there",
        path.display()
    )]
    Elsewhere {
        /// The file.
        path: PathBuf,
        /// `on another processor`, and the like.
        what: String,
        /// What it was begun on, by or with.
        there: String,
        /// What there is here.
        here: String,
    },
    /// Products of other vectors than those asked for.
    #[error(
        "the journal {} belongs to another measurement: its product {product} is of other vectors; remove it, or repeat the \
         command that began it",
        path.display()
    )]
    OtherVectors {
        /// The file.
        path: PathBuf,
        /// Which product, from 1.
        product: u64,
    },
    /// Neither float32 nor float64.
    #[error("a journal holds float32 and float64, got {0:?}")]
    NumberType(DType),
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl crate::Error {
    /// Whether a journal is of another measurement than the one at hand, or of products made elsewhere, and was left as it is.
    #[must_use]
    pub fn is_of_a_foreign_journal(&self) -> bool {
        let is_foreign = |error: &JournalError| {
            use JournalError as Of;
            matches!(
                error,
                Of::Foreign(_) | Of::Elsewhere { .. } | Of::OtherVectors { .. }
            )
        };
        match self {
            Self::Journal(error) => is_foreign(error),
            Self::Group { source, .. } => source.is_of_a_foreign_journal(),
            Self::Operator(Error::Source(source))
            | Self::Spectrum(flatness_spectrum::Error::Operator(Error::Source(source))) => {
                source.downcast_ref().is_some_and(is_foreign)
            }
            _ => false,
        }
    }
}

/// Products on record.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    /// Bytes of one row of a product.
    row: u64,
    /// Vectors on record when it was opened.
    recorded: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
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

impl Journal {
    /// Opens the journal of products with `operator` at `path`, or begins one. `identity` says which measurement it is of, and
    /// `maker`, in lines of `name: value`, what makes it.
    ///
    /// # Errors
    /// A file that is no journal, or that of another measurement or maker, which is left as it is, one that
    /// another process has open, or one that cannot be read or written.
    pub(crate) fn open(
        operator: &dyn LinearOperator,
        path: &Path,
        [identity, maker]: [&str; 2],
    ) -> Result<Self, JournalError> {
        let failed = |doing| {
            move |source| JournalError::File {
                doing,
                path: path.to_owned(),
                source,
            }
        };
        let mut file = lock(path)?;
        let element = operator.dtype().size_in_bytes() as u64;
        let mut header = MAGIC.to_vec();
        header.extend(Sha256::digest(identity));
        header.extend((operator.dim() as u64).to_le_bytes());
        header.extend(element.to_le_bytes());
        let there = maker_behind(&header, &file).map_err(failed("read"))?;
        if let Some((what, there, here)) = there.and_then(|there| difference(&there, maker)) {
            let path = path.to_owned();
            return Err(JournalError::Elsewhere {
                path,
                what,
                there,
                here,
            });
        }
        file.rewind().map_err(failed("read"))?;
        header.extend((maker.len() as u64).to_le_bytes());
        header.extend(maker.as_bytes());
        let row = element * operator.dim() as u64;
        match State::open(file, &header, row).map_err(failed("open"))? {
            None => Err(JournalError::Foreign(path.to_owned())),
            Some((state, recorded)) => Ok(Self {
                path: path.to_owned(),
                row,
                recorded,
                state: Mutex::new(state),
            }),
        }
    }

    /// Vectors whose products were on record when it was opened.
    pub(crate) fn recorded(&self) -> u64 {
        self.recorded
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file, once the measurement is done.
    pub(crate) fn remove(self) -> Result<(), JournalError> {
        std::fs::remove_file(&self.path).map_err(|source| self.failed("remove", source))
    }

    /// The next product on record, which must be that of `vectors` (k, dim); none where it is yet to be made.
    ///
    /// # Errors
    /// As [`JournalError`], others than on record and a file that cannot be read.
    pub(crate) fn recorded_product(&self, vectors: &Tensor) -> Result<Option<Tensor>, Error> {
        let mut state = self.state();
        if state.next == state.end {
            return Ok(None);
        }
        let block = digest(vectors)?;
        let record = state.next(self.row);
        let record = record.map_err(|source| Error::from_source(self.failed("read", source)))?;
        if record.block != block {
            return Err(Error::from_source(JournalError::OtherVectors {
                path: self.path.clone(),
                product: state.asked + 1,
            }));
        }
        state.step(&record);
        let (dtype, shape) = (vectors.dtype(), vectors.dims());
        let product = Tensor::from_raw_buffer(&record.product, dtype, shape, vectors.device())?;
        Ok(Some(product))
    }

    /// Puts the `product` of `vectors` (k, dim) on record, behind all others.
    ///
    /// # Errors
    /// As [`JournalError`], a file that cannot be written.
    pub(crate) fn append(&self, vectors: &Tensor, product: &Tensor) -> Result<(), Error> {
        let record = Record {
            rows: vectors.dim(0)? as u64,
            block: digest(vectors)?,
            product: bytes(product).map_err(Error::from_source)?,
        };
        let written = self.state().append(&record);
        written.map_err(|source| Error::from_source(self.failed("write", source)))
    }

    /// A thread that panicked while writing left a torn record at most, which `end` does not hold.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> JournalError {
        JournalError::File {
            doing,
            path: self.path.clone(),
            source,
        }
    }
}

impl State {
    /// The state of `file` and the vectors on record in it, a torn record cut off; none where it has another `header`.
    fn open(mut file: File, header: &[u8], row: u64) -> io::Result<Option<(Self, u64)>> {
        let mut found = Vec::new();
        (&file).take(header.len() as u64).read_to_end(&mut found)?;
        if !header.starts_with(&found) {
            return Ok(None);
        }
        let mut recorded = 0;
        let mut end = header.len() as u64;
        if found.len() < header.len() {
            // A kill tore the header itself.
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(header)?;
            file.sync_all()?;
        } else {
            let mut reader = BufReader::new(&file);
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
        Ok(Some((state, recorded)))
    }

    /// The next record, its rows of `row` bytes.
    fn next(&mut self, row: u64) -> io::Result<Record> {
        self.file.seek(SeekFrom::Start(self.next))?;
        let rest = self.end - self.next;
        let record = Record::read(&mut BufReader::new(&self.file), row, rest)?;
        record.ok_or_else(|| io::Error::other("it changed while it was in use"))
    }

    /// Goes past `record`.
    fn step(&mut self, record: &Record) {
        self.next += record.bytes();
        self.asked += 1;
    }

    fn append(&mut self, record: &Record) -> io::Result<()> {
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

/// The file at `path`, made where it is missing, and locked.
fn lock(path: &Path) -> Result<File, JournalError> {
    let failed = |doing| {
        move |source| JournalError::File {
            doing,
            path: path.to_owned(),
            source,
        }
    };
    loop {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(failed("open"))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::InUse(path.to_owned()),
            TryLockError::Error(source) => failed("lock")(source),
        })?;
        // Who held it may have removed it between the first two calls: then there is another one, or none.
        if is_at(&file, path).map_err(failed("open"))? {
            return Ok(file);
        }
    }
}

/// Whether `path` leads to this very file.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    let place = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match std::fs::metadata(path) {
        Ok(there) => Ok(place(there) == place(file.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What is open is not removed there.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// The maker in a `file` that begins with `header`; none where it begins otherwise, or was torn.
fn maker_behind(header: &[u8], file: &File) -> io::Result<Option<String>> {
    let mut found = Vec::new();
    let head = header.len() + 8;
    file.take(head as u64).read_to_end(&mut found)?;
    let Some(length) = found.strip_prefix(header) else {
        return Ok(None);
    };
    let Ok(length) = <[u8; 8]>::try_from(length).map(u64::from_le_bytes) else {
        return Ok(None);
    };
    let mut maker = Vec::new();
    file.take(length.min(LONGEST)).read_to_end(&mut maker)?;
    let is_whole = maker.len() as u64 == length;
    Ok(String::from_utf8(maker).ok().filter(|_| is_whole))
}

/// The name of the first line in which makers differ that have the same lines, and its value in each.
fn difference(there: &str, here: &str) -> Option<(String, String, String)> {
    let mut lines = there.lines().zip(here.lines());
    let (there, here) = lines.find(|(there, here)| there != here)?;
    let ((what, there), (name, here)) = there.split_once(": ").zip(here.split_once(": "))?;
    (what == name).then(|| (what.to_owned(), there.to_owned(), here.to_owned()))
}

/// One product on record, whole: rows k | SHA-256 of V | W (k, dim) | SHA-256 of all before.
struct Record {
    rows: u64,
    block: [u8; DIGEST],
    product: Vec<u8>,
}

impl Record {
    /// Bytes of the record in the file.
    fn bytes(&self) -> u64 {
        (HEAD + self.product.len() + DIGEST) as u64
    }

    fn digest(&self) -> [u8; DIGEST] {
        let mut digest = Sha256::new();
        digest.update(self.rows.to_le_bytes());
        digest.update(self.block);
        digest.update(&self.product);
        digest.finalize().into()
    }

    fn write(&self, file: &mut impl Write) -> io::Result<()> {
        file.write_all(&self.rows.to_le_bytes())?;
        file.write_all(&self.block)?;
        file.write_all(&self.product)?;
        file.write_all(&self.digest())
    }

    /// The record at the beginning of the `rest` bytes of `reader`, its rows of `row` bytes, unless it
    /// is torn.
    fn read(reader: &mut impl Read, row: u64, rest: u64) -> io::Result<Option<Self>> {
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

/// What a block of vectors is recognised by.
fn digest(vectors: &Tensor) -> Result<[u8; DIGEST], Error> {
    Ok(Sha256::digest(bytes(vectors).map_err(Error::from_source)?).into())
}

/// The elements row by row, little-endian.
fn bytes(tensor: &Tensor) -> Result<Vec<u8>, JournalError> {
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
        other => return Err(JournalError::NumberType(other)),
    }
    Ok(bytes)
}
