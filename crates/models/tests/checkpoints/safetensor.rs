//! Checkpoints: round trips, every refusal, and no panic on any bytes.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use flatness_models::{Architecture, Error, checkpoint};
use flatness_testkit::{gaussian, values};
use proptest::prelude::*;

use crate::network;

/// What the errors call the bytes.
const ORIGIN: &str = "memory";

fn encoded(dtype: DType) -> (Tensor, Vec<u8>) {
    let network = network();
    let theta = gaussian(network.layout().dim(), 1).to_dtype(dtype).unwrap();
    let bytes = checkpoint::encode(&network, &theta, &no_buffers(), "logistic").unwrap();
    (theta, bytes)
}

fn no_buffers() -> Tensor {
    Tensor::zeros(0, DType::F32, &Device::Cpu).unwrap()
}

fn serialized(named: &[(&str, Tensor)]) -> Vec<u8> {
    let named: HashMap<&str, &Tensor> = named.iter().map(|(name, t)| (*name, t)).collect();
    safetensors::serialize(named, None).unwrap()
}

/// A file of these two parameters of [`network`].
fn logistic(weight: Tensor, bias: Tensor) -> Vec<u8> {
    serialized(&[("fc.weight", weight), ("fc.bias", bias)])
}

fn read(bytes: &[u8]) -> Result<Tensor, Error> {
    checkpoint::decode(bytes, ORIGIN)?.parameters(&network(), ORIGIN)
}

#[test]
fn a_checkpoint_comes_back_bit_for_bit_in_its_number_type() {
    for dtype in [DType::F32, DType::F64] {
        let (theta, bytes) = encoded(dtype);
        let checkpoint = checkpoint::decode(&bytes, ORIGIN).unwrap();
        assert_eq!(checkpoint.model(), Some("logistic"));
        let none = checkpoint.buffers(&network(), ORIGIN).unwrap();
        assert_eq!(none.dims(), [0]);
        let loaded = read(&bytes).unwrap();
        assert_eq!(loaded.dtype(), dtype);
        assert_eq!(values(&loaded), values(&theta));
        // The same parameters make the same bytes.
        assert_eq!(encoded(dtype).1, bytes);
    }
}

#[test]
fn every_flipped_bit_of_a_checkpoint_is_refused_or_changes_nothing() {
    let (theta, bytes) = encoded(DType::F32);
    let mut harmless = 0;
    for place in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[place / 8] ^= 1 << (place % 8);
        if let Ok(loaded) = read(&flipped) {
            assert_eq!(values(&loaded), values(&theta), "bit {place}");
            harmless += 1;
        }
    }
    // Those in the name of the digest, which is then that of nobody.
    assert!(harmless <= 8 * "flatness.digest".len(), "{harmless}");
}

#[test]
fn any_safetensors_reader_finds_pytorchs_names_and_shapes() {
    let (theta, bytes) = encoded(DType::F32);
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort_unstable();
    assert_eq!(names, ["fc.bias", "fc.weight"]);
    let weight = file.tensor("fc.weight").unwrap();
    assert_eq!(weight.shape(), [3, 6]);
    let first = f32::from_le_bytes(weight.data()[..4].try_into().unwrap());
    assert_eq!(f64::from(first), values(&theta)[0]);
}

#[test]
fn a_file_without_our_metadata_is_read_too() {
    let (weight, bias) = (gaussian((3, 6), 1), gaussian(3, 2));
    let bytes = serialized(&[("fc.bias", bias.clone()), ("fc.weight", weight.clone())]);
    assert_eq!(checkpoint::decode(&bytes, ORIGIN).unwrap().model(), None);
    let expected = [values(&weight), values(&bias)].concat();
    assert_eq!(values(&read(&bytes).unwrap()), expected);
}

#[test]
fn another_architecture_is_one_error_that_lists_every_problem() {
    let bytes = serialized(&[
        ("fc.weight", gaussian((6, 3), 1)),
        ("fc0.weight", gaussian((3, 6), 1)),
        ("extra", gaussian(1, 1)),
    ]);
    let message = read(&bytes).unwrap_err().to_string();
    assert_eq!(
        message,
        "memory does not fit the network: 1 missing: fc.bias [3]; 1 of another shape: \
         fc.weight [6, 3] instead of [3, 6]; 2 unexpected: extra, fc0.weight"
    );
    let mlp = Architecture::find("mlp").unwrap().network(&[1, 2, 3], 3);
    let (_, logistic) = encoded(DType::F64);
    let checkpoint = checkpoint::decode(&logistic, ORIGIN).unwrap();
    let error = checkpoint.parameters(&mlp.unwrap(), ORIGIN).unwrap_err();
    let message = error.to_string();
    for name in "fc0.weight fc1.bias fc2.weight fc.weight fc.bias".split(' ') {
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn number_types_that_do_not_fit_are_errors() {
    let typed = |weight, bias| {
        let (weight, bias) = (
            gaussian((3, 6), 1).to_dtype(weight),
            gaussian(3, 1).to_dtype(bias),
        );
        logistic(weight.unwrap(), bias.unwrap())
    };
    for dtype in [DType::I64, DType::U8] {
        let message = read(&typed(dtype, dtype)).unwrap_err().to_string();
        let dtype = dtype.as_str();
        let expected = format!("2 of no floating-point type: fc.weight {dtype}, fc.bias {dtype}");
        assert_eq!(
            message,
            format!("memory does not fit the network: {expected}")
        );
    }
}

#[test]
fn half_precision_becomes_single() {
    for dtype in [DType::F16, DType::BF16] {
        let weight = gaussian((3, 6), 1).to_dtype(dtype).unwrap();
        // Mixed precision, as a batch norm has it.
        let bias = gaussian(3, 1).to_dtype(DType::F32).unwrap();
        let expected = [values(&weight), values(&bias)].concat();
        let theta = read(&logistic(weight, bias)).unwrap();
        assert_eq!(theta.dtype(), DType::F32);
        assert_eq!(values(&theta), expected);
    }
}

#[test]
fn values_that_are_not_finite_are_errors_that_name_the_parameter() {
    for broken in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for dtype in [DType::F32, DType::F64] {
            let weight = gaussian((3, 6), 1).to_dtype(dtype).unwrap();
            let bias = Tensor::new(&[0.0, broken, 1.0], &Device::Cpu).unwrap();
            let error = read(&logistic(weight, bias.to_dtype(dtype).unwrap())).unwrap_err();
            let expected =
                "memory: fc.bias has values that are not finite; take an earlier checkpoint";
            assert_eq!(error.to_string(), expected);
        }
    }
    // Large is not infinite.
    let large = Tensor::full(3e38f32, (3, 6), &Device::Cpu).unwrap();
    let bias = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
    assert!(read(&logistic(large, bias)).is_ok());
}

#[test]
fn every_truncation_and_every_extension_is_a_format_error() {
    let (_, bytes) = encoded(DType::F32);
    assert!(matches!(read(&[]), Err(Error::Foreign { .. })));
    for length in 1..bytes.len() {
        let error = read(&bytes[..length]).unwrap_err();
        assert!(
            matches!(error, Error::Format { .. }),
            "{length} bytes: {error}"
        );
    }
    let longer = [&bytes[..], &[0]].concat();
    let message = read(&longer).unwrap_err().to_string();
    let expected = "memory is not a whole safetensors file: ";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn parameters_of_another_length_are_not_written() {
    let error = checkpoint::encode(&network(), &gaussian(20, 1), &no_buffers(), "logistic");
    assert!(matches!(error, Err(Error::Network(_))));
}

#[test]
fn parameters_that_no_reader_takes_are_not_written() {
    let theta = gaussian(21, 1).to_dtype(DType::U8).unwrap();
    let error = checkpoint::encode(&network(), &theta, &no_buffers(), "logistic").unwrap_err();
    let message = "parameters of a checkpoint of logistic: expected f32 or f64, got u8";
    assert!(error.to_string().starts_with(message), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        prop_assert!(read(&bytes).is_err());
    }

    /// A length and a header that parse, so that what lies behind them is reached.
    #[test]
    fn no_header_panics(
        dtype in prop::sample::select(vec!["F32", "F64", "F16", "I64", "BOOL", "F8_E4M3", "X"]),
        shape in prop::collection::vec(prop_oneof![0usize..9, Just(usize::MAX / 2)], 0..4),
        (start, end) in (0usize..100, 0usize..100),
        payload in 0usize..100,
    ) {
        let header = format!(
            r#"{{"fc.weight":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}}}"#
        );
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(std::iter::repeat_n(0x40, payload));
        prop_assert!(read(&bytes).is_err());
    }

    /// One byte of a whole file changed: other numbers or an error, never a panic.
    #[test]
    fn no_changed_byte_panics(position in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (_, mut bytes) = encoded(DType::F32);
        let position = position.index(bytes.len());
        bytes[position] = byte;
        if let Ok(theta) = read(&bytes) {
            prop_assert_eq!(theta.dims(), [21]);
        }
    }
}
