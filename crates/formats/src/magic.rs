//! What a file is, by its first bytes.

/// As many first bytes as [`name`] looks at.
pub const HEAD: usize = 512;

/// First bytes of a zip archive.
pub const ZIP: &[u8] = b"PK\x03\x04";

/// Where they stand, the bytes, and what a file with them is.
const TABLE: [(usize, &[u8], &str); 27] = [
    (
        0,
        b"<!DOCTYPE",
        "a web page, such as one that asks to sign in",
    ),
    (
        0,
        b"<!doctype",
        "a web page, such as one that asks to sign in",
    ),
    (0, b"<html", "a web page, such as one that asks to sign in"),
    (0, b"<HTML", "a web page, such as one that asks to sign in"),
    (0, b"<?xml", "an XML file, such as an error of a download"),
    (
        0,
        b"version https://git-lfs",
        "a Git LFS pointer in place of the file; `git lfs pull` fetches it",
    ),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"PAR1", "a Parquet file"),
    (0, ZIP, "a zip archive"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"\x1f\x8b", "a gzip file; unpack it"),
    (0, b"BZh", "a bzip2 file; unpack it"),
    (0, b"\xfd7zXZ\0", "an xz file; unpack it"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard file; unpack it"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
    (0, b"Rar!", "a RAR archive; unpack it"),
    (257, b"ustar", "a tar archive; unpack it"),
    (0, b"GGUF", "a GGUF file"),
    (0, b"%PDF", "a PDF"),
    (0, b"\x89PNG", "a picture"),
    (0, b"\x7fELF", "a program"),
    (0, b"\x80\x02", "a Python pickle"),
    (0, b"\x80\x03", "a Python pickle"),
    (0, b"\x80\x04", "a Python pickle"),
    (0, b"\x80\x05", "a Python pickle"),
    (4, b"TFL3", "a TensorFlow Lite file"),
];

/// What a file that begins with `head` is, with an article; none where nothing is known.
#[must_use]
pub fn name(head: &[u8]) -> Option<&'static str> {
    let text = head.trim_ascii_start();
    let entry = TABLE.iter().find(|&&(at, magic, _)| {
        let behind = head.get(at..).unwrap_or_default();
        behind.starts_with(magic) || at == 0 && text.starts_with(magic)
    });
    match (entry, head) {
        (Some((_, _, name)), _) => Some(name),
        (_, []) => Some("an empty file"),
        // The version of a model in protobuf, and behind it the name of the program that wrote it.
        (_, [0x08, 1..=31, 0x12, ..]) => Some("an ONNX file"),
        _ if head.iter().all(|&byte| byte == 0) => Some("a file of zeros"),
        _ if text.starts_with(b"{") || text.starts_with(b"[") => Some("a JSON file"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_name_the_form() {
        let tar = [&[b'a'; 257][..], b"ustar\0"].concat();
        for (head, expected) in [
            (&b"\n <!DOCTYPE html><html>"[..], "a web page"),
            (
                b"version https://git-lfs.github.com/spec/v1\n",
                "a Git LFS pointer",
            ),
            (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
            (b"\x08\x07\x12\x07pytorch", "an ONNX file"),
            (b"\x1f\x8b\x08", "a gzip file"),
            (&tar, "a tar archive"),
            (b"{\"metadata\": {}}", "a JSON file"),
            (b"", "an empty file"),
            (&[0; HEAD], "a file of zeros"),
        ] {
            assert!(
                name(head).is_some_and(|name| name.starts_with(expected)),
                "{expected}"
            );
        }
        // An IDX file of labels, and the length and the header of a safetensors file.
        assert_eq!(name(b"\0\0\x08\x01\0\0\0\x05"), None);
        assert_eq!(name(b"\x10\0\0\0\0\0\0\0{\"a\":{}}"), None);
    }
}
