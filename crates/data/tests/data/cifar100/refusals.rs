//! Archives and directories that are absent, damaged or hostile.

use std::fs;

use flatness_data::Error;
use flatness_data::cifar100::{self, ARCHIVE_NAME, FILE_NAMES};
use tempfile::tempdir;

use super::load;
use crate::cifar::{
    DIRECTORY, FILE, HARD_LINK, SYMBOLIC_LINK, entries, entry, files, header, names, record, tar,
    write_files,
};
use crate::encode::gzip;

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
fn what_is_not_there_is_named() {
    let root = tempdir().unwrap();
    let absent = root.path().join("absent");
    let find = |asked, cache| cifar100::find(asked, cache).unwrap_err();
    assert!(matches!(find(Some(&absent), None), Error::Io { path, .. } if path == absent));
    for error in [find(Some(root.path()), None), find(None, Some(&absent))] {
        let message = error.to_string();
        assert!(matches!(error, Error::Absent { .. }), "{message}");
        assert!(message.contains(ARCHIVE_NAME), "{message}");
    }
    let message = find(None, None).to_string();
    assert!(message.contains("no cache directory"), "{message}");

    for (index, name) in FILE_NAMES.into_iter().enumerate() {
        let mut files = files();
        files.remove(index);
        let root = tempdir().unwrap();
        let unpacked = root.path().join("cifar-100-binary");
        write_files(&unpacked, &files);
        let message = load(root.path()).unwrap_err().to_string();
        let expected = format!("no {name} in {}", unpacked.display());
        assert!(message.contains(&expected), "{message}");

        check_refused(
            &gzip(&tar(&entries(&files))),
            &format!("{ARCHIVE_NAME}: the archive is damaged (it lacks {name})"),
        );
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
            let error = cifar100::find(asked, cache).unwrap_err();
            assert!(
                matches!(&error, Error::Io { path: got, .. } if *got == path),
                "{error}"
            );
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
    let cases: [(usize, Vec<u8>, &[&str]); 14] = [
        (0, vec![], &[of_train, "got none"]),
        (0, cut, &[of_train, "got 2 and 3073 bytes"]),
        (0, longer, &["got 3 and 1 bytes"]),
        (1, vec![0], &[of_test, "got 0 and 1 bytes"]),
        (
            0,
            record(20, 0, 0),
            &["(coarse labels): label 0", "0..20, got 20"],
        ),
        (
            1,
            record(0, 100, 0),
            &["(fine labels): label 0", "0..100, got 100"],
        ),
        (
            0,
            twice,
            &["superclass of class 7 in record 1 must be 4", "got 5"],
        ),
        (
            1,
            other,
            &["superclass of class 7 in record 0 must be 4", "got 5"],
        ),
        (2, names("fine", 99), &["100 names, one per line, got 99"]),
        (2, names("fine", 101), &["got 101"]),
        (
            3,
            names("coarse", 100),
            &["20 names, one per line, got 100"],
        ),
        (3, vec![], &["got 0"]),
        (2, blank, &["an empty line"]),
        (2, vec![0xff; 200], &["no text"]),
    ];
    for (index, content, parts) in cases {
        let mut files = files();
        files[index].1 = content;
        let root = tempdir().unwrap();
        write_files(root.path(), &files);
        let message = load(root.path()).unwrap_err().to_string();
        let path = root.path().join(files[index].0);
        assert!(message.contains(&path.display().to_string()), "{message}");
        for part in parts {
            assert!(message.contains(part), "expected `{part}` in: {message}");
            check_refused(&gzip(&tar(&entries(&files))), part);
        }
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
        "it declares 9222 bytes and has 3074",
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
        check_refused(
            &archive(&[link]),
            "train.bin: the archive is damaged (it is not a plain file)",
        );
    }
    check_refused(
        &archive(&[train.clone(), train.clone()]),
        "train.bin: the archive is damaged (it is there twice)",
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
            "it lacks train.bin",
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
