//! Files of `torch.save` read back. golden/pytorch.py made them, with elements 0, 1/8, 2/8, ...

use std::path::PathBuf;

use candle_core::DType;
use flatness_layers::{Affine, BatchNorm, Conv2d, GlobalAveragePool, Layer, Network, Window};
use flatness_models::{Error, checkpoint};
use flatness_testkit::values;
use proptest::prelude::*;

/// P = 41: convolution 27, batch norm 6, affine map 8; Q = 6.
fn network() -> Network {
    let (stride, padding) = (1, 0);
    let convolution = Conv2d::new(2, 3, 2, Window { stride, padding });
    let layers: Vec<(String, Box<dyn Layer>)> = vec![
        ("conv".to_owned(), Box::new(convolution)),
        ("bn".to_owned(), Box::new(BatchNorm::new(3))),
        ("mean".to_owned(), Box::new(GlobalAveragePool)),
        ("fc".to_owned(), Box::new(Affine::new(3, 2))),
    ];
    Network::chain(&[2, 4, 4], layers).unwrap()
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// 0, 1/8, 2/8, ...
fn counted(elements: std::ops::Range<usize>) -> Vec<f64> {
    elements.map(|element| element as f64 / 8.0).collect()
}

/// What is wrong with `bytes`, behind the beginning that all such messages have.
fn refusal(bytes: &[u8]) -> String {
    let message = checkpoint::decode(bytes, "memory").unwrap_err().to_string();
    let reason = message.strip_prefix("cannot read the PyTorch file memory: ");
    reason.expect(&message).to_owned()
}

/// Decodes, and takes parameters and buffers.
fn load(bytes: &[u8]) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let (network, checkpoint) = (network(), checkpoint::decode(bytes, "memory")?);
    let theta = checkpoint.parameters(&network, "memory")?;
    let buffers = checkpoint.buffers(&network, "memory")?;
    Ok((values(&theta), values(&buffers)))
}

#[test]
fn state_dicts_of_every_form_give_the_same_values() {
    let network = network();
    for (name, dtype) in [
        ("state_dict.pth", DType::F32),
        // Half precision, `DataParallel`, `state_dict` in a dict, other orders in memory.
        ("training.pth", DType::F32),
        // `torch.nn.Parameter`s that share a storage, pickle protocol 4.
        ("parameters.pth", DType::F64),
        // The module itself, and the format before PyTorch 1.6.
        ("module.pth", DType::F32),
        ("legacy.pth", DType::F32),
    ] {
        let checkpoint = checkpoint::read(&golden(name)).unwrap();
        let theta = checkpoint.parameters(&network, name).unwrap();
        let buffers = checkpoint.buffers(&network, name).unwrap();
        assert_eq!((theta.dtype(), buffers.dtype()), (dtype, dtype), "{name}");
        assert_eq!(values(&theta), counted(0..41), "{name}");
        assert_eq!(values(&buffers), counted(41..47), "{name}");
        assert_eq!(checkpoint.model(), None);
    }
}

#[test]
fn what_is_no_state_dict_is_one_sentence() {
    let nothing = around(b"\x80\x02}X\x05\0\0\0epochK\x03s.");
    assert_eq!(
        refusal(&nothing),
        "it has no state dict; save `model.state_dict()`"
    );
    refusal(b"PK\x03\x04");
    let missing = golden("missing.pth");
    let message = checkpoint::read(&missing).unwrap_err().to_string();
    let expected = format!("cannot read the checkpoint {}: ", missing.display());
    assert!(message.starts_with(&expected), "{message}");
}

#[test]
fn integers_are_named() {
    let bytes = std::fs::read(golden("integers.pth")).unwrap();
    let message = load(&bytes).unwrap_err().to_string();
    assert_eq!(
        message,
        "memory does not fit the network: 8 of no floating-point type: conv.weight i64, \
         conv.bias i64, bn.weight i64, bn.bias i64, fc.weight i64, fc.bias i64, \
         bn.running_mean i64, bn.running_var i64"
    );
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = std::fs::read(golden("training.pth")).unwrap();
    for length in 0..bytes.len() {
        assert!(load(&bytes[..length]).is_err(), "{length} bytes");
    }
}

/// Offset and length of the pickle within state_dict.pth, stored as it is.
fn pickle(bytes: &[u8]) -> std::ops::Range<usize> {
    let find = |start: usize, bytes: &[u8], sought: &[u8]| {
        let mut windows = bytes[start..].windows(sought.len());
        start + windows.position(|window| window == sought).unwrap()
    };
    let start = find(0, bytes, b"\x80\x02");
    // Between the pickle and the next entry lies nothing but the padding of that entry.
    start..find(start, bytes, b"PK\x07\x08")
}

/// A zip archive of `entries`, stored.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, contents) in entries {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        writer.start_file(*name, options).unwrap();
        writer.write_all(contents).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A whole archive around a pickle, so that its checksums hold and the pickle is reached.
fn around(program: &[u8]) -> Vec<u8> {
    let storage = [0u8; 96];
    archive(&[
        ("a/data.pkl", program),
        ("a/data/0", &storage),
        ("a/data/1", &storage),
    ])
}

/// Neither a recursive destructor nor a copy per reference: both would end the process.
#[test]
fn deep_and_self_similar_pickles_end_in_an_error() {
    let deep = [&b"\x80\x02N"[..], &b"\x85".repeat(1 << 20), b"."].concat();
    let doubled = b"q\x01h\x01\x86".repeat(200);
    let doubled = [&b"\x80\x02N"[..], &doubled, b"."].concat();
    for program in [deep, doubled] {
        let message = refusal(&around(&program));
        assert!(message.contains("no state dict"), "{message}");
    }
}

#[test]
fn other_byte_orders_are_refused() {
    let bytes = archive(&[("a/data.pkl", b"N."), ("a/byteorder", b"big")]);
    assert_eq!(refusal(&bytes), "it is not little-endian");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..Default::default() })]

    /// One byte of a whole file changed: the checksums find it, or it changes nothing of value.
    #[test]
    fn no_changed_byte_panics(
        name in prop::sample::select(vec!["state_dict.pth", "training.pth", "parameters.pth"]),
        position in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = std::fs::read(golden(name)).unwrap();
        let position = position.index(bytes.len());
        bytes[position] = byte;
        if let Ok((theta, buffers)) = load(&bytes) {
            prop_assert_eq!((theta.len(), buffers.len()), (41, 6));
        }
    }

    /// Bytes of the pickle changed behind correct checksums.
    #[test]
    fn no_changed_pickle_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let bytes = std::fs::read(golden("state_dict.pth")).unwrap();
        let mut program = bytes[pickle(&bytes)].to_vec();
        for (position, byte) in changes {
            let position = position.index(program.len());
            program[position] = byte;
        }
        let _ = load(&around(&program));
    }

    #[test]
    fn no_pickle_panics(program in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(load(&around(&program)).is_err());
    }

    /// Of opcodes alone, most programs run.
    #[test]
    fn no_program_panics(program in prop::collection::vec(
        prop::sample::select(b"()t]}}NQRsu\x81\x85\x86\x87\x88ab0K\x01q\x00h\x00\x8a\x08".to_vec()),
        0..64,
    )) {
        let program = [&program[..], b"."].concat();
        prop_assert!(load(&around(&program)).is_err());
    }
}
