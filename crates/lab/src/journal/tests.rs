//! Cut, changed, foreign and whole journals.

use std::cell::Cell;
use std::fs;

use candle_core::{DType, Device, Tensor};
use flatness_operator::{Dense, LinearOperator, from_fn};

use super::record::DIGEST;
use super::{Journal, MAGIC};

const IDENTITY: &str = "weights 1, data 2";
const HEADER: usize = MAGIC.len() + DIGEST + 16;
/// Rows of the blocks that the measurement asks for.
const BLOCKS: [usize; 3] = [1, 2, 1];

fn dense(dim: usize, dtype: DType) -> Dense {
    let entries = (0..dim * dim).map(|index| {
        let (low, high) = (
            (index / dim).min(index % dim),
            (index / dim).max(index % dim),
        );
        ((3 * low + 5 * high) as f64).sin()
    });
    let matrix = Tensor::from_vec(entries.collect(), (dim, dim), &Device::Cpu).unwrap();
    Dense::new(&matrix.to_dtype(dtype).unwrap()).unwrap()
}

/// Blocks that depend on the products before them, as those of a Krylov method do, and the bits
/// that come out.
fn measure(operator: &dyn LinearOperator, blocks: usize) -> Result<Vec<u64>, String> {
    let dim = operator.dim();
    let mut vectors = Tensor::ones((1, dim), operator.dtype(), &Device::Cpu).unwrap();
    let mut bits = Vec::new();
    for rows in BLOCKS.into_iter().take(blocks) {
        let block = vectors
            .broadcast_as((rows, dim))
            .unwrap()
            .contiguous()
            .unwrap();
        let product = operator
            .apply_block(&block)
            .map_err(|error| error.to_string())?;
        let doubles = product
            .flatten_all()
            .and_then(|flat| flat.to_dtype(DType::F64));
        let doubles: Vec<f64> = doubles.unwrap().to_vec1().unwrap();
        bits.extend(doubles.iter().map(|x| x.to_bits()));
        vectors = product.narrow(0, rows - 1, 1).unwrap().cos().unwrap();
    }
    Ok(bits)
}

/// Where each record ends in the file, and the rows up to there.
fn ends(dim: usize, dtype: DType) -> Vec<(usize, u64)> {
    let mut end = (HEADER, 0);
    BLOCKS
        .map(|rows| {
            end.0 += 8 + 2 * DIGEST + rows * dim * dtype.size_in_bytes();
            end.1 += rows as u64;
            end
        })
        .into()
}

/// The operator, which counts the vectors that it multiplies.
fn counting<'a>(plain: &'a Dense, made: &'a Cell<u64>) -> impl LinearOperator + 'a {
    from_fn(plain.dim(), plain.dtype(), plain.device(), move |vectors| {
        made.set(made.get() + vectors.dim(0)? as u64);
        plain.apply_block(vectors)
    })
}

#[test]
fn a_journal_cut_off_anywhere_goes_on_to_the_same_bits() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    for dtype in [DType::F32, DType::F64] {
        let plain = dense(3, dtype);
        let expected = measure(&plain, 3).unwrap();
        let journal = Journal::open(&plain, &path, IDENTITY).unwrap();
        assert_eq!(measure(&journal, 3).unwrap(), expected);
        drop(journal);
        let whole = fs::read(&path).unwrap();
        let ends = ends(3, dtype);
        assert_eq!(whole.len(), ends[2].0);
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let made = Cell::new(0);
            let counted = counting(&plain, &made);
            let journal = Journal::open(&counted, &path, IDENTITY).unwrap();
            let kept = ends.iter().rev().find(|(end, _)| *end <= cut);
            let kept = kept.map_or(0, |(_, rows)| *rows);
            assert_eq!(journal.recorded(), kept, "cut at {cut}");
            assert_eq!(measure(&journal, 3).unwrap(), expected, "cut at {cut}");
            assert_eq!(made.get(), 4 - kept, "cut at {cut}");
            drop(journal);
            assert_eq!(fs::read(&path).unwrap(), whole, "cut at {cut}");
        }
        Journal::open(&plain, &path, IDENTITY)
            .unwrap()
            .remove()
            .unwrap();
        assert!(!path.exists());
    }
}

/// A loss of power may leave any bytes in the blocks of the file that were not on the disk.
#[test]
fn a_changed_byte_costs_the_records_from_there_on_or_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let plain = dense(3, DType::F64);
    let journal = Journal::open(&plain, &path, IDENTITY).unwrap();
    let expected = measure(&journal, 3).unwrap();
    drop(journal);
    let whole = fs::read(&path).unwrap();
    let ends = ends(3, DType::F64);
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 0x81;
        fs::write(&path, &changed).unwrap();
        let made = Cell::new(0);
        let counted = counting(&plain, &made);
        let opened = Journal::open(&counted, &path, IDENTITY);
        if place < HEADER {
            assert!(opened.is_err(), "byte {place}");
            assert_eq!(fs::read(&path).unwrap(), changed, "byte {place}");
            continue;
        }
        assert_eq!(
            measure(&opened.unwrap(), 3).unwrap(),
            expected,
            "byte {place}"
        );
        let kept = ends.iter().rev().find(|(end, _)| *end <= place);
        let kept = kept.map_or(0, |(_, rows)| *rows);
        assert_eq!(made.get(), 4 - kept, "byte {place}");
    }
}

#[test]
fn a_measurement_goes_on_behind_what_is_on_record() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let plain = dense(3, DType::F64);
    let expected = measure(&plain, 3).unwrap();
    for blocks in [0, 1, 2, 3] {
        let made = Cell::new(0);
        let counted = counting(&plain, &made);
        let journal = Journal::open(&counted, &path, IDENTITY).unwrap();
        let bits = measure(&journal, blocks).unwrap();
        assert_eq!(bits, expected[..bits.len()]);
        assert_eq!(made.get(), [0, 1, 2, 1][blocks]);
    }
}

#[test]
fn the_journal_of_another_measurement_is_refused_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let plain = dense(3, DType::F64);
    let journal = Journal::open(&plain, &path, IDENTITY).unwrap();
    measure(&journal, 3).unwrap();
    let again = Journal::open(&plain, &path, IDENTITY)
        .err()
        .unwrap()
        .to_string();
    assert!(again.contains("in use by another process"), "{again}");
    drop(journal);
    let whole = fs::read(&path).unwrap();
    let others = [
        (dense(3, DType::F64), "weights 2, data 2"),
        (dense(4, DType::F64), IDENTITY),
        (dense(3, DType::F32), IDENTITY),
    ];
    for (operator, identity) in others {
        let error = Journal::open(operator, &path, identity).err().unwrap();
        let message = format!("{error:#}");
        assert!(message.contains("another measurement"), "{message}");
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
    fs::write(&path, "something that somebody wants to keep").unwrap();
    assert!(Journal::open(&plain, &path, IDENTITY).is_err());
    let kept = fs::read_to_string(&path).unwrap();
    assert_eq!(kept, "something that somebody wants to keep");
}

#[test]
fn other_vectors_than_those_on_record_are_an_error_that_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let plain = dense(3, DType::F64);
    measure(&Journal::open(&plain, &path, IDENTITY).unwrap(), 3).unwrap();
    let journal = Journal::open(&plain, &path, IDENTITY).unwrap();
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
