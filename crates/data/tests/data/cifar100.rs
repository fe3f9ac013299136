//! Where CIFAR-100 is found, what it holds, and what is refused, with small archives and directories.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use flatness_data::check::Completeness;
use flatness_data::cifar100::{self, ARCHIVE_NAME, Cifar100, FILE_NAMES, Source};
use flatness_data::{Error, Normalization};
use tempfile::tempdir;

use crate::cifar::{
    DIRECTORY, FILE, GNU_LONG_NAME, HARD_LINK, SYMBOLIC_LINK, entries, entry, files, header, names,
    record, tar, write_archive, write_files,
};
use crate::encode::gzip;

fn load(path: &Path) -> Result<Cifar100, Error> {
    cifar100::load(cifar100::find(Some(path), None)?, Normalization::cifar())
}

/// The error of an archive with these bytes.
fn refusal(archive: &[u8]) -> Error {
    let root = tempdir().unwrap();
    let path = root.path().join(ARCHIVE_NAME);
    fs::write(&path, archive).unwrap();
    let error = load(&path).unwrap_err();
    let message = error.to_string();
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert!(!message.contains('\n'), "{message}");
    error
}

fn check_refused(archive: &[u8], part: &str) {
    let message = refusal(archive).to_string();
    assert!(message.contains(part), "expected `{part}` in: {message}");
}

#[test]
fn archive_and_directory_give_the_same_data_wherever_they_lie() {
    type Write = fn(&Path, &[(&str, Vec<u8>)]);
    let cases: [(&str, &str, Write); 8] = [
        ("", "", write_archive),
        ("", "cifar-100", write_archive),
        (ARCHIVE_NAME, "", write_archive),
        ("", "", write_files),
        ("", "cifar-100-binary", write_files),
        ("", "cifar-100", write_files),
        ("", "cifar-100/cifar-100-binary", write_files),
        ("cifar-100-binary", "cifar-100-binary", write_files),
    ];
    let mut digests = Vec::new();
    for (asked, at, write) in cases {
        let root = tempdir().unwrap();
        write(&root.path().join(at), &files());
        let data = load(&root.path().join(asked)).unwrap();
        let labels = |data: &flatness_data::Dataset| data.labels().to_vec1::<u8>().unwrap();
        assert_eq!(labels(&data.train), [7, 0, 99], "{asked} {at}");
        assert_eq!(labels(&data.test), [0, 7]);
        assert_eq!(
            (data.train.name(), data.test.name()),
            ("cifar-100-train", "cifar-100-test")
        );
        assert_eq!((data.train.classes(), data.test.classes()), (100, 100));
        assert_eq!(data.completeness, Completeness::Partial);
        assert_eq!(data.identities, [None, None]);
        digests.push(data.digest().unwrap());
    }
    assert!(
        digests.iter().all(|digest| *digest == digests[0]),
        "{digests:?}"
    );
}

#[test]
fn pixels_are_planes_of_red_green_and_blue_row_by_row() {
    let root = tempdir().unwrap();
    write_archive(root.path(), &files());
    let data = load(root.path()).unwrap();
    assert_eq!(data.train.images().dims(), [3, 3, 32, 32]);
    let images = data
        .train
        .images()
        .flatten_from(2)
        .unwrap()
        .to_vec3::<u8>()
        .unwrap();
    let written = record(2, 99, 2);
    for (channel, row, column) in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (2, 31, 31)] {
        let position = 2 + channel * 1024 + row * 32 + column;
        assert_eq!(images[2][channel][row * 32 + column], written[position]);
    }
    assert_eq!(images[2].concat(), written[2..]);
}

#[test]
fn names_and_superclasses_come_from_the_files_and_the_records() {
    let root = tempdir().unwrap();
    let mut files = files();
    files[2].1.extend(b"\n\n");
    write_archive(root.path(), &files);
    let classes = load(root.path()).unwrap().classes;
    assert_eq!(
        (classes.names.len(), classes.superclass_names.len()),
        (100, 20)
    );
    assert_eq!(
        (
            classes.names[99].as_str(),
            classes.superclass_names[0].as_str()
        ),
        ("fine-99", "coarse-0")
    );
    for class in 0..100 {
        let expected = match class {
            0 => Some(19),
            7 => Some(4),
            99 => Some(2),
            _ => None,
        };
        assert_eq!(classes.superclasses[class], expected, "{class}");
    }
}

#[test]
fn the_normalisation_is_the_callers_and_enters_no_digest() {
    let root = tempdir().unwrap();
    write_archive(root.path(), &files());
    let mut digests = Vec::new();
    // MATHS.md, section 4.
    for (normalization, mean, deviation) in [
        (
            Normalization::cifar(),
            [0.4914, 0.4822, 0.4465],
            [0.2023, 0.1994, 0.2010],
        ),
        (
            Normalization::imagenet(),
            [0.485, 0.456, 0.406],
            [0.229, 0.224, 0.225],
        ),
    ] {
        let source = Source::Archive(root.path().join(ARCHIVE_NAME));
        let data = cifar100::load(source, normalization).unwrap();
        for split in [&data.train, &data.test] {
            assert_eq!(split.normalization().mean(), mean);
            assert_eq!(split.normalization().deviation(), deviation);
        }
        digests.push(data.digest().unwrap());
    }
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn the_directory_asked_for_comes_before_the_cache_and_the_archive_before_its_files() {
    let (asked, cache) = (tempdir().unwrap(), tempdir().unwrap());
    write_files(asked.path(), &files());
    write_archive(cache.path(), &files());
    let find = |asked, cache| cifar100::find(asked, cache).unwrap();
    let directory = Source::Directory(asked.path().to_owned());
    let archive = Source::Archive(cache.path().join(ARCHIVE_NAME));
    assert_eq!(find(Some(asked.path()), Some(cache.path())), directory);
    assert_eq!(find(None, Some(cache.path())), archive);
    assert_eq!(
        directory.to_string(),
        format!("directory {}", asked.path().display())
    );
    assert_eq!(
        archive.to_string(),
        format!("archive {}", cache.path().join(ARCHIVE_NAME).display())
    );

    write_archive(asked.path(), &files());
    let archive = Source::Archive(asked.path().join(ARCHIVE_NAME));
    assert_eq!(find(Some(asked.path()), None), archive);
}

#[test]
fn what_is_not_there_is_named() {
    let root = tempdir().unwrap();
    let absent = root.path().join("absent");
    let find = |asked, cache| cifar100::find(asked, cache).unwrap_err();
    assert!(matches!(find(Some(&absent), None), Error::NotADirectory { path } if path == absent));
    for error in [find(Some(root.path()), None), find(None, Some(&absent))] {
        let message = error.to_string();
        assert!(matches!(error, Error::Absent { .. }), "{message}");
        assert!(message.contains(ARCHIVE_NAME), "{message}");
    }
    assert!(matches!(find(None, None), Error::NoDirectory { .. }));

    for (index, name) in FILE_NAMES.into_iter().enumerate() {
        let mut files = files();
        files.remove(index);
        let root = tempdir().unwrap();
        let unpacked = root.path().join("cifar-100-binary");
        write_files(&unpacked, &files);
        let message = load(root.path()).unwrap_err().to_string();
        let expected = format!("{} lacks {name}", unpacked.display());
        assert!(message.contains(&expected), "{message}");

        check_refused(
            &gzip(&tar(&entries(&files))),
            &format!("{ARCHIVE_NAME} lacks {name}"),
        );
    }
}

#[test]
fn files_with_other_content_are_refused() {
    let train = files()[0].1.clone();
    let cases: [(usize, Vec<u8>, &str); 14] = [
        (0, vec![], "1 to 50000 records of 3074 bytes, got none"),
        (0, train[..train.len() - 1].to_vec(), "got 2 and 3073 bytes"),
        (0, [train.clone(), vec![0]].concat(), "got 3 and 1 bytes"),
        (
            1,
            vec![0],
            "1 to 10000 records of 3074 bytes, got 0 and 1 bytes",
        ),
        (
            0,
            record(20, 0, 0),
            "train.bin (coarse labels): label 0 must be below 20, got 20",
        ),
        (
            1,
            record(0, 100, 0),
            "test.bin (fine labels): label 0 must be below 100, got 100",
        ),
        (
            0,
            [record(4, 7, 0), record(5, 7, 0)].concat(),
            "record 1 puts class 7 into superclass 5",
        ),
        (
            1,
            record(5, 7, 0),
            "test.bin: record 0 puts class 7 into superclass 5",
        ),
        (
            2,
            names("fine", 99),
            "expected 100 names, one per line, got 99",
        ),
        (2, names("fine", 101), "got 101"),
        (
            3,
            names("coarse", 100),
            "expected 20 names, one per line, got 100",
        ),
        (3, vec![], "got 0"),
        (
            2,
            [b"\n".to_vec(), names("fine", 99)].concat(),
            "an empty line",
        ),
        (2, vec![0xff; 200], "no text"),
    ];
    for (index, content, part) in cases {
        let mut files = files();
        files[index].1 = content;
        let root = tempdir().unwrap();
        write_files(root.path(), &files);
        let message = load(root.path()).unwrap_err().to_string();
        let path = root.path().join(files[index].0);
        assert!(message.contains(&path.display().to_string()), "{message}");
        assert!(message.contains(part), "expected `{part}` in: {message}");
        check_refused(&gzip(&tar(&entries(&files))), part);
    }
}

#[test]
fn more_records_than_the_complete_data_set_has_are_refused() {
    let mut files = files();
    files[1].1 = record(19, 0, 0).repeat(10_001);
    let root = tempdir().unwrap();
    write_files(root.path(), &files);
    let message = load(root.path()).unwrap_err().to_string();
    assert!(
        message.contains("1 to 10000 records of 3074 bytes, got more"),
        "{message}"
    );

    files[1].1.truncate(10_000 * 3074);
    write_files(root.path(), &files);
    assert_eq!(load(root.path()).unwrap().test.len(), 10_000);
}

#[test]
fn damaged_archives_are_refused() {
    let plain = tar(&entries(&files()));
    let packed = gzip(&plain);
    let flipped = |bytes: &[u8], position: usize| {
        let mut bytes = bytes.to_vec();
        bytes[position] ^= 1;
        bytes
    };
    check_refused(&plain, "damaged");
    check_refused(&[], "damaged");
    check_refused(&packed[..packed.len() / 2], "damaged");
    check_refused(&packed[..packed.len() - 1], "damaged");
    // A pixel of the first record: the content is well-formed, the checksum is not.
    check_refused(&flipped(&packed, 10 + 5 + 512 + 512 + 100), "damaged");
    // A letter of the name in the header of an entry.
    check_refused(&gzip(&flipped(&plain, 512)), "damaged");
    // The tar ends inside a record, the gzip around it is whole.
    check_refused(&gzip(&plain[..512 + 512 + 4000]), "got 1 and 926 bytes");
    // It ends between two records: only the header tells that one is missing.
    check_refused(
        &gzip(&plain[..512 + 512 + 3074]),
        "declares 9222 bytes of data, got 3074",
    );
}

#[test]
fn links_duplicates_and_other_paths_are_not_followed() {
    let files = files();
    let [_, train, rest @ ..] = &entries(&files)[..] else {
        panic!("an archive has more entries");
    };
    let archive = |entries: &[Vec<u8>]| gzip(&tar(&[entries, rest].concat()));
    let at = "cifar-100-binary/train.bin";
    for kind in [HARD_LINK, SYMBOLIC_LINK, DIRECTORY] {
        let link = with_target(header(at, kind, 0));
        check_refused(&archive(&[link]), "train.bin is not a plain file");
    }
    check_refused(
        &archive(&[train.clone(), train.clone()]),
        "train.bin is there twice",
    );
    for path in [
        "../cifar-100-binary/train.bin",
        "/cifar-100-binary/train.bin",
        "cifar-100-binary/../cifar-100-binary/train.bin",
        "cifar-100-binary/./train.bin",
        "cifar-100-binary//train.bin",
        "cifar-100-binary/train.bin/",
        "cifar-100-binary/Train.bin",
        "train.bin",
    ] {
        let elsewhere = entry(path, FILE, &files[0].1);
        check_refused(
            &archive(std::slice::from_ref(&elsewhere)),
            "lacks train.bin",
        );
        // Next to the file itself it is passed over.
        let root = tempdir().unwrap();
        let bytes = archive(&[elsewhere, train.clone()]);
        fs::write(root.path().join(ARCHIVE_NAME), bytes).unwrap();
        assert_eq!(load(root.path()).unwrap().train.len(), 3, "{path}");
    }
    let dotted = entry("./cifar-100-binary/train.bin", FILE, &files[0].1);
    let root = tempdir().unwrap();
    fs::write(root.path().join(ARCHIVE_NAME), archive(&[dotted])).unwrap();
    assert_eq!(load(root.path()).unwrap().train.len(), 3);
}

/// The header of a link with a target, its checksum made anew.
fn with_target(mut header: Vec<u8>) -> Vec<u8> {
    header[157..168].copy_from_slice(b"/etc/passwd");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[test]
fn an_archive_that_goes_on_and_on_is_left() {
    // A quarter of a gigabyte of zeros, in about a megabyte.
    let bomb = |start: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(start).unwrap();
        std::io::copy(&mut std::io::repeat(0).take(1 << 28), &mut encoder).unwrap();
        encoder.finish().unwrap()
    };
    let size = 200_000 * 3074;
    let too_much = "damaged (it has more than 1855";
    check_refused(&bomb(&tar(&entries(&files()))), too_much);
    check_refused(&bomb(&header("elsewhere", FILE, size)), too_much);
    check_refused(&bomb(&header("elsewhere", GNU_LONG_NAME, size)), too_much);
    let train = header("cifar-100-binary/train.bin", FILE, size);
    check_refused(&bomb(&train), "1 to 50000 records of 3074 bytes, got more");
    let names = header("cifar-100-binary/fine_label_names.txt", FILE, size);
    check_refused(&bomb(&names), "got more than 32768 bytes");
}

#[test]
fn the_manifest_names_the_canonical_archive() {
    let manifest = cifar100::manifest();
    let [file] = &manifest.files[..] else {
        panic!("{manifest:?}");
    };
    assert_eq!(
        (file.name.as_str(), file.bytes),
        (ARCHIVE_NAME, 168_513_733)
    );
    assert_eq!((file.md5.len(), file.sha256.len()), (32, 64));
    assert_eq!(manifest.mirrors, ["https://www.cs.toronto.edu/~kriz/"]);
}
