//! PyTorch files as people save them: the weights behind any key and prefix, in the forms of all versions.

mod torch;

use candle_core::{DType, Tensor};
use flatness_layers::Network;
use flatness_models::{Architecture, Error, checkpoint};
use flatness_testkit::{gaussian, values};
use torch::{
    Packing, call, described, dict, int, legacy, list, object, saved, set, tensor, text, tuple,
};

/// 21 parameters: weight (3, 6) and bias (3).
fn network() -> Network {
    let logistic = Architecture::find("logistic").unwrap();
    logistic.network(&[1, 2, 3], 3).unwrap()
}

/// 21 numbers from `first` on, of 1/8 each: storage w the first 18, storage b the others, storage v all.
fn storages(first: i32) -> Vec<(&'static str, Vec<u8>)> {
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

fn counted(first: i32) -> Vec<f64> {
    (first..first + 21)
        .map(|number| f64::from(number) / 8.0)
        .collect()
}

/// The state dict, with this before its names.
fn prefixed(prefix: &str) -> Vec<u8> {
    let [weight, bias] = ["weight", "bias"].map(|name| format!("{prefix}fc.{name}"));
    dict(&[
        (&weight, tensor("w", 0, &[3, 6])),
        (&bias, tensor("b", 0, &[3])),
    ])
}

fn read(bytes: &[u8]) -> Result<Vec<f64>, Error> {
    let checkpoint = checkpoint::decode(bytes, "memory")?;
    Ok(values(&checkpoint.parameters(&network(), "memory")?))
}

fn message(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

fn stored(object: &[u8]) -> Vec<u8> {
    saved("a", object, &storages(0), Packing::Stored)
}

#[test]
fn weights_are_found_behind_any_key_and_prefix() {
    let epoch = ("epoch", int(3));
    let momentum = dict(&[("exp_avg", tensor("w", 0, &[3, 6]))]);
    let pair = |name: &str, tensor| list(&[text(name), tensor]);
    let pairs = list(&[
        pair("fc.weight", tensor("w", 0, &[3, 6])),
        pair("fc.bias", tensor("b", 0, &[3])),
    ]);
    let inner = object(
        "torch.nn.modules.linear",
        "Linear",
        &[(
            "_parameters",
            dict(&[
                ("weight", tensor("w", 0, &[3, 6])),
                ("bias", tensor("b", 0, &[3])),
            ]),
        )],
    );
    let module = object(
        "mine",
        "Net",
        &[
            ("training", b"\x88".to_vec()),
            ("_modules", dict(&[("fc", inner.clone())])),
        ],
    );
    let subclass = [call("mine", "Config", &[]), set(&[("model", prefixed(""))])].concat();
    let number = dict(&[
        ("fc.weight", tensor("w", 0, &[3, 6])),
        ("fc.bias", tensor("b", 0, &[3])),
        ("loss", tensor("b", 0, &[])),
    ]);
    for (place, object) in [
        ("", prefixed("")),
        ("", number),
        ("module", prefixed("module.")),
        ("module._orig_mod", prefixed("module._orig_mod.")),
        (
            "state_dict",
            dict(&[epoch.clone(), ("state_dict", prefixed(""))]),
        ),
        (
            "net/module",
            dict(&[("net", prefixed("module.")), epoch.clone()]),
        ),
        (
            "state/model/module",
            dict(&[("state", dict(&[("model", prefixed("module."))]))]),
        ),
        (
            "model",
            dict(&[
                ("model", prefixed("")),
                ("optimizer", dict(&[("state", momentum.clone())])),
            ]),
        ),
        (
            "state_dict/model",
            dict(&[
                ("state_dict", prefixed("model.")),
                ("hyper", list(&[int(1)])),
            ]),
        ),
        ("0", tuple(&[prefixed(""), momentum])),
        ("1", list(&[int(3), prefixed("")])),
        ("model", subclass),
        (
            "args/best",
            dict(&[(
                "args",
                object("argparse", "Namespace", &[("best", prefixed(""))]),
            )]),
        ),
        // Python 2 makes ordered dicts of lists of pairs.
        (
            "state_dict",
            dict(&[("state_dict", call("collections", "OrderedDict", &[pairs]))]),
        ),
        // Whole modules, TorchScript's too, which has no `_modules`.
        ("", module.clone()),
        ("model", dict(&[("model", module)])),
        (
            "",
            object(
                "__torch__.mine",
                "Net",
                &[(
                    "fc",
                    object(
                        "__torch__.torch",
                        "Linear",
                        &[
                            ("weight", tensor("w", 0, &[3, 6])),
                            ("bias", tensor("b", 0, &[3])),
                        ],
                    ),
                )],
            ),
        ),
    ] {
        for bytes in [stored(&object), legacy(&object, &storages(0)[..2])] {
            let checkpoint = checkpoint::decode(&bytes, "memory").unwrap();
            let theta = checkpoint.parameters(&network(), "memory").unwrap();
            assert_eq!(values(&theta), counted(0), "{place}");
            let said = checkpoint
                .place(&network(), "memory")
                .unwrap()
                .unwrap_or_default();
            let expected = format!("the weights are those under `{place}`");
            assert!(
                said.starts_with(if place.is_empty() { "" } else { &expected }),
                "{place}: {said}"
            );
        }
    }
}

#[test]
fn safetensors_are_searched_too() {
    let pieces = [gaussian((3, 6), 1), gaussian(3, 2)];
    let one = Tensor::new(1i64, &candle_core::Device::Cpu).unwrap();
    let named = [
        ("module.fc.weight", &pieces[0]),
        ("module.fc.bias", &pieces[1]),
        ("n_averaged", &one),
    ];
    let bytes = safetensors::serialize(named, None).unwrap();
    assert_eq!(
        read(&bytes).unwrap(),
        [values(&pieces[0]), values(&pieces[1])].concat()
    );
}

#[test]
fn of_several_that_differ_one_has_to_be_chosen() {
    let average = dict(&[
        ("fc.weight", tensor("v", 0, &[3, 6])),
        ("fc.bias", tensor("w", 0, &[3])),
    ]);
    let both = stored(&dict(&[
        ("model", prefixed("")),
        ("ema", average.clone()),
        ("rng", int(0)),
    ]));
    assert_eq!(
        message(&both),
        "memory has 2 sets of weights that fit and differ: model, ema; choose one with --entry"
    );
    let choose = |entry: &str| {
        let checkpoint = checkpoint::decode(&both, "memory")?.entry(entry, "memory")?;
        Ok::<_, Error>(values(&checkpoint.parameters(&network(), "memory")?))
    };
    assert_eq!(choose("model").unwrap(), counted(0));
    assert_eq!(choose("ema/").unwrap()[18..], counted(0)[..3]);
    assert_eq!(
        choose("mod").unwrap_err().to_string(),
        "memory has no entry `mod`; its tensors are model/fc.weight, model/fc.bias, ema/fc.weight, ema/fc.bias"
    );
    // The same values under two keys, in storages of their own, are one.
    let copied = dict(&[
        ("fc.weight", tensor("v", 0, &[3, 6])),
        ("fc.bias", tensor("v", 18, &[3])),
    ]);
    assert_eq!(
        read(&stored(&dict(&[("model", prefixed("")), ("best", copied)]))).unwrap(),
        counted(0)
    );
    // Beside each other in one mapping, too.
    let beside = dict(&[
        ("fc.weight", tensor("w", 0, &[3, 6])),
        ("fc.bias", tensor("b", 0, &[3])),
        ("ema.fc.weight", tensor("v", 0, &[3, 6])),
        ("ema.fc.bias", tensor("w", 0, &[3])),
    ]);
    assert!(message(&stored(&beside)).contains("2 sets of weights"));
}

/// The averages of the paper's software: one vector in the order of `parameters()`.
#[test]
fn a_flat_mean_is_read_where_it_is_chosen() {
    let swa = dict(&[
        ("mean", tensor("v", 0, &[21])),
        ("sq_mean", tensor("v", 0, &[21])),
        ("base_model.fc.weight", tensor("v", 0, &[3, 6])),
        ("base_model.fc.bias", tensor("w", 0, &[3])),
    ]);
    let bytes = stored(&dict(&[("epoch", int(300)), ("state_dict", swa)]));
    assert!(message(&bytes).contains("state_dict/base_model, state_dict/mean; choose"));
    let checkpoint = checkpoint::decode(&bytes, "memory").unwrap();
    let mean = checkpoint.entry("state_dict/mean", "memory").unwrap();
    assert_eq!(
        values(&mean.parameters(&network(), "memory").unwrap()),
        counted(0)
    );
    assert_eq!(mean.buffers(&network(), "memory").unwrap().dims(), [0]);
}

#[test]
fn the_nearest_is_described_where_nothing_fits() {
    let smaller = dict(&[(
        "model",
        dict(&[
            ("fc.weight", tensor("w", 0, &[2, 6])),
            ("fc.bias", tensor("b", 0, &[2])),
        ]),
    )]);
    assert_eq!(
        message(&stored(&smaller)),
        "memory does not fit the network: nearest, under `model`, 2 of another shape: \
         fc.weight [2, 6] instead of [3, 6], fc.bias [2] instead of [3]"
    );
    let larger = dict(&[(
        "model",
        [prefixed(""), set(&[("fc0.weight", tensor("w", 0, &[6]))])].concat(),
    )]);
    let expected = "under `model`, 1 unexpected: model/fc0.weight";
    assert!(message(&stored(&larger)).ends_with(expected));
    let moments = dict(&[("state", dict(&[("exp_avg", tensor("w", 0, &[3, 6]))]))]);
    assert_eq!(
        message(&stored(&moments)),
        "memory does not fit the network: 2 missing: fc.weight [3, 6], fc.bias [3]; there are state/exp_avg"
    );
}

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

#[test]
fn weights_of_many_epochs_are_listed_and_counted() {
    let one = |first: i64| {
        dict(&[
            ("fc.weight", tensor("v", first, &[3, 6])),
            ("fc.bias", tensor("b", 0, &[3])),
        ])
    };
    let epochs: Vec<Vec<u8>> = (0..1000).map(|epoch| one(epoch % 3)).collect();
    let expected = "memory has 64 sets of weights that fit and differ: 0, 1, 2, 3, 4, 5, 6, 7 and 56 more; choose one with --entry";
    assert_eq!(message(&stored(&list(&epochs))), expected);
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
