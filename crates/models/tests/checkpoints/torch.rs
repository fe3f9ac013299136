//! Writes what `torch.save` writes, byte by byte and without PyTorch: pickles of protocol 2, and archives
//! with the end records that PyTorch always adds.

use flatness_models::{Error, checkpoint};
use flatness_testkit::values;

use crate::network;

/// A text.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [
        b"X",
        &(text.len() as u32).to_le_bytes()[..],
        text.as_bytes(),
    ]
    .concat()
}

/// An integer.
pub(crate) fn int(value: i64) -> Vec<u8> {
    [&b"\x8a\x08"[..], &value.to_le_bytes()].concat()
}

pub(crate) fn tuple(elements: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &elements.concat()[..], b"t"].concat()
}

pub(crate) fn list(elements: &[Vec<u8>]) -> Vec<u8> {
    [b"](", &elements.concat()[..], b"e"].concat()
}

pub(crate) fn dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    [b"}", &set(items)[..]].concat()
}

/// Items for what is on top.
pub(crate) fn set(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<Vec<u8>> = items
        .iter()
        .map(|(key, value)| [text(key), value.clone()].concat())
        .collect();
    [b"(", &items.concat()[..], b"u"].concat()
}

pub(crate) fn call(module: &str, name: &str, arguments: &[Vec<u8>]) -> Vec<u8> {
    [
        format!("c{module}\n{name}\n").as_bytes(),
        &tuple(arguments),
        b"R",
    ]
    .concat()
}

/// An object with these attributes.
pub(crate) fn object(module: &str, name: &str, attributes: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let class = format!("c{module}\n{name}\n)");
    [class.as_bytes(), b"\x81", &dict(attributes), b"b"].concat()
}

/// Arguments of `_rebuild_tensor_v2`.
pub(crate) fn described(
    class: &str,
    key: &str,
    offset: i64,
    shape: &[i64],
    strides: &[i64],
) -> Vec<Vec<u8>> {
    let storage = [
        text("storage"),
        format!("ctorch\n{class}\n").into(),
        text(key),
        text("cpu"),
        int(24),
    ];
    let sizes = |sizes: &[i64]| tuple(&sizes.iter().map(|&size| int(size)).collect::<Vec<_>>());
    vec![
        [tuple(&storage), b"Q".to_vec()].concat(),
        int(offset),
        sizes(shape),
        sizes(strides),
        b"\x89".to_vec(),
        call("collections", "OrderedDict", &[]),
    ]
}

/// A tensor of f32 in row-major order: all of a storage from `offset` on.
pub(crate) fn tensor(key: &str, offset: i64, shape: &[i64]) -> Vec<u8> {
    let strides: Vec<i64> = (1..=shape.len())
        .map(|axis| shape[axis..].iter().product())
        .collect();
    call(
        "torch._utils",
        "_rebuild_tensor_v2",
        &described("FloatStorage", key, offset, shape, &strides),
    )
}

/// How an archive packs its members.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Packing {
    Stored,
    Deflated,
    /// Stored, with zeros for checksums.
    Unchecked,
}

/// The file of `torch.save(object)` since PyTorch 1.6, whose folder is `stem`.
pub(crate) fn saved(
    stem: &str,
    object: &[u8],
    storages: &[(&str, Vec<u8>)],
    packing: Packing,
) -> Vec<u8> {
    let program = [b"\x80\x02", object, b"."].concat();
    let mut members = vec![
        (format!("{stem}/data.pkl"), program),
        (format!("{stem}/byteorder"), b"little".to_vec()),
    ];
    members.extend(
        storages
            .iter()
            .map(|(key, bytes)| (format!("{stem}/data/{key}"), bytes.clone())),
    );
    archive(&members, packing)
}

/// The file of `torch.save(object)` before that.
pub(crate) fn legacy(object: &[u8], storages: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let pickle = |object: &[u8]| [b"\x80\x02", object, b"."].concat();
    let keys: Vec<Vec<u8>> = storages.iter().map(|(key, _)| text(key)).collect();
    let mut file = [
        pickle(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"),
        pickle(b"M\xe9\x03"),
        pickle(&dict(&[("little_endian", b"\x88".to_vec())])),
        pickle(object),
        pickle(&list(&keys)),
    ]
    .concat();
    for (_, bytes) in storages {
        file.extend((bytes.len() as u64 / 4).to_le_bytes());
        file.extend(bytes);
    }
    file
}

/// A zip archive with ZIP64 end records (APPNOTE.TXT 4.3.14 and 4.3.15).
fn archive(members: &[(String, Vec<u8>)], packing: Packing) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let start = file.len() as u32;
        let (method, packed) = match packing {
            Packing::Deflated => (8u16, deflated(content)),
            _ => (0, content.clone()),
        };
        let checksum = if packing == Packing::Unchecked {
            0
        } else {
            crc32(content)
        };
        // Version, flags, method, time, date, checksum, both lengths, length of the name, no extra field.
        let mut fields = Vec::new();
        fields.extend(
            [20u16, 0, method, 0, 0]
                .into_iter()
                .flat_map(u16::to_le_bytes),
        );
        let lengths = [
            checksum,
            packed.len() as u32,
            content.len() as u32,
            name.len() as u32,
        ];
        fields.extend(lengths.into_iter().flat_map(u32::to_le_bytes));
        file.extend([b"PK\x03\x04", &fields[..], name.as_bytes(), &packed].concat());
        // No comment, disk 0, attributes, place.
        directory.extend(
            [
                b"PK\x01\x02\x14\x00",
                &fields[..],
                &[0; 10],
                &start.to_le_bytes(),
                name.as_bytes(),
            ]
            .concat(),
        );
    }
    let (start, length, count) = (
        file.len() as u64,
        directory.len() as u64,
        members.len() as u64,
    );
    file.extend(directory);
    let end = file.len() as u64;
    let numbers = [count, count, length, start];
    file.extend(b"PK\x06\x06");
    file.extend([&44u64.to_le_bytes()[..], &[20, 0, 20, 0], &[0; 8]].concat());
    file.extend(numbers.into_iter().flat_map(u64::to_le_bytes));
    file.extend(
        [
            b"PK\x06\x07",
            &[0; 4][..],
            &end.to_le_bytes(),
            &1u32.to_le_bytes(),
        ]
        .concat(),
    );
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend(
        [count as u16, count as u16]
            .into_iter()
            .flat_map(u16::to_le_bytes),
    );
    file.extend(
        [length as u32, start as u32]
            .into_iter()
            .flat_map(u32::to_le_bytes),
    );
    file.extend([0, 0]);
    file
}

/// Blocks that are stored are a valid deflate stream (RFC 1951, 3.2.4).
fn deflated(content: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    for block in content.chunks(1 << 15) {
        let length = block.len() as u16;
        stream.extend(
            [
                &[0],
                &length.to_le_bytes()[..],
                &(!length).to_le_bytes(),
                block,
            ]
            .concat(),
        );
    }
    [&stream[..], b"\x01\0\0\xff\xff"].concat()
}

/// The checksum of ZIP, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |rest: u32| {
        if rest & 1 == 1 {
            rest >> 1 ^ 0xedb8_8320
        } else {
            rest >> 1
        }
    };
    let byte = |rest: u32, &byte: &u8| (0..8).fold(rest ^ u32::from(byte), |rest, _| step(rest));
    !bytes.iter().fold(u32::MAX, byte)
}

/// 21 numbers from `first` on, of 1/8 each: storage w the first 18, storage b the others, storage v all.
pub(crate) fn storages(first: i32) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = |range: std::ops::Range<i32>| {
        let numbers = range.map(|number| (first + number) as f32 / 8.0);
        numbers.flat_map(f32::to_le_bytes).collect()
    };
    vec![
        ("w", bytes(0..18)),
        ("b", bytes(18..21)),
        ("v", bytes(0..21)),
    ]
}

pub(crate) fn counted(first: i32) -> Vec<f64> {
    (first..first + 21)
        .map(|number| f64::from(number) / 8.0)
        .collect()
}

/// The state dict, with this before its names.
pub(crate) fn prefixed(prefix: &str) -> Vec<u8> {
    let [weight, bias] = ["weight", "bias"].map(|name| format!("{prefix}fc.{name}"));
    dict(&[
        (&weight, tensor("w", 0, &[3, 6])),
        (&bias, tensor("b", 0, &[3])),
    ])
}

pub(crate) fn read(bytes: &[u8]) -> Result<Vec<f64>, Error> {
    let checkpoint = checkpoint::decode(bytes, "memory")?;
    Ok(values(&checkpoint.parameters(&network(), "memory")?))
}

pub(crate) fn message(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

pub(crate) fn stored(object: &[u8]) -> Vec<u8> {
    saved("a", object, &storages(0), Packing::Stored)
}
