//! The architectures against their PyTorch definitions: names, shapes and order of
//! `named_parameters()`.

use std::collections::HashSet;

use candle_core::{DType, Device, Module, Tensor};
use flatness_layers::{Loss, Predictor};
use flatness_models::{Architecture, Error, ZOO};
use flatness_testkit::{Activation, Autograd, assert_close, gaussian, labels, values};

/// (name, shape)
type Named = (&'static str, &'static [usize]);

/// (name, P for MNIST, parameters in order)
const EXPECTED: [(&str, usize, &[Named]); 6] = [
    (
        "logistic",
        7_850,
        &[("fc.weight", &[10, 784]), ("fc.bias", &[10])],
    ),
    (
        "mlp",
        9_960,
        &[
            ("fc0.weight", &[10, 784]),
            ("fc0.bias", &[10]),
            ("fc1.weight", &[100, 10]),
            ("fc1.bias", &[100]),
            ("fc2.weight", &[10, 100]),
            ("fc2.bias", &[10]),
        ],
    ),
    (
        "mlp-deep",
        15_685,
        &[
            ("fc0.weight", &[5, 784]),
            ("fc0.bias", &[5]),
            ("fc1.weight", &[200, 5]),
            ("fc1.bias", &[200]),
            ("fc2.weight", &[50, 200]),
            ("fc2.bias", &[50]),
            ("fc3.weight", &[10, 50]),
            ("fc3.bias", &[10]),
        ],
    ),
    (
        "mlp-medium",
        15_685,
        &[
            ("fc0.weight", &[15, 784]),
            ("fc0.bias", &[15]),
            ("fc1.weight", &[150, 15]),
            ("fc1.bias", &[150]),
            ("fc2.weight", &[10, 150]),
            ("fc2.bias", &[10]),
        ],
    ),
    (
        "mlp-400",
        478_410,
        &[
            ("fc0.weight", &[400, 784]),
            ("fc0.bias", &[400]),
            ("fc1.weight", &[400, 400]),
            ("fc1.bias", &[400]),
            ("fc2.weight", &[10, 400]),
            ("fc2.bias", &[10]),
        ],
    ),
    (
        "mlp-large",
        535_818,
        &[
            ("fc0.weight", &[512, 784]),
            ("fc0.bias", &[512]),
            ("fc1.weight", &[256, 512]),
            ("fc1.bias", &[256]),
            ("fc2.weight", &[10, 256]),
            ("fc2.bias", &[10]),
        ],
    ),
];

const MNIST: [usize; 3] = [1, 28, 28];

#[test]
fn names_shapes_order_and_counts_are_pytorchs() {
    assert_eq!(ZOO.len(), EXPECTED.len());
    for (architecture, (name, count, parameters)) in ZOO.iter().zip(EXPECTED) {
        assert_eq!(architecture.name, name);
        assert_eq!(Architecture::find(name).unwrap(), *architecture);
        assert!(!architecture.summary.is_empty());
        let network = architecture.network(&MNIST, 10).unwrap();
        let layout = network.layout();
        let got: Vec<(&str, &[usize])> = layout
            .parameters()
            .iter()
            .map(|parameter| (parameter.name.as_str(), parameter.shape.as_slice()))
            .collect();
        assert_eq!(got, parameters, "{name}");
        assert_eq!(layout.dim(), count, "{name}");
        assert_eq!(network.input_shape(), MNIST);
        assert_eq!(network.output_shape(), [10]);
    }
}

#[test]
fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
    let message = Architecture::find("resnet").unwrap_err().to_string();
    assert!(message.contains("`resnet`"), "{message}");
    for (name, ..) in EXPECTED {
        assert!(message.contains(name), "{message}");
    }
    assert!(matches!(
        Architecture::find("MLP"),
        Err(Error::UnknownModel { .. })
    ));
}

/// `torch.nn.Linear` draws weights and biases from U(−1/√inputs, 1/√inputs), variance 1/(3 inputs).
#[test]
fn initial_values_have_pytorchs_distribution() {
    let network = Architecture::find("mlp-400")
        .unwrap()
        .network(&MNIST, 10)
        .unwrap();
    let layout = network.layout();
    let theta = layout.initialize(7, DType::F64, &Device::Cpu).unwrap();
    let views = layout.views(&theta).unwrap();
    let mut inputs = 0;
    for (parameter, view) in layout.parameters().iter().zip(&views) {
        // A bias has the bound of the weight before it.
        inputs = parameter.shape.get(1).copied().unwrap_or(inputs);
        let bound = 1.0 / (inputs as f64).sqrt();
        let elements = values(view);
        let n = elements.len() as f64;
        assert!(
            elements.iter().all(|x| (-bound..bound).contains(x)),
            "{}",
            parameter.name
        );
        let mean = elements.iter().sum::<f64>() / n;
        let square = elements.iter().map(|x| x * x).sum::<f64>() / n;
        // Five standard errors: of the mean bound/√(3n), of the square bound² √(4/45 n).
        let name = &parameter.name;
        assert!(
            mean.abs() < 5.0 * bound / (3.0 * n).sqrt(),
            "{name}: {mean}"
        );
        let error = (square - bound * bound / 3.0).abs();
        assert!(
            error < 5.0 * bound * bound * (4.0 / (45.0 * n)).sqrt(),
            "{name}: {square}"
        );
    }
}

#[test]
fn initial_values_depend_on_the_seed_alone() {
    let network = Architecture::find("mlp")
        .unwrap()
        .network(&MNIST, 10)
        .unwrap();
    let draw = |seed, dtype| {
        let theta = network
            .layout()
            .initialize(seed, dtype, &Device::Cpu)
            .unwrap();
        assert_eq!((theta.dims(), theta.dtype()), (&[9_960][..], dtype));
        values(&theta)
    };
    let first = draw(0, DType::F64);
    assert_eq!(first, draw(0, DType::F64));
    let distinct: HashSet<u64> = first.iter().map(|x| x.to_bits()).collect();
    assert_eq!(
        distinct.len(),
        first.len(),
        "layers must not repeat each other's draws"
    );
    let other = draw(1, DType::F64);
    assert!(first.iter().zip(&other).all(|(a, b)| a != b));
    // The same draws, rounded.
    let single = draw(0, DType::F32);
    assert!(
        first
            .iter()
            .zip(&single)
            .all(|(a, b)| f64::from(*a as f32) == *b)
    );
}

#[test]
fn logits_are_those_of_the_same_network_in_plain_candle() {
    for (name, _, parameters) in EXPECTED {
        let network = Architecture::find(name)
            .unwrap()
            .network(&[1, 3, 4], 5)
            .unwrap();
        let mut widths = vec![12];
        widths.extend(
            parameters
                .iter()
                .skip(1)
                .step_by(2)
                .map(|(_, bias)| bias[0]),
        );
        *widths.last_mut().unwrap() = 5;
        let theta = network
            .layout()
            .initialize(3, DType::F64, &Device::Cpu)
            .unwrap();
        let (inputs, labels) = (gaussian((4, 1, 3, 4), 4), labels(4, 5, 5));
        let views = network.layout().views(&theta).unwrap();
        let point = network
            .linearize(&views, &inputs, &labels, Loss::CrossEntropy)
            .unwrap();
        let oracle = Autograd {
            widths,
            activation: Activation::Relu,
            loss: Loss::CrossEntropy,
        };
        let flat = inputs.flatten_from(1).unwrap();
        let expected = oracle.loss(&values(&theta), &flat, &labels);
        assert_close(name, &[point.loss().sum()], &[expected], 1e-13);
    }
}

#[test]
fn a_network_serves_as_a_candle_module() {
    fn run(module: &impl candle_nn::Module, inputs: &Tensor) -> Tensor {
        module.forward(inputs).unwrap()
    }
    let network = Architecture::find("logistic")
        .unwrap()
        .network(&[1, 2, 2], 3)
        .unwrap();
    let theta = gaussian(network.layout().dim(), 1);
    let inputs = gaussian((5, 1, 2, 2), 2);
    let predictor = Predictor::new(&network, &theta).unwrap();
    let views = network.layout().views(&theta).unwrap();
    let linear = candle_nn::Linear::new(views[0].clone(), Some(views[1].clone()));
    let expected = linear.forward(&inputs.flatten_from(1).unwrap()).unwrap();
    assert_close(
        "logits",
        &values(&run(&predictor, &inputs)),
        &values(&expected),
        1e-14,
    );
}

#[test]
fn shapes_that_leave_nothing_to_learn_are_errors() {
    for architecture in ZOO {
        for (shape, classes) in [(&[1, 28, 28][..], 0), (&[1, 0, 28], 10), (&[0], 10)] {
            let result = architecture.network(shape, classes);
            assert!(
                matches!(result, Err(Error::Network(_))),
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
