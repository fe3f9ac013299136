//! Tensors and the members that they are views of, in the forms of all versions of PyTorch.

use candle_core::DType;
use flatness_models::checkpoint;
use flatness_testkit::{gaussian, values};

use crate::network;
use crate::torch::{
    Packing, call, counted, described, dict, int, legacy, list, message, prefixed, read, saved,
    storages, stored, tensor, text, tuple,
};

#[test]
fn other_number_types_stop_nothing_that_is_not_needed() {
    let bytes = call(
        "torch._utils",
        "_rebuild_tensor_v2",
        &described("ByteStorage", "b", 0, &[12], &[1]),
    );
    let quantised = call(
        "torch._utils",
        "_rebuild_qtensor",
        &described("QInt8Storage", "b", 0, &[12], &[1]),
    );
    let absent = tensor("absent", 0, &[2]);
    let all = dict(&[
        ("model", prefixed("")),
        ("rng_state", bytes),
        ("other", quantised),
        ("gone", absent),
    ]);
    assert_eq!(read(&stored(&all)).unwrap(), counted(0));
}

#[test]
fn what_stands_for_other_values_is_refused_by_name() {
    let plain = || described("FloatStorage", "w", 0, &[3, 6], &[6, 1]);
    let flagged = [plain(), vec![dict(&[("neg", b"\x88".to_vec())])]].concat();
    let rebuild = |name: &str, arguments: &[Vec<u8>]| call("torch._utils", name, arguments);
    let wrapped = |tensor| {
        rebuild(
            "_rebuild_parameter_with_state",
            &[tensor, b"\x88".to_vec(), dict(&[]), dict(&[])],
        )
    };
    for (weight, expected) in [
        (rebuild("_rebuild_qtensor", &plain()), "is quantised"),
        (
            wrapped(rebuild("_rebuild_qtensor", &plain())),
            "is quantised",
        ),
        (
            rebuild("_rebuild_tensor_v2", &flagged),
            "has its negative or its conjugate bit set",
        ),
        (rebuild("_rebuild_sparse_tensor", &plain()), "is sparse"),
        (
            rebuild("_rebuild_some_new_tensor", &plain()),
            "is of a kind that is not read",
        ),
        (
            call("numpy.core.multiarray", "_reconstruct", &[]),
            "is a NumPy array",
        ),
        (
            rebuild(
                "_rebuild_tensor_v2",
                &described("FloatStorage", "w", 0, &[1; 17], &[1; 17]),
            ),
            "is not described as torch.save does",
        ),
        (
            rebuild(
                "_rebuild_tensor_v2",
                &described("FloatStorage", "w", 0, &[3, 6], &[6]),
            ),
            "is not described as torch.save does",
        ),
    ] {
        let bytes = stored(&dict(&[
            ("fc.weight", weight),
            ("fc.bias", tensor("b", 0, &[3])),
        ]));
        let expected =
            format!("memory does not fit the network: 1 not to be read: fc.weight {expected}");
        assert_eq!(message(&bytes), expected);
    }
    // What is plain under its wrapping is read.
    let from_type = call(
        "torch._tensor",
        "_rebuild_from_type_v2",
        &[
            b"ctorch._utils\n_rebuild_tensor_v2\n".to_vec(),
            b"cmine\nParameter\n".to_vec(),
            tuple(&plain()),
            dict(&[]),
        ],
    );
    for weight in [from_type, wrapped(rebuild("_rebuild_tensor_v2", &plain()))] {
        let bytes = stored(&dict(&[
            ("fc.weight", weight),
            ("fc.bias", tensor("b", 0, &[3])),
        ]));
        assert_eq!(read(&bytes).unwrap(), counted(0));
    }
}

#[test]
fn tensors_saved_as_arrays_are_read() {
    let elements: Vec<u8> = (0..18)
        .flat_map(|index| (f32::from(index as u8) / 8.0).to_le_bytes())
        .collect();
    let bytes = |elements: &[u8]| {
        let length = (elements.len() as u32).to_le_bytes();
        [b"B", &length[..], elements].concat()
    };
    let dtype = |kind: &str| {
        let made = call(
            "numpy",
            "dtype",
            &[text(kind), b"\x89".to_vec(), b"\x88".to_vec()],
        );
        [made, tuple(&[int(3), text("<")]), b"b".to_vec()].concat()
    };
    let array = |kind: &str, elements: &[u8], order: &[u8]| {
        let made = call("numpy._core.multiarray", "_reconstruct", &[]);
        let shape = tuple(&[int(3), int(6)]);
        let state = tuple(&[int(1), shape, dtype(kind), order.to_vec(), bytes(elements)]);
        [made, state, b"b".to_vec()].concat()
    };
    let read = |array: Vec<u8>| {
        let name = "_rebuild_device_tensor_from_numpy";
        let arguments = [
            array,
            b"ctorch\nfloat32\n".to_vec(),
            text("xla:0"),
            b"\x89".to_vec(),
        ];
        read(&stored(&dict(&[
            ("fc.weight", call("torch._utils", name, &arguments)),
            ("fc.bias", tensor("b", 0, &[3])),
        ])))
    };
    assert_eq!(read(array("f4", &elements, b"\x89")).unwrap(), counted(0));
    let columns = read(array("f4", &elements, b"\x88")).unwrap();
    assert_eq!(columns[..3], [0.0, 0.375, 0.75]);
    for (array, reason) in [
        (
            array("f4", &elements[1..], b"\x89"),
            "memory: its tensor fc.weight is larger than its storage",
        ),
        (
            array("O8", &elements, b"\x89"),
            "memory does not fit the network: 1 not to be read: fc.weight is an array of a kind that is not read",
        ),
        (
            array("i4", &elements, b"\x89"),
            "memory does not fit the network: 1 of no floating-point type: fc.weight i32",
        ),
    ] {
        assert_eq!(read(array).unwrap_err().to_string(), reason);
    }
}

#[test]
fn views_within_a_storage_are_read_and_others_are_not() {
    let weight = |offset, strides: &[i64]| {
        let arguments = described("FloatStorage", "w", offset, &[3, 6], strides);
        let weight = call("torch._utils", "_rebuild_tensor_v2", &arguments);
        read(&stored(&dict(&[
            ("fc.weight", weight),
            ("fc.bias", tensor("b", 0, &[3])),
        ])))
    };
    assert_eq!(weight(0, &[6, 1]).unwrap(), counted(0));
    assert_eq!(weight(0, &[1, 3]).unwrap()[..3], [0.0, 0.375, 0.75]);
    // Expanded: one element for all.
    assert_eq!(weight(17, &[0, 0]).unwrap()[..18], [17.0 / 8.0; 18]);
    for (offset, strides) in [
        (1, &[6, 1]),
        (0, &[7, 1]),
        (18, &[0, 0]),
        (0, &[i64::MAX, 1]),
        (i64::MAX, &[6, 1]),
    ] {
        let message = weight(offset, strides).unwrap_err().to_string();
        assert_eq!(
            message,
            "memory: its tensor fc.weight is larger than its storage"
        );
    }
}

#[test]
fn a_storage_under_a_hundred_thousand_names_is_no_work() {
    let views: Vec<Vec<u8>> = vec![b"h\x01".to_vec(); 100_000];
    let views = [
        tensor("w", 0, &[3, 6]),
        b"q\x010".to_vec(),
        dict(&[("views", list(&views)), ("model", prefixed(""))]),
    ]
    .concat();
    assert_eq!(read(&stored(&views)).unwrap(), counted(0));
}

/// PyTorch's end records have 76 bytes, and so has the first entry of the directory at a stem of 21.
#[test]
fn archives_open_whatever_their_stem() {
    for length in 1..=64 {
        let bytes = saved(
            &"s".repeat(length),
            &prefixed(""),
            &storages(0),
            Packing::Stored,
        );
        assert_eq!(read(&bytes).unwrap(), counted(0), "{length}");
    }
}

#[test]
fn members_may_be_deflated_or_without_checksums_but_not_damaged() {
    for packing in [Packing::Stored, Packing::Deflated, Packing::Unchecked] {
        let mut bytes = saved("a", &prefixed(""), &storages(0), packing);
        assert_eq!(read(&bytes).unwrap(), counted(0));
        if packing == Packing::Unchecked {
            continue;
        }
        // 2.125, the last of the weight.
        let sought = 2.125f32.to_le_bytes();
        let place = bytes
            .windows(4)
            .position(|window| window == sought)
            .unwrap();
        bytes[place] ^= 1;
        assert_eq!(
            message(&bytes),
            "memory: its tensor fc.weight is not whole: its a/data/w cannot be read: its checksum does not hold"
        );
    }
}

#[test]
fn lengths_that_a_member_does_not_have_are_errors() {
    let bytes = saved("a", &prefixed(""), &storages(0), Packing::Deflated);
    let directory = bytes
        .windows(4)
        .position(|window| window == b"PK\x01\x02")
        .unwrap();
    // The length inflated, of data.pkl.
    for length in [0, 1, u32::MAX - 1] {
        let mut bytes = bytes.clone();
        bytes[directory + 24..directory + 28].copy_from_slice(&length.to_le_bytes());
        let message = message(&bytes);
        assert!(
            message.contains("its a/data.pkl cannot be read: it "),
            "{message}"
        );
    }
}

#[test]
fn every_truncation_of_the_old_format_is_an_error() {
    let bytes = legacy(&prefixed(""), &storages(0)[..2]);
    assert!(read(&bytes).is_ok());
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn single_beside_double_precision_is_double() {
    let (weight, bias) = (
        gaussian((3, 6), 1).to_dtype(DType::F32).unwrap(),
        gaussian(3, 2),
    );
    let bytes = safetensors::serialize([("fc.weight", &weight), ("fc.bias", &bias)], None).unwrap();
    let checkpoint = checkpoint::decode(&bytes, "memory").unwrap();
    let theta = checkpoint.parameters(&network(), "memory").unwrap();
    assert_eq!(theta.dtype(), DType::F64);
    assert_eq!(values(&theta), [values(&weight), values(&bias)].concat());
}
