//! Cut, changed, foreign and whole journals.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use flatness_operator::{Error, LinearOperator, check_block, from_fn};
use flatness_testkit::values;

use super::{DIGEST, Journal, JournalError, MAGIC, is_at};

const IDENTITY: &str = "weights 1, data 2";
const MAKER: &str = "by another version: 1\non another processor: A";
const HEADER: usize = MAGIC.len() + DIGEST + 24 + MAKER.len();
/// Rows of the blocks that the measurement asks for.
const BLOCKS: [usize; 3] = [1, 2, 1];

fn dense(dim: usize, dtype: DType) -> impl LinearOperator {
    let entries = (0..dim * dim).map(|index| ((index / dim + index % dim) as f64).sin());
    let matrix = Tensor::from_vec(entries.collect::<Vec<_>>(), (dim, dim), &Device::Cpu);
    let matrix = matrix.unwrap().to_dtype(dtype).unwrap();
    from_fn(dim, dtype, &Device::Cpu, move |vectors: &Tensor| {
        vectors.matmul(&matrix)
    })
}

/// An operator with a journal, and the vectors that it had to multiply.
struct Journalled<'a> {
    operator: &'a dyn LinearOperator,
    journal: Journal,
    products: Cell<u64>,
}

fn open<'a>(
    operator: &'a dyn LinearOperator,
    path: &Path,
    identity: &str,
) -> Result<Journalled<'a>, JournalError> {
    Ok(Journalled {
        operator,
        journal: Journal::open(operator, path, [identity, MAKER])?,
        products: Cell::new(0),
    })
}

impl LinearOperator for Journalled<'_> {
    flatness_operator::space_of!(operator);

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        let rows = check_block(self, vectors)?;
        if let Some(product) = self.journal.recorded_product(vectors)? {
            return Ok(product);
        }
        self.products.set(self.products.get() + rows as u64);
        let product = self.operator.apply_block(vectors)?;
        self.journal.append(vectors, &product)?;
        Ok(product)
    }
}

/// Blocks that depend on the products before them, as those of a Krylov method do, and the bits
/// that come out.
fn measure(operator: &dyn LinearOperator, blocks: usize) -> Result<Vec<u64>, String> {
    let dim = operator.dim();
    let mut vectors = Tensor::ones((1, dim), operator.dtype(), &Device::Cpu).unwrap();
    let mut bits = Vec::new();
    for rows in BLOCKS.into_iter().take(blocks) {
        let block = vectors.repeat((rows, 1)).unwrap();
        let product = operator.apply_block(&block);
        let product = product.map_err(|error| error.to_string())?;
        bits.extend(values(&product).iter().map(|x| x.to_bits()));
        vectors = product.narrow(0, rows - 1, 1).unwrap().cos().unwrap();
    }
    Ok(bits)
}

/// A directory that is removed when it is dropped, and a file in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    (directory, path)
}

/// Rows on record in the first `bytes` of a journal of vectors of 3 elements, and where the last record ends.
fn kept(bytes: usize, dtype: DType) -> (u64, usize) {
    let mut kept = (0, HEADER);
    for rows in BLOCKS {
        let end = kept.1 + 8 + 2 * DIGEST + 3 * rows * dtype.size_in_bytes();
        if end > bytes {
            break;
        }
        kept = (kept.0 + rows as u64, end);
    }
    kept
}

#[test]
fn a_journal_cut_off_anywhere_goes_on_to_the_same_bits() {
    let (_directory, path) = place();
    for dtype in [DType::F32, DType::F64] {
        let plain = dense(3, dtype);
        let expected = measure(&plain, 3).unwrap();
        let journal = open(&plain, &path, IDENTITY).unwrap();
        assert_eq!(measure(&journal, 3).unwrap(), expected);
        drop(journal);
        let whole = fs::read(&path).unwrap();
        assert_eq!(kept(whole.len(), dtype), (4, whole.len()));
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let journal = open(&plain, &path, IDENTITY).unwrap();
            let (kept, _) = kept(cut, dtype);
            assert_eq!(journal.journal.recorded(), kept, "cut at {cut}");
            assert_eq!(measure(&journal, 3).unwrap(), expected, "cut at {cut}");
            assert_eq!(journal.products.get(), 4 - kept, "cut at {cut}");
            drop(journal);
            assert_eq!(fs::read(&path).unwrap(), whole, "cut at {cut}");
        }
        let journal = Journal::open(&plain, &path, [IDENTITY, MAKER]).unwrap();
        journal.remove().unwrap();
        assert!(!path.exists());
    }
}

/// A loss of power may leave any bytes in the blocks of the file that were not on the disk.
#[test]
fn a_changed_byte_costs_the_records_from_there_on_or_the_journal() {
    let (_directory, path) = place();
    let plain = dense(3, DType::F64);
    let journal = open(&plain, &path, IDENTITY).unwrap();
    let expected = measure(&journal, 3).unwrap();
    drop(journal);
    let whole = fs::read(&path).unwrap();
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 0x81;
        fs::write(&path, &changed).unwrap();
        let opened = open(&plain, &path, IDENTITY);
        if place < HEADER {
            assert!(opened.is_err(), "byte {place}");
            assert_eq!(fs::read(&path).unwrap(), changed, "byte {place}");
            continue;
        }
        let journal = opened.unwrap();
        assert_eq!(measure(&journal, 3).unwrap(), expected, "byte {place}");
        let (kept, _) = kept(place, DType::F64);
        assert_eq!(journal.products.get(), 4 - kept, "byte {place}");
    }
}

#[test]
fn a_measurement_goes_on_behind_what_is_on_record() {
    let (_directory, path) = place();
    let plain = dense(3, DType::F64);
    let expected = measure(&plain, 3).unwrap();
    for blocks in [0, 1, 2, 3] {
        let journal = open(&plain, &path, IDENTITY).unwrap();
        let bits = measure(&journal, blocks).unwrap();
        assert_eq!(bits, expected[..bits.len()]);
        assert_eq!(journal.products.get(), [0, 1, 2, 1][blocks]);
    }
}

#[test]
fn the_journal_of_another_measurement_is_refused_and_kept() {
    let (_directory, path) = place();
    let plain = dense(3, DType::F64);
    let journal = open(&plain, &path, IDENTITY).unwrap();
    measure(&journal, 3).unwrap();
    let again = open(&plain, &path, IDENTITY).err().unwrap().to_string();
    assert!(again.contains("in use by another process"), "{again}");
    drop(journal);
    let whole = fs::read(&path).unwrap();
    for (dim, dtype, identity) in [
        (3, DType::F64, "weights 2, data 2"),
        (4, DType::F64, IDENTITY),
        (3, DType::F32, IDENTITY),
    ] {
        let error = open(&dense(dim, dtype), &path, identity).err().unwrap();
        let message = format!("{error:#}");
        assert!(message.contains("another measurement"), "{message}");
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
    fs::write(&path, "something that somebody wants to keep").unwrap();
    assert!(open(&plain, &path, IDENTITY).is_err());
    let kept = fs::read_to_string(&path).unwrap();
    assert_eq!(kept, "something that somebody wants to keep");
}

#[test]
fn other_vectors_than_those_on_record_are_an_error_that_says_what_to_do() {
    let (_directory, path) = place();
    let plain = dense(3, DType::F64);
    measure(&open(&plain, &path, IDENTITY).unwrap(), 3).unwrap();
    let journal = open(&plain, &path, IDENTITY).unwrap();
    measure(&journal, 1).unwrap();
    let other = Tensor::full(0.5, (2, 3), &Device::Cpu).unwrap();
    // It stays one, however often it is asked.
    for _ in 0..2 {
        let message = journal.apply_block(&other).unwrap_err().to_string();
        let named = format!("{} belongs to another measurement", path.display());
        assert!(message.contains(&named), "{message}");
        assert!(message.contains("its product 2 is of other vectors; remove it"));
    }
    let wrong = Tensor::ones((2, 4), DType::F64, &Device::Cpu).unwrap();
    assert!(journal.apply_block(&wrong).is_err());
}

#[test]
fn a_journal_begun_elsewhere_is_refused_with_what_is_another_and_kept() {
    let (_directory, path) = place();
    let plain = dense(3, DType::F64);
    measure(&open(&plain, &path, IDENTITY).unwrap(), 3).unwrap();
    let whole = fs::read(&path).unwrap();
    for (maker, expected) in [
        (
            MAKER.replace("A", "B, 2 GHz"),
            "it was begun on another processor: A, here B, 2 GHz; remove it",
        ),
        (
            MAKER.replace('1', "22"),
            "it was begun by another version: 1, here 22; remove it",
        ),
        (
            MAKER.replace("version", "commit"),
            "it belongs to another measurement",
        ),
        (
            format!("{MAKER}\nmore: 1"),
            "it belongs to another measurement",
        ),
    ] {
        let refused = Journal::open(&plain, &path, [IDENTITY, &maker]).unwrap_err();
        let said = refused.to_string();
        let expected = format!(
            "cannot go on from the journal {}: {expected}",
            path.display()
        );
        assert!(said.starts_with(&expected), "{said}");
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
    let other = Journal::open(&plain, &path, ["weights 2", &MAKER.replace('A', "B")]);
    let said = other.unwrap_err().to_string();
    assert!(said.contains("it belongs to another measurement"), "{said}");
}

/// One that waits at a file which its holder then removes would hold what nobody finds.
#[cfg(unix)]
#[test]
fn a_file_that_was_removed_meanwhile_is_not_at_its_path() {
    let (_directory, path) = place();
    let open = || {
        fs::File::options()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap()
    };
    let first = open();
    assert!(is_at(&first, &path).unwrap());
    fs::remove_file(&path).unwrap();
    assert!(!is_at(&first, &path).unwrap());
    let second = open();
    assert!(!is_at(&first, &path).unwrap() && is_at(&second, &path).unwrap());
}
