//! The architectures against their PyTorch definitions: names, shapes and order of
//! `named_parameters()`, and counts.

use candle_core::{DType, Device, Tensor};
use flatness_layers::{Loss, Network, ParamLayout};
use flatness_models::{Architecture, Error, ZOO};
use flatness_testkit::{Activation, Autograd, Oracle, assert_close, gaussian, labels, values};

/// (name, P for the data that it is made for), of the networks in PyTorch.
const COUNTS: [(&str, usize); 18] = [
    ("logistic", 7_850),
    ("mlp", 9_960),
    ("mlp-deep", 15_685),
    ("mlp-medium", 15_685),
    ("cnn", 206_922),
    ("preresnet-20", 278_132),
    ("mlp-400", 478_410),
    ("mlp-large", 535_818),
    ("preresnet-56", 613_556),
    ("preresnet-110", 1_169_972),
    ("all-cnn-c", 1_387_108),
    ("preresnet-164", 1_726_388),
    ("wrn-16-4", 2_774_276),
    ("vgg-11", 9_797_092),
    ("vgg-11-bn", 9_802_596),
    ("vgg-16", 15_291_300),
    ("vgg-16-bn", 15_299_748),
    ("wrn-28-10", 36_546_980),
];

/// Of the network called `name` for other data than its own.
fn network(name: &str, shape: &[usize], classes: usize) -> Network {
    let architecture = Architecture::find(name).unwrap();
    architecture.network(shape, classes).unwrap()
}

/// Widths from the input to the logits, for inputs of 12 elements and 5 classes.
const PERCEPTRONS: [(&str, &[usize]); 6] = [
    ("logistic", &[12, 5]),
    ("mlp", &[12, 10, 100, 5]),
    ("mlp-deep", &[12, 5, 200, 50, 5]),
    ("mlp-medium", &[12, 15, 150, 5]),
    ("mlp-400", &[12, 400, 400, 5]),
    ("mlp-large", &[12, 512, 256, 5]),
];

fn built(name: &str) -> Network {
    let architecture = Architecture::find(name).unwrap();
    let (input_shape, classes) = architecture.default_input();
    architecture.network(&input_shape, classes).unwrap()
}

#[test]
fn the_largest_tensor_of_a_sweep_is_that_of_the_patches() {
    // 64 channels under 3 × 3 kernels on 32 × 32 pixels.
    assert_eq!(built("vgg-16-bn").largest_tensor(), 64 * 9 * 1024);
    // 784 pixels of the input, no convolution.
    assert_eq!(built("mlp-400").largest_tensor(), 784);
}

fn names_and_shapes(layout: &ParamLayout) -> Vec<(String, Vec<usize>)> {
    let parameters = layout.parameters().iter();
    parameters
        .map(|parameter| (parameter.name.clone(), parameter.shape.clone()))
        .collect()
}

#[test]
fn counts_are_pytorchs() {
    assert_eq!(ZOO, COUNTS.map(|(name, _)| name));
    assert!(COUNTS.is_sorted_by_key(|(_, count)| count));
    for (name, count) in COUNTS {
        let architecture = Architecture::find(name).unwrap();
        assert_eq!(architecture.name, name);
        assert!(!architecture.summary().is_empty());
        let network = built(name);
        assert_eq!(network.layout().dim(), count, "{name}");
        let (input_shape, classes) = architecture.default_input();
        assert_eq!(network.input_shape(), input_shape);
        assert_eq!(network.output_shape(), [classes]);
    }
}

#[test]
fn names_shapes_and_order_of_perceptrons_are_pytorchs() {
    for (name, widths) in PERCEPTRONS {
        let network = network(name, &[1, 3, 4], 5);
        let expected = widths.windows(2).enumerate().flat_map(|(index, pair)| {
            let layer = match name {
                "logistic" => "fc".to_owned(),
                _ => format!("fc{index}"),
            };
            [
                (format!("{layer}.weight"), vec![pair[1], pair[0]]),
                (format!("{layer}.bias"), vec![pair[1]]),
            ]
        });
        let expected: Vec<_> = expected.collect();
        assert_eq!(names_and_shapes(network.layout()), expected, "{name}");
    }
}

#[test]
fn a_pooled_perceptron_takes_the_means_of_two_by_two_pixels() {
    let dim = built("mlp-pooled-8").layout().dim();
    assert_eq!(dim, (14 * 14 + 1) * 8 + (8 + 1) * 10);
    let pooled = network("mlp-pooled-10", &[2, 4, 6], 5);
    let pixels = gaussian((3, 2, 4, 6), 0);
    let rows = pixels.reshape((3, 2, 2, 2, 3, 2)).unwrap();
    let means = rows.mean((3, 5)).unwrap();
    let plain = flatness_testkit::network(&[2, 2, 3], &[12, 10, 5], Activation::Relu);
    let [got, expected] = [&pooled, &plain].map(|network| names_and_shapes(network.layout()));
    assert_eq!(got, expected);
    let theta = gaussian(plain.layout().dim(), 1);
    let logits = |network: &Network, images: &Tensor| {
        let parameters = network.layout().views(&theta).unwrap();
        values(&network.forward(&parameters, images).unwrap())
    };
    let (got, expected) = (logits(&pooled, &pixels), logits(&plain, &means));
    assert_close("logits", &got, &expected, 1e-13);
}

/// The list is golden/names.txt, which golden/names.py writes.
#[test]
fn names_shapes_and_order_of_convolutional_networks_are_pytorchs() {
    let golden = include_str!("golden/names.txt");
    for (name, lines) in [("cnn", 8), ("vgg-11-bn@0.25", 54), ("preresnet-20", 99)] {
        let network = built(name);
        let expected = |kind: &str| -> Vec<(String, Vec<usize>)> {
            let lines = golden
                .lines()
                .map(|line| line.split(' ').collect::<Vec<_>>());
            let own = lines.filter(|words| words[..2] == [name, kind]);
            own.map(|words| {
                let shape = words[3..].iter().map(|size| size.parse().unwrap());
                (words[2].to_owned(), shape.collect())
            })
            .collect()
        };
        let (parameters, buffers) = (expected("parameter"), expected("buffer"));
        assert_eq!(parameters.len() + buffers.len(), lines, "{name}");
        assert_eq!(names_and_shapes(network.layout()), parameters, "{name}");
        assert_eq!(names_and_shapes(network.buffers()), buffers, "{name}");
    }
}

/// Any width, depth and number of classes; counts by the formulas of the layers.
#[test]
fn families_have_all_their_members() {
    for (name, blocks, convolutions) in [
        ("preresnet-8", 3, 2),
        ("preresnet-38", 18, 2),
        ("preresnet-47", 15, 3),
        ("preresnet-1001", 333, 3),
        ("wrn-10-1", 3, 2),
        ("wrn-40-8", 18, 2),
    ] {
        let names = names_and_shapes(built(name).layout());
        let within = names.iter().filter(|(name, _)| {
            let mut parts = name.split('.').skip(2);
            name.starts_with("layer") && parts.next().is_some_and(|part| part.starts_with("conv"))
        });
        let weights = within.filter(|(name, _)| name.ends_with(".weight")).count();
        assert_eq!(weights, blocks * convolutions, "{name}");
    }
    for (name, same) in [
        ("vgg-16@1", "vgg-16"),
        ("vgg-11-bn@1.0", "vgg-11-bn"),
        ("all-cnn-c@1-softplus", "all-cnn-c"),
    ] {
        let (network, expected) = (built(name), built(same));
        assert_eq!(network.layout(), expected.layout());
    }
    // 0.3 x 64 = 19.2, rounded down.
    let narrow = built("vgg-11@0.3");
    assert_eq!(narrow.layout().parameters()[0].shape, [19, 3, 3, 3]);
    // Of 48 and 96 channels: the sum over the convolutions by hand.
    assert_eq!(built("all-cnn-c@0.5").layout().dim(), 352_612);
    for (name, _) in COUNTS {
        let (input_shape, _) = Architecture::find(name).unwrap().default_input();
        for classes in [1, 7, 100] {
            let outputs = network(name, &input_shape, classes);
            assert_eq!(outputs.output_shape(), [classes]);
        }
    }
}

#[test]
fn losses_are_those_of_the_same_network_in_plain_candle() {
    let of_relu = PERCEPTRONS.map(|(name, widths)| (name.to_owned(), widths, Activation::Relu));
    let twins = PERCEPTRONS[1..].iter().map(|(name, widths)| {
        let name = format!("{name}-softplus");
        (name, *widths, Activation::Softplus)
    });
    for (name, widths, activation) in of_relu.into_iter().chain(twins) {
        let (network, loss) = (network(&name, &[1, 3, 4], 5), Loss::CrossEntropy);
        let theta = network.layout().initialize(3, DType::F64, &Device::Cpu);
        let theta = theta.unwrap();
        let (inputs, labels) = (gaussian((4, 1, 3, 4), 4), labels(4, 5, 5));
        let views = network.layout().views(&theta).unwrap();
        let point = network.linearize(&views, &inputs, &labels, loss).unwrap();
        let oracle = Autograd {
            widths: widths.to_vec(),
            activation,
            loss,
        };
        let flat = inputs.flatten_from(1).unwrap();
        let expected = oracle.loss(&values(&theta), &flat, &labels);
        assert_close(&name, &[point.loss().sum().unwrap()], &[expected], 1e-13);
    }
}

/// The same parameters and initial values, and smooth: H v is a difference of gradients.
#[test]
fn networks_with_softplus_are_twins_of_those_with_relu() {
    for name in ["mlp", "mlp-medium", "mlp-pooled-3", "cnn", "all-cnn-c"] {
        let (network, relu) = (built(&format!("{name}-softplus")), built(name));
        assert_eq!(network.layout(), relu.layout(), "{name}");
        let [theta, of_relu] = [&network, &relu].map(|network| {
            let theta = network.layout().initialize(3, DType::F64, &Device::Cpu);
            theta.unwrap()
        });
        assert_eq!(values(&theta), values(&of_relu), "{name}");
    }
    let network = built("cnn-softplus");
    let layout = network.layout();
    let theta = layout.initialize(3, DType::F64, &Device::Cpu).unwrap();
    let (inputs, labels) = (gaussian((2, 1, 28, 28), 4), labels(2, 10, 5));
    let linearize = |theta: &Tensor| {
        let views = layout.views(theta).unwrap();
        network
            .linearize(&views, &inputs, &labels, Loss::CrossEntropy)
            .unwrap()
    };
    let zeros = || layout.zeros(1, DType::F64, &Device::Cpu).unwrap();
    let vector = gaussian(layout.dim(), 6);
    // Small enough to leave every maximum of the pools in its place.
    let step = 1e-6;
    let gradient = |way: f64| {
        let sums = zeros();
        let moved = (&theta + (&vector * way).unwrap()).unwrap();
        linearize(&moved).add_gradient(&sums).unwrap();
        values(&layout.join(&sums).unwrap())
    };
    let pairs = gradient(step).into_iter().zip(gradient(-step));
    let expected: Vec<f64> = pairs.map(|(a, b)| (a - b) / (2.0 * step)).collect();
    let products = zeros();
    let tangents = layout.split(&vector.unsqueeze(0).unwrap()).unwrap();
    let point = linearize(&theta).with_cotangents().unwrap();
    point.add_hessian_product(&tangents, &products).unwrap();
    let product = values(&layout.join(&products).unwrap());
    // Rounding 1e-16 over the step, and a truncation of step² times a third derivative.
    assert_close("H v", &product, &expected, 1e-7);
}

#[test]
fn shapes_that_leave_nothing_to_learn_are_errors() {
    for (name, _) in PERCEPTRONS {
        let architecture = Architecture::find(name).unwrap();
        for (shape, classes) in [(&[1, 28, 28][..], 0), (&[1, 0, 28], 10), (&[0], 10)] {
            let made = architecture.network(shape, classes);
            assert!(
                matches!(made, Err(Error::Network(_))),
                "{shape:?}, {classes}"
            );
        }
        // A single number in, a single class out.
        for (shape, classes) in [(&[][..], 10), (&[1, 28, 28], 1)] {
            let network = architecture.network(shape, classes).unwrap();
            assert_eq!(network.output_shape(), [classes]);
        }
    }
}
