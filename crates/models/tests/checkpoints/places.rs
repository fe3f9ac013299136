//! PyTorch files as people save them: the weights behind any key and prefix.

use candle_core::Tensor;
use flatness_models::{Error, checkpoint};
use flatness_testkit::{gaussian, values};

use crate::network;
use crate::torch::{
    call, counted, dict, int, legacy, list, message, object, prefixed, read, set, storages, stored,
    tensor, text, tuple,
};

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

#[test]
fn names_are_read_as_others() {
    let head = dict(&[
        ("head.weight", tensor("v", 0, &[3, 6])),
        ("head.bias", tensor("v", 18, &[3])),
    ]);
    let bytes = stored(&dict(&[("model", head)]));
    let rename = |old: &str, new: &str| {
        let checkpoint = checkpoint::decode(&bytes, "memory")?.rename(old, new, "memory")?;
        Ok::<_, Error>(values(&checkpoint.parameters(&network(), "memory")?))
    };
    assert_eq!(rename("head.*", "fc.*").unwrap(), counted(0));
    let one = checkpoint::decode(&bytes, "memory").unwrap();
    let one = one.rename("head.weight", "fc.weight", "memory").unwrap();
    let both = one.rename("*d.bias", "f*.bias", "memory").unwrap();
    let both = both.rename("fhea.bias", "fc.bias", "memory").unwrap();
    let both = values(&both.parameters(&network(), "memory").unwrap());
    assert_eq!(both, counted(0));
    for (old, new, expected) in [
        (
            "tail.*",
            "fc.*",
            "memory has no entry `tail.*`; its tensors are model/head.weight",
        ),
        (
            "head.*",
            "fc",
            "cannot rename head.*=fc in memory: both sides need one `*`",
        ),
        (
            "head.bias",
            "head.weight",
            "there is a model/head.weight already",
        ),
    ] {
        let message = rename(old, new).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
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
