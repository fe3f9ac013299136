//! CIFAR-100 written from the descriptions of its records and of the ustar format (POSIX.1-1988), sharing
//! no code with the readers.

use std::path::Path;

use crate::encode::{gzip, pixels};

/// Kinds of ustar entries: their type flags.
pub(crate) const FILE: u8 = b'0';
pub(crate) const HARD_LINK: u8 = b'1';
pub(crate) const SYMBOLIC_LINK: u8 = b'2';
pub(crate) const DIRECTORY: u8 = b'5';

/// A header of 512 bytes that declares `size` bytes of content.
pub(crate) fn header(path: &str, kind: u8, size: u64) -> Vec<u8> {
    let mut header = vec![0; 512];
    let mut put = |offset: usize, text: &str| {
        header[offset..offset + text.len()].copy_from_slice(text.as_bytes());
    };
    put(0, path);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(257, "ustar\x0000");
    header[156] = kind;
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// An entry: header, content, padding to a block of 512 bytes.
pub(crate) fn entry(path: &str, kind: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(path, kind, content.len() as u64);
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// A tar of these entries, with the two empty blocks at its end.
pub(crate) fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

/// A record with these labels, its pixels depending on `seed`.
pub(crate) fn record(coarse: u8, fine: u8, seed: u8) -> Vec<u8> {
    let mut bytes = vec![coarse, fine];
    bytes.extend(pixels(3072).iter().map(|byte| byte.wrapping_add(seed)));
    bytes
}

/// One name per line: `<prefix>-0`, `<prefix>-1`, ...
pub(crate) fn names(prefix: &str, count: usize) -> Vec<u8> {
    let lines: Vec<String> = (0..count)
        .map(|index| format!("{prefix}-{index}\n"))
        .collect();
    lines.concat().into_bytes()
}

/// The four files of a small valid directory: 3 training and 2 test images of classes 7, 0 and 99.
pub(crate) fn files() -> Vec<(&'static str, Vec<u8>)> {
    let train = [record(4, 7, 0), record(19, 0, 1), record(2, 99, 2)].concat();
    let test = [record(19, 0, 3), record(4, 7, 4)].concat();
    vec![
        ("train.bin", train),
        ("test.bin", test),
        ("fine_label_names.txt", names("fine", 100)),
        ("coarse_label_names.txt", names("coarse", 20)),
    ]
}

/// The entries of the archive of these files, the directory's first.
pub(crate) fn entries(files: &[(&str, Vec<u8>)]) -> Vec<Vec<u8>> {
    let directory = entry("cifar-100-binary/", DIRECTORY, &[]);
    let files = files
        .iter()
        .map(|(name, content)| entry(&format!("cifar-100-binary/{name}"), FILE, content));
    std::iter::once(directory).chain(files).collect()
}

/// Write the archive of these files into `directory`.
pub(crate) fn write_archive(directory: &Path, files: &[(&str, Vec<u8>)]) {
    std::fs::create_dir_all(directory).unwrap();
    let archive = gzip(&tar(&entries(files)));
    std::fs::write(directory.join("cifar-100-binary.tar.gz"), archive).unwrap();
}

/// Write these files into `directory`.
pub(crate) fn write_files(directory: &Path, files: &[(&str, Vec<u8>)]) {
    std::fs::create_dir_all(directory).unwrap();
    for (name, content) in files {
        std::fs::write(directory.join(name), content).unwrap();
    }
}
