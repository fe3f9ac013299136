//! The reader against files written from the format's description, valid and damaged in each way.

use flatness_data::idx::{read_images, read_labels};
use flatness_data::{Error, Result};

use crate::check::refused;
use crate::encode::{gzip, images, labels, pixels};

fn small_images() -> Vec<u8> {
    images(3, 2, 4, &pixels(24))
}

/// The `parts`, and the name of the file.
fn check_refused<T: std::fmt::Debug>(made: Result<T>, parts: &str) -> Error {
    refused(made, &format!("the-file|{parts}"))
}

#[test]
fn a_gzip_file_of_several_members_is_their_concatenation() {
    let raw = labels(4, &[0, 9, 3, 3]);
    let (head, tail) = raw.split_at(9);
    let members = [gzip(head), gzip(tail)].concat();
    assert_eq!(read_labels("the-file", &members, 10).unwrap(), [0, 9, 3, 3]);
}

#[test]
fn damaged_images_files_are_refused_with_the_numbers() {
    let raw = small_images();
    let (big, most) = (images(1 << 20, 32, 33, &[]), u32::MAX);
    let cases: [(Vec<u8>, &str); 15] = [
        (vec![], "16 bytes|got 0"),
        (raw[..4].to_vec(), "16 bytes|got 4"),
        (raw[..15].to_vec(), "16 bytes|got 15"),
        (raw[..16].to_vec(), "24 bytes|got 0|truncated"),
        (raw[..39].to_vec(), "24 bytes|got 23|truncated"),
        ([&raw[..], &[0]].concat(), "24 bytes|got more|too long"),
        ([&[0, 0, 9, 3], &raw[4..]].concat(), "0x00000803|0x00000903"),
        (
            b"<!DOCTYPE html>".to_vec(),
            "0x00000803|0x3c21444f, a web page",
        ),
        (labels(2, &[1, 2]), "images|got IDX labels|swapped"),
        (images(0, 2, 4, &[]), "count|at least 1"),
        (images(3, 0, 4, &[]), "rows|at least 1"),
        (images(3, 2, 0, &[]), "columns|at least 1"),
        (big, "[1048576, 32, 33]|1073741824"),
        (images(most, most, most, &[]), "1073741824"),
        (images(1 << 20, 32, 32, &pixels(9)), "1073741824|got 9"),
    ];
    for (bytes, parts) in cases {
        check_refused(read_images("the-file", &bytes), parts);
        // An empty file has no stored block: the smallest gzip stream holds one.
        if !bytes.is_empty() {
            check_refused(read_images("the-file", &gzip(&bytes)), parts);
        }
    }
}

#[test]
fn damaged_labels_files_are_refused_with_the_numbers() {
    for (bytes, parts) in [
        (labels(3, &[1, 2]), "3 bytes|got 2|truncated"),
        (labels(1, &[1, 2]), "1 bytes|got more"),
        (labels(3, &[9, 10, 255]), "label 1|in 0..10|got 10"),
        (small_images(), "labels|got IDX images|swapped"),
        (labels(u32::MAX, &[]), "[4294967295]|1073741824"),
    ] {
        for bytes in [gzip(&bytes), bytes] {
            check_refused(read_labels("the-file", &bytes, 10), parts);
        }
    }
}

#[test]
fn a_gzip_stream_with_a_wrong_checksum_is_refused_although_its_data_is_complete() {
    let intact = gzip(&small_images());
    let checksum = intact.len() - 8;
    for position in checksum..intact.len() {
        let mut bytes = intact.clone();
        bytes[position] ^= 1;
        let error = check_refused(read_images("the-file", &bytes), "damaged|fetch it again");
        assert!(
            matches!(error, Error::Damaged { .. }),
            "byte {position}: {error}"
        );
    }
}

#[test]
fn a_flipped_bit_of_a_gzip_file_never_changes_the_pixels_unnoticed() {
    let raw = small_images();
    let expected = read_images("the-file", &raw).unwrap();
    let intact = gzip(&raw);
    for position in 0..8 * intact.len() {
        let mut bytes = intact.clone();
        bytes[position / 8] ^= 1 << (position % 8);
        // The time and the system in the header do not matter to the content.
        if let Ok(images) = read_images("the-file", &bytes) {
            assert_eq!(images, expected, "bit {position}");
        }
    }
}

#[test]
fn a_gzip_file_cut_anywhere_is_refused() {
    let intact = gzip(&small_images());
    for length in 0..intact.len() {
        check_refused(read_images("the-file", &intact[..length]), "");
    }
}

#[test]
fn bytes_after_a_gzip_stream_are_refused() {
    let bytes = [gzip(&small_images()), b"appended".to_vec()].concat();
    check_refused(read_images("the-file", &bytes), "gzip stream is damaged");
}

#[test]
fn what_is_no_idx_file_is_called_what_it_is() {
    for (bytes, name) in [
        (
            &b"version https://git-lfs.github.com/spec/v1\n"[..],
            "a Git LFS pointer",
        ),
        (&gzip(&gzip(&small_images())), "a gzip file"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
    ] {
        check_refused(read_labels("the-file", bytes, 10), name);
    }
}

#[test]
fn zeros_behind_a_gzip_stream_are_padding() {
    let expected = read_images("the-file", &small_images()).unwrap();
    let padded = [gzip(&small_images()), vec![0; 512]].concat();
    assert_eq!(read_images("the-file", &padded).unwrap(), expected);
}
