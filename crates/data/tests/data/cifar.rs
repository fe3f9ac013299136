//! CIFAR-100 and CIFAR-10 written from the descriptions of its records and of the ustar format (POSIX.1-1988), sharing
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
    std::fs::write(directory.join(ARCHIVE_NAME), archive).unwrap();
}

/// Write these files into `directory`.
pub(crate) fn write_files(directory: &Path, files: &[(&str, Vec<u8>)]) {
    std::fs::create_dir_all(directory).unwrap();
    for (name, content) in files {
        std::fs::write(directory.join(name), content).unwrap();
    }
}

/// Names of the archive and of the directory in it.
pub(crate) const ARCHIVE_NAME: &str = "cifar-100-binary.tar.gz";
pub(crate) const PYTHON_DIRECTORY: &str = "cifar-100-python";

/// Write the archive of the Python version of these files into `directory`.
pub(crate) fn write_packed_python(directory: &Path, files: &[(&str, Vec<u8>)]) {
    write_packed(directory, PYTHON_DIRECTORY, &python(files));
}

/// Write the archive `<directory>.tar.gz` of these files into `place`.
pub(crate) fn write_packed(place: &Path, directory: &str, files: &[(&str, Vec<u8>)]) {
    std::fs::create_dir_all(place).unwrap();
    let entries = files.iter();
    let entries =
        entries.map(|(name, content)| entry(&format!("{directory}/{name}"), FILE, content));
    let archive = gzip(&tar(&entries.collect::<Vec<_>>()));
    // The archives of CIFAR-10 are not called after their directories.
    let name = directory
        .replace("batches-bin", "binary")
        .replace("batches-py", "python");
    std::fs::write(place.join(format!("{name}.tar.gz")), archive).unwrap();
}

/// Write these files into `directory` as the Python version that Python 2 wrote.
pub(crate) fn write_python(directory: &Path, files: &[(&str, Vec<u8>)]) {
    write_files(directory, &python(files));
}

/// These files as the Python version that Python 2 wrote: three pickles.
fn python(files: &[(&str, Vec<u8>)]) -> Vec<(&'static str, Vec<u8>)> {
    let keys = ["coarse_labels", "fine_labels"];
    let meta = dict(&[
        ("fine_label_names", lines(&files[2].1)),
        ("coarse_label_names", lines(&files[3].1)),
        ("other", b"N".to_vec()),
    ]);
    vec![
        ("train", split(&files[0].1, &keys)),
        ("test", split(&files[1].1, &keys)),
        ("meta", meta),
    ]
}

/// The seven files of a small CIFAR-10, binary and Python: 2 images in each of five batches, of classes 0 to 9 in order, and 3
/// test images.
pub(crate) fn ten() -> [Vec<(&'static str, Vec<u8>)>; 2] {
    let record = |class: u8| record(0, class, class)[1..].to_vec();
    let batch = |number: u8| [record(2 * number), record(2 * number + 1)].concat();
    let test = [record(3), record(9), record(3)].concat();
    let mut records: Vec<Vec<u8>> = (0..5).map(batch).collect();
    records.push(test);
    let names = names("class", 10);
    let binary = [
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
        "test_batch.bin",
    ];
    let python = [
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
    ];
    let mut files = [
        binary.into_iter().zip(records.clone()).collect::<Vec<_>>(),
        python
            .into_iter()
            .zip(records.iter().map(|records| split(records, &["labels"])))
            .collect(),
    ];
    // An empty line is behind the published names.
    files[0].push(("batches.meta.txt", [&names[..], b"\n"].concat()));
    files[1].push(("batches.meta", dict(&[("label_names", lines(&names))])));
    files
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&b"T"[..], &(bytes.len() as u32).to_le_bytes(), bytes].concat()
}

fn list(elements: Vec<Vec<u8>>) -> Vec<u8> {
    [b"](", &elements.concat()[..], b"e"].concat()
}

fn dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items = items.iter();
    let items = items.map(|(key, value)| [string(key.as_bytes()), value.clone()].concat());
    [
        b"\x80\x02}(",
        &items.collect::<Vec<_>>().concat()[..],
        b"u.",
    ]
    .concat()
}

/// One text a line.
fn lines(text: &[u8]) -> Vec<u8> {
    let lines = text.trim_ascii_end().split(|&byte| byte == b'\n');
    list(lines.map(string).collect())
}

/// Records whose labels, in their order, are under `keys`.
fn split(records: &[u8], keys: &[&'static str]) -> Vec<u8> {
    let records: Vec<&[u8]> = records.chunks(3072 + keys.len()).collect();
    let pixels = records.iter().map(|record| &record[keys.len()..]);
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
    ];
    let array = [
        b"cnumpy.core.multiarray\n_reconstruct\n)R",
        &state.concat()[..],
    ]
    .concat();
    let labels = |(at, key): (usize, &&'static str)| {
        let labels = records.iter().map(|record| vec![b'K', record[at]]);
        (*key, list(labels.collect()))
    };
    let mut items: Vec<_> = keys.iter().enumerate().map(labels).collect();
    items.push(("data", array));
    dict(&items)
}
