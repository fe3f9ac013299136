//! Names that no architecture has, and images that none can take, are errors of one sentence.

use flatness_models::{Architecture, Error, ZOO};

#[test]
fn members_that_there_are_not_are_one_sentence() {
    let preresnet = "the form is preresnet-<depth>, with a depth of 6n + 2 below 44 (8, 14, 20, \
                     26, 32, 38) or 9n + 2 from 44 on (47, 56, 65, ...)";
    let wide = "the form is wrn-<depth>-<widen>, with a depth of 6n + 4 (10, 16, 22, 28, ...) and \
                a factor of the channels from 1 to 255";
    let vgg = "the form is vgg-11 or vgg-16, then -bn for batch norm, then @<width> for a factor \
               of all numbers of channels, from 0.015625 to 16";
    let pooled = "the form is mlp-pooled-<units>, of 1 to 4096 hidden units";
    for name in ["", "0", "4097", "-1", "8.5"].map(|units| format!("mlp-pooled-{units}")) {
        let message = Architecture::find(&name).unwrap_err().to_string();
        assert_eq!(message, format!("there is no model `{name}`; {pooled}"));
    }
    let twins = "networks with softplus are those of the names mlp..., cnn and all-cnn-c";
    for name in ["logistic", "vgg-16", "preresnet-20", "mlp-softplus"] {
        let name = format!("{name}-softplus");
        let message = Architecture::find(&name).unwrap_err().to_string();
        assert_eq!(message, format!("there is no model `{name}`; {twins}"));
    }
    for (names, expected) in [
        (
            &[
                "-0",
                "-2",
                "-21",
                "-44",
                "-50",
                "-99999999999",
                "-",
                "-+20",
                "-20x",
            ][..],
            preresnet,
        ),
        (
            &[
                "-16", "-4-1", "-17-4", "-16-0", "-16-256", "-16--4", "-16-4-1",
            ],
            wide,
        ),
        (
            &[
                "-13", "-16-bm", "-16@0", "-16@0.01", "-16@17", "-16@nan", "-16@", "-16@-1",
                "-16@1-bn",
            ],
            vgg,
        ),
    ] {
        let family = expected[12..].split('-').next().unwrap();
        for name in names {
            let name = format!("{family}{name}");
            let error = Architecture::find(&name).unwrap_err();
            assert!(matches!(error, Error::Member { .. }), "{name}");
            let expected = format!("there is no model `{name}`; {expected}");
            assert_eq!(error.to_string(), expected);
        }
    }
}

#[test]
fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
    let message = Architecture::find("resnet").unwrap_err().to_string();
    let names = ZOO.join(", ");
    let expected = format!(
        "there is no model `resnet`; choose one of {names}, or of the forms mlp-pooled-<units>, \
         preresnet-<depth>, wrn-<depth>-<widen>, vgg-<11 or 16>[-bn][@<width>], <mlp..., cnn or \
         all-cnn-c>-softplus"
    );
    assert_eq!(message, expected);
    for name in [
        "MLP",
        "",
        "-",
        "mlp-",
        "resnet-20",
        "vgg16",
        "-softplus",
        "resnet-20-softplus",
    ] {
        assert!(
            matches!(Architecture::find(name), Err(Error::UnknownModel { .. })),
            "{name}"
        );
    }
}

#[test]
fn images_that_do_not_fit_are_errors_that_name_the_layer() {
    let channels = "it needs (channels, height, width) with as many channels as its weight has";
    let columns = "it needs one axis of as many elements as its weight has columns";
    let window = "its window is larger than the image";
    let kernel = "its kernel is larger than the padded image";
    let elements = "its weight has no elements";
    for (name, shape, classes, layer, input, reason) in [
        (
            "cnn",
            &[3, 32, 32][..],
            10,
            "conv1",
            "[3, 32, 32]",
            channels,
        ),
        ("cnn", &[784], 10, "conv1", "[784]", channels),
        ("cnn", &[1, 32, 32], 10, "fc1", "[2048]", columns),
        ("cnn", &[1, 2, 2], 10, "pool2", "[32, 1, 1]", window),
        ("cnn", &[1, 28, 28], 0, "fc2", "[128]", elements),
        (
            "all-cnn-c",
            &[1, 28, 28],
            10,
            "features.1",
            "[1, 28, 28]",
            channels,
        ),
        (
            "all-cnn-c",
            &[3, 8, 8],
            10,
            "features.15",
            "[192, 2, 2]",
            kernel,
        ),
        (
            "vgg-16-bn",
            &[3, 16, 16],
            10,
            "features.43",
            "[512, 1, 1]",
            window,
        ),
        (
            "vgg-11",
            &[3, 64, 64],
            10,
            "classifier.1",
            "[2048]",
            columns,
        ),
        (
            "preresnet-20",
            &[1, 28, 28],
            10,
            "conv1",
            "[1, 28, 28]",
            channels,
        ),
        ("preresnet-20", &[3, 0, 0], 10, "conv1", "[3, 0, 0]", kernel),
        (
            "wrn-16-4",
            &[1, 28, 28],
            10,
            "conv1",
            "[1, 28, 28]",
            channels,
        ),
    ] {
        let architecture = Architecture::find(name).unwrap();
        let message = architecture
            .network(shape, classes)
            .unwrap_err()
            .to_string();
        let expected = format!("layer {layer} cannot take inputs of shape {input}: {reason}");
        assert_eq!(message, expected, "{name}");
    }
}
