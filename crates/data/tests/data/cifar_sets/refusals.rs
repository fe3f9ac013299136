//! Archives and directories that are absent, damaged or hostile.

use std::fs;

use flatness_data::{Error, Set};
use tempfile::{TempDir, tempdir};

use super::{load, of};
use crate::check::refused;
use crate::cifar::{
    ARCHIVE_NAME, DIRECTORY, FILE, HARD_LINK, SYMBOLIC_LINK, entries, entry, files, header, names,
    record, tar, ten, write_files, write_packed, write_python,
};
use crate::encode::gzip;

/// An archive with these bytes is refused with its path and the `parts`.
fn check_refused(archive: &[u8], parts: &str) {
    let root = archive_of(archive);
    let path = root.path().join(ARCHIVE_NAME);
    refused(load(&path), &format!("{}|{parts}", path.display()));
}

/// A directory with an archive of these bytes.
fn archive_of(bytes: &[u8]) -> TempDir {
    let root = tempdir().unwrap();
    fs::write(root.path().join(ARCHIVE_NAME), bytes).unwrap();
    root
}

#[test]
fn what_is_not_there_is_named() {
    let root = tempdir().unwrap();
    let absent = root.path().join("absent");
    let find = |asked, cache| Set::Cifar100.find(asked, cache, None).unwrap_err();
    assert!(matches!(find(Some(&absent), None), Error::Io { path, .. } if path == absent));
    for error in [find(Some(root.path()), None), find(None, Some(&absent))] {
        let named = matches!(&error, Error::Absent { what, .. } if what.contains(ARCHIVE_NAME));
        assert!(named, "{error}");
    }
    refused(Set::Cifar100.find(None, None, None), "no cache directory");

    for index in 0..4 {
        let mut files = files();
        let (name, _) = files.remove(index);
        let root = tempdir().unwrap();
        let unpacked = root.path().join("cifar-100-binary");
        write_files(&unpacked, &files);
        refused(
            load(root.path()),
            &format!("no {name} in {}", unpacked.display()),
        );
        let expected = format!("{ARCHIVE_NAME}: the archive is damaged (it lacks {name})");
        check_refused(&gzip(&tar(&entries(&files))), &expected);
    }
}

#[cfg(unix)]
#[test]
fn what_may_not_be_looked_at_is_not_called_absent() {
    for name in [ARCHIVE_NAME, "train.bin"] {
        let root = tempdir().unwrap();
        let path = root.path().join(name);
        // A link that leads to itself keeps everybody out.
        std::os::unix::fs::symlink(&path, &path).unwrap();
        for (asked, cache) in [(Some(root.path()), None), (None, Some(root.path()))] {
            let error = Set::Cifar100.find(asked, cache, None).unwrap_err();
            let is_io = matches!(&error, Error::Io { path: got, .. } if *got == path);
            assert!(is_io, "{error}");
        }
    }
}

#[test]
fn files_with_other_content_are_refused() {
    let train = files()[0].1.clone();
    let cut = train[..train.len() - 1].to_vec();
    let longer = [train.clone(), vec![0]].concat();
    let [twice, other] =
        [(4, 5), (5, 5)].map(|(of, or)| [record(of, 7, 0), record(or, 7, 0)].concat());
    let blank = [b"\n".to_vec(), names("fine", 99)].concat();
    let of_train = "from 1 to 50000 records of 3074 bytes";
    let of_test = "from 1 to 10000 records of 3074 bytes";
    let [no_superclass, no_class] = [record(20, 0, 0), record(0, 100, 0)];
    let of_seven =
        |record: usize| format!("superclass of class 7 in record {record} must be 4|got 5");
    let cases: [(usize, Vec<u8>, &str); 14] = [
        (0, vec![], &format!("{of_train}|got none")),
        (0, cut, &format!("{of_train}|got 2 and 3073 bytes")),
        (0, longer, "got 3 and 1 bytes"),
        (1, vec![0], &format!("{of_test}|got 0 and 1 bytes")),
        (0, no_superclass, "(coarse labels): label 0|0..20, got 20"),
        (1, no_class, "(fine labels): label 0|0..100, got 100"),
        (0, twice, &of_seven(1)),
        (1, other, &of_seven(0)),
        (2, names("fine", 99), "100 names, one per line, got 99"),
        (2, names("fine", 101), "got 101"),
        (3, names("coarse", 100), "20 names, one per line, got 100"),
        (3, vec![], "got 0"),
        (2, blank, "an empty line"),
        (2, vec![0xff; 200], "no text"),
    ];
    for (index, content, parts) in cases {
        let mut files = files();
        files[index].1 = content;
        let root = tempdir().unwrap();
        write_files(root.path(), &files);
        let path = root.path().join(files[index].0);
        refused(load(root.path()), &format!("{}|{parts}", path.display()));
        check_refused(&gzip(&tar(&entries(&files))), parts);
    }
}

#[test]
fn more_records_than_the_complete_data_set_has_are_refused() {
    let mut files = files();
    files[1].1 = record(19, 0, 0).repeat(10_001);
    let root = tempdir().unwrap();
    write_files(root.path(), &files);
    refused(
        load(root.path()),
        "1 to 10000 records of 3074 bytes, got more",
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
    let [half, all_but_one] = [packed.len() / 2, packed.len() - 1].map(|end| &packed[..end]);
    for bytes in [&plain[..], &[], half, all_but_one] {
        check_refused(bytes, "damaged");
    }
    // A pixel of the first record: the content is well-formed, the checksum is not.
    check_refused(&flipped(&packed, 10 + 5 + 512 + 512 + 100), "damaged");
    // A letter of the name in the header of an entry.
    check_refused(&gzip(&flipped(&plain, 512)), "damaged");
    // The tar ends inside a record, the gzip around it is whole.
    check_refused(&gzip(&plain[..512 + 512 + 4000]), "got 1 and 926 bytes");
    // It ends between two records: only the header tells that one is missing.
    let cut = gzip(&plain[..512 + 512 + 3074]);
    check_refused(&cut, "it declares 9222 bytes and has 3074");
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
        let expected = "train.bin: the archive is damaged (it is not a plain file)";
        check_refused(&archive(&[link]), expected);
    }
    let expected = "train.bin: the archive is damaged (it is there twice)";
    check_refused(&archive(&[train.clone(), train.clone()]), expected);
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
        let alone = archive(std::slice::from_ref(&elsewhere));
        check_refused(&alone, "it lacks train.bin");
        // Next to the file itself it is passed over.
        let root = archive_of(&archive(&[elsewhere, train.clone()]));
        assert_eq!(load(root.path()).unwrap().train.len(), 3, "{path}");
    }
    let dotted = entry("./cifar-100-binary/train.bin", FILE, &files[0].1);
    let root = archive_of(&archive(&[dotted]));
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
fn the_other_set_is_named() {
    let [binary, python] = ten();
    let root = tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    write_packed(&path("a"), "cifar-10-batches-bin", &binary);
    write_files(&path("b/cifar-10-batches-py"), &python);
    for place in ["a", "a/cifar-10-binary.tar.gz", "b"].map(path) {
        let expected = format!("{} holds cifar-10, not cifar-100", place.display());
        refused(load(&place), &expected);
    }
    write_files(&path("c"), &files());
    refused(
        of(Set::Cifar10, &path("c")),
        "holds cifar-100, not cifar-10",
    );

    // Records of CIFAR-10 under the names of CIFAR-100.
    let mut files = files();
    files[0].1 = binary[0].1.repeat(2);
    write_files(&path("d"), &files);
    refused(
        load(&path("d")),
        "got 3 and 3070 bytes, which are 4 of CIFAR-10",
    );
}

#[test]
fn damaged_pickles_of_the_python_version_are_refused() {
    let root = tempdir().unwrap();
    for (file, content, parts) in [
        (
            "train",
            &b"\x80\x02}"[..],
            "train: the pickle is damaged (its pickle ends early)",
        ),
        (
            "test",
            b"\x80\x02}.",
            "test: content must be a dict of the Python version of CIFAR-100",
        ),
        (
            "meta",
            b"\x80\x02N.",
            "meta: content must be a dict of the Python version of CIFAR-100",
        ),
    ] {
        write_python(root.path(), &files());
        fs::write(root.path().join(file), content).unwrap();
        refused(load(root.path()), parts);
    }
}
