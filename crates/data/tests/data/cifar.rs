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

/// Write these files into `directory` as the Python version that Python 2 wrote: three pickles.
pub(crate) fn write_python(directory: &Path, files: &[(&str, Vec<u8>)]) {
    let string = |bytes: &[u8]| [&b"T"[..], &(bytes.len() as u32).to_le_bytes(), bytes].concat();
    let list = |elements: Vec<Vec<u8>>| [b"](", &elements.concat()[..], b"e"].concat();
    let dict = |items: [(&str, Vec<u8>); 3]| {
        let items = items.map(|(key, value)| [string(key.as_bytes()), value].concat());
        [b"\x80\x02}(", &items.concat()[..], b"u."].concat()
    };
    let split = |records: &[u8]| {
        let records: Vec<&[u8]> = records.chunks(3074).collect();
        let labels = |at: usize| {
            list(
                records
                    .iter()
                    .map(|record| vec![b'K', record[at]])
                    .collect(),
            )
        };
        let pixels = records.iter().map(|record| &record[2..]);
        let shape = [b"K", &[records.len() as u8][..], b"M\x00\x0c\x86"].concat();
        let dtype = b"cnumpy\ndtype\nU\x02u1K\0K\x01\x87R".to_vec();
        let elements = string(&pixels.collect::<Vec<_>>().concat());
        let state = [
            b"(K\x01".to_vec(),
            shape,
            dtype,
            b"\x89".to_vec(),
            elements,
            b"tb".to_vec(),
        ]
        .concat();
        let array = [b"cnumpy.core.multiarray\n_reconstruct\n)R", &state[..]].concat();
        dict([
            ("coarse_labels", labels(0)),
            ("fine_labels", labels(1)),
            ("data", array),
        ])
    };
    let lines = |text: &[u8]| {
        list(
            text.trim_ascii_end()
                .split(|&byte| byte == b'\n')
                .map(string)
                .collect(),
        )
    };
    let meta = dict([
        ("fine_label_names", lines(&files[2].1)),
        ("coarse_label_names", lines(&files[3].1)),
        ("other", b"N".to_vec()),
    ]);
    let files = [
        ("train", split(&files[0].1)),
        ("test", split(&files[1].1)),
        ("meta", meta),
    ];
    write_files(directory, &files);
}
