//! Names that no architecture has, and images that none can take, are errors of one sentence.

use flatness_models::{Architecture, Error, ZOO};

#[test]
fn members_that_there_are_not_are_one_sentence() {
    // What stands before and behind each of the parts, the parts, and the end of the message.
    for (before, parts, behind, expected) in [
        (
            "preresnet-",
            "0 2 21 44 50 99999999999  +20 20x",
            "",
            "the form is preresnet-<depth>, with a depth of 6n + 2 below 44 (8, 14, 20, 26, 32, \
             38) or 9n + 2 from 44 on (47, 56, 65, ...)",
        ),
        (
            "wrn-",
            "16 4-1 17-4 16-0 16-256 16--4 16-4-1",
            "",
            "the form is wrn-<depth>-<widen>, with a depth of 6n + 4 (10, 16, 22, 28, ...) and a \
             factor of the channels from 1 to 255",
        ),
        (
            "vgg-",
            "13 16-bm 16@0 16@0.01 16@17 16@nan 16@ 16@-1 16@1-bn",
            "",
            "the form is vgg-11 or vgg-16, then -bn for batch norm, then @<width> for a factor of \
             all numbers of channels, from 0.015625 to 16",
        ),
        (
            "all-cnn-c@",
            " 0 17 nan 0.5@1 0.5-bn",
            "",
            "the form is all-cnn-c, then @<width> for a factor of all numbers of channels, from \
             0.015625 to 16",
        ),
        (
            "mlp-pooled-",
            " 0 4097 -1 8.5",
            "",
            "the form is mlp-pooled-<units>, of 1 to 4096 hidden units",
        ),
        (
            "",
            "logistic vgg-16 preresnet-20 mlp-softplus",
            "-softplus",
            "networks with softplus are those of the names mlp..., cnn and all-cnn-c",
        ),
    ] {
        for name in parts
            .split(' ')
            .map(|part| format!("{before}{part}{behind}"))
        {
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
         preresnet-<depth>, wrn-<depth>-<widen>, vgg-<11 or 16>[-bn][@<width>], \
         all-cnn-c[@<width>], <mlp..., cnn or all-cnn-c>-softplus"
    );
    assert_eq!(message, expected);
    for name in "MLP  - mlp- resnet-20 vgg16 -softplus resnet-20-softplus".split(' ') {
        let error = Architecture::find(name);
        assert!(matches!(error, Err(Error::UnknownModel { .. })), "{name}");
    }
}

#[test]
fn images_that_do_not_fit_are_errors_that_name_the_layer() {
    let channels = "it needs (channels, height, width) with as many channels as its weight has";
    let columns = "it needs a last axis of as many elements as its weight has inputs";
    let window = "its window is larger than the image";
    let kernel = "its kernel is larger than the padded image";
    let elements = "its weight has no elements";
    let refused = |name, shape: &[usize], classes, layer, input, reason| {
        let network = Architecture::find(name).unwrap().network(shape, classes);
        let expected = format!("layer {layer} cannot take inputs of shape [{input}]: {reason}");
        assert_eq!(network.unwrap_err().to_string(), expected, "{name}");
    };
    refused("cnn", &[784], 10, "conv1", "784", channels);
    refused("cnn", &[1, 28, 28], 0, "fc2", "128", elements);
    // Model, channels, height and width; layer and what comes to it.
    for (name, channels, side, layer, input, reason) in [
        ("cnn", 3, 32, "conv1", "3, 32, 32", channels),
        ("cnn", 1, 32, "fc1", "2048", columns),
        ("cnn", 1, 2, "pool2", "32, 1, 1", window),
        ("all-cnn-c", 1, 9, "features.1", "1, 9, 9", channels),
        ("all-cnn-c", 3, 8, "features.15", "192, 2, 2", kernel),
        ("vgg-16-bn", 3, 16, "features.43", "512, 1, 1", window),
        ("vgg-11", 3, 64, "classifier.1", "2048", columns),
        ("preresnet-20", 1, 9, "conv1", "1, 9, 9", channels),
        ("preresnet-20", 3, 0, "conv1", "3, 0, 0", kernel),
        ("wrn-16-4", 1, 9, "conv1", "1, 9, 9", channels),
    ] {
        refused(name, &[channels, side, side], 10, layer, input, reason);
    }
}
