//! No bytes make the reader of CIFAR-100 panic, or hold more than a small multiple of what it keeps.
//!
//! A test program of its own, since its allocator counts for the whole process.

use std::fs;
use std::io::{Read, Write};
use std::sync::Mutex;

use flate2::Compression;
use flate2::write::GzEncoder;
use flatness_data::{Error, Loaded, Normalization, Set};
use peak_alloc::PeakAlloc;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

use cifar::{ARCHIVE_NAME, DIRECTORY, FILE, SYMBOLIC_LINK, entries, entry, files, header, tar};
use encode::gzip;

#[path = "data/cifar.rs"]
#[allow(dead_code, reason = "the tests of `data` use the rest")]
mod cifar;
#[path = "data/encode.rs"]
#[allow(dead_code, reason = "the tests of `data` use the rest")]
mod encode;

/// Flag of the entry whose content is the name of the next one.
const GNU_LONG_NAME: u8 = b'L';

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// One measurement at a time.
static MEASURING: Mutex<()> = Mutex::new(());

/// What the reader may hold besides data: the buffer of the file (64 KiB), the window and tables of the
/// gzip decoder (less than 100 KiB), a file of names (32 KiB, twice while it grows).
const OVERHEAD: usize = 1 << 19;

/// Load an archive with these bytes, and the most memory that took.
fn load(archive: &[u8]) -> (Result<Loaded, Error>, usize) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(ARCHIVE_NAME);
    fs::write(&path, archive).unwrap();
    let _measuring = MEASURING.lock().unwrap_or_else(|error| error.into_inner());
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let found = Set::Cifar100.find(Some(&path), None, None);
    let outcome = found.and_then(|source| source.load(Normalization::cifar()));
    (outcome, MEMORY.peak_usage().saturating_sub(before))
}

/// Loading these bytes, which hold `unpacked` bytes at most, does not panic and is bounded.
fn check_bounded(archive: &[u8], unpacked: usize) -> Result<Loaded, Error> {
    let (outcome, peak) = load(archive);
    // A growing vector is there twice while it moves, and up to twice as large as its content.
    let bound = OVERHEAD + 4 * unpacked;
    assert!(peak <= bound, "{peak} bytes held, at most {bound} expected");
    outcome
}

/// `start`, and zeros up to half a gigabyte, compressed to about two megabytes.
fn bomb(start: &[u8]) -> Vec<u8> {
    // Its megabytes are not those of a reader beside it.
    let _measuring = MEASURING.lock().unwrap_or_else(|error| error.into_inner());
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(start).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(1 << 29), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_is_not_kept_is_not_held() {
    let kept = tar(&entries(&files()));
    let too_much = "damaged (it has more bytes than the whole data set)";
    let [names, train] = ["fine_label_names.txt", "train.bin"]
        .map(|name| header(&format!("cifar-100-binary/{name}"), FILE, 1 << 29));
    for (start, unpacked, expected) in [
        (kept, 1 << 16, too_much),
        (header("elsewhere", FILE, 1 << 29), 0, too_much),
        // A reader that makes sense of these two holds their content, which is a name.
        (header("././@LongLink", GNU_LONG_NAME, 1 << 29), 0, too_much),
        (header("PaxHeaders/train.bin", b'x', 1 << 29), 0, too_much),
        (names, 0, "got more than 32768 bytes"),
        // More than 170,000 records of zeros, of which a complete training set has 50,000.
        (
            train,
            50_000 * 3074,
            "1 to 50000 records of 3074 bytes, got more",
        ),
    ] {
        let message = check_bounded(&bomb(&start), unpacked)
            .unwrap_err()
            .to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_size_that_is_only_promised_is_not_allocated() {
    for path in ["cifar-100-binary/train.bin", "elsewhere"] {
        for kind in [FILE, GNU_LONG_NAME] {
            // The largest number of eleven octal digits, 8 GiB.
            let archive = gzip(&header(path, kind, (1 << 33) - 1));
            assert!(check_bounded(&archive, 512).is_err());
        }
    }
}

/// An entry of any kind at a path that is, or resembles, one of an archive, with a size that may be wrong.
fn any_entry() -> impl Strategy<Value = Vec<u8>> {
    let path = prop::sample::select(vec![
        "cifar-100-binary/train.bin",
        "cifar-100-binary/test.bin",
        "cifar-100-binary/fine_label_names.txt",
        "cifar-100-binary/coarse_label_names.txt",
        "./cifar-100-binary/train.bin",
        "../cifar-100-binary/train.bin",
        "/etc/passwd",
        "",
    ]);
    let kind = prop_oneof![
        8 => Just(FILE),
        4 => prop::sample::select(vec![0, SYMBOLIC_LINK, DIRECTORY, GNU_LONG_NAME, b'x', b'g', b'S']),
        1 => any::<u8>(),
    ];
    let size = prop_oneof![Just(None), (0_u64..1 << 33).prop_map(Some)];
    let content = prop_oneof![
        prop::sample::select(files()).prop_map(|(_, content)| content),
        vec(any::<u8>(), 0..4000),
    ];
    (path, kind, size, content).prop_map(|(path, kind, size, content)| {
        let mut bytes = entry(path, kind, &content);
        if let Some(size) = size {
            bytes[..512].copy_from_slice(&header(path, kind, size));
        }
        bytes
    })
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in vec(any::<u8>(), 0..2000)) {
        let framed = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], &bytes[..]].concat();
        // Deflate makes at most 1032 bytes of one.
        for (archive, unpacked) in [(&bytes, 0), (&gzip(&bytes), 2000), (&framed, 2000 * 1032)] {
            let _ = check_bounded(archive, unpacked);
        }
    }

    #[test]
    fn no_entries_do_harm(entries in vec(any_entry(), 0..8)) {
        let plain = tar(&entries);
        let _ = check_bounded(&gzip(&plain), plain.len());
    }

    #[test]
    fn damage_to_an_archive_never_goes_unnoticed(
        position in any::<prop::sample::Index>(),
        replacement in any::<u8>(),
    ) {
        let valid = gzip(&tar(&entries(&files())));
        let mut bytes = valid.clone();
        let position = position.index(bytes.len());
        bytes[position] = replacement;
        if let Ok(data) = check_bounded(&bytes, valid.len()) {
            let expected = load(&valid).0.unwrap();
            assert_eq!(data.digest().unwrap(), expected.digest().unwrap());
            assert_eq!(data.classes, expected.classes);
        }
    }

    #[test]
    fn damage_under_the_checksum_does_no_harm(
        position in any::<prop::sample::Index>(),
        replacement in any::<u8>(),
        end in any::<prop::sample::Index>(),
    ) {
        let mut plain = tar(&entries(&files()));
        let position = position.index(plain.len());
        plain[position] = replacement;
        for plain in [&plain[..], &plain[..end.index(plain.len())]] {
            let _ = check_bounded(&gzip(plain), plain.len());
        }
    }
}
