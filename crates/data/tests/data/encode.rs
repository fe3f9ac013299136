//! IDX and gzip written from their specifications, sharing no code with the readers.

use std::path::Path;

/// An IDX images file: header and pixels, whether or not they fit together.
pub(crate) fn images(count: u32, rows: u32, columns: u32, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3];
    for dimension in [count, rows, columns] {
        bytes.extend(dimension.to_be_bytes());
    }
    bytes.extend(pixels);
    bytes
}

/// An IDX labels file: header and labels, whether or not they fit together.
pub(crate) fn labels(count: u32, labels: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 1];
    bytes.extend(count.to_be_bytes());
    bytes.extend(labels);
    bytes
}

/// A gzip member with stored, that is uncompressed, blocks (RFC 1951, section 3.2.4; RFC 1952).
pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let blocks: Vec<&[u8]> = content.chunks(0xffff).collect();
    for (index, block) in blocks.iter().enumerate() {
        bytes.push(u8::from(index + 1 == blocks.len()));
        let length = block.len() as u16;
        bytes.extend(length.to_le_bytes());
        bytes.extend((!length).to_le_bytes());
        bytes.extend(*block);
    }
    bytes.extend(crc32(content).to_le_bytes());
    bytes.extend((content.len() as u32).to_le_bytes());
    bytes
}

fn crc32(content: &[u8]) -> u32 {
    let mut remainder = u32::MAX;
    for &byte in content {
        remainder ^= u32::from(byte);
        for _ in 0..8 {
            let feedback = if remainder & 1 == 1 { 0xedb8_8320 } else { 0 };
            remainder = (remainder >> 1) ^ feedback;
        }
    }
    !remainder
}

/// Pixels that are all different for a while and use the whole range of a byte.
pub(crate) fn pixels(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index * 37 % 256) as u8).collect()
}

/// A directory of four small valid files: 3 training and 2 test images of 2 × 2 pixels.
pub(crate) fn write_mnist(directory: &Path, encode: impl Fn(&[u8]) -> Vec<u8>, suffix: &str) {
    std::fs::create_dir_all(directory).unwrap();
    for (name, content) in [
        ("train-images-idx3-ubyte", images(3, 2, 2, &pixels(12))),
        ("train-labels-idx1-ubyte", labels(3, &[7, 0, 9])),
        ("t10k-images-idx3-ubyte", images(2, 2, 2, &pixels(8))),
        ("t10k-labels-idx1-ubyte", labels(2, &[1, 1])),
    ] {
        std::fs::write(directory.join(format!("{name}{suffix}")), encode(&content)).unwrap();
    }
}
