//! What does not fit is an error of this crate that says where, never a panic, never one of candle's
//! and never a wrong number.

use candle_core::{DType, Device, Module, Tensor};
use flatness_layers::{
    Affine, Conv2d, Error, Flatten, Layer, Loss, Network, ParamLayout, Predictor, Relu, Tanh,
    Window,
};
use flatness_testkit::{Normalization, Problem, gaussian, labels, moved, statistics, values, vgg};

fn chain(input_shape: &[usize], layers: Vec<(&str, Box<dyn Layer>)>) -> Result<Network, Error> {
    let layers = layers.into_iter();
    let layers = layers.map(|(name, layer)| (name.to_owned(), layer));
    Network::chain(input_shape, layers.collect())
}

/// Five images (2, 4, 4) and 14 running statistics.
fn problem() -> Problem {
    moved(vgg(Normalization::Batch), Loss::CrossEntropy, 5, 1)
}

fn views(network: &Network, dtype: DType) -> Vec<Tensor> {
    let layout = network.layout();
    let theta = layout.initialize(1, dtype, &Device::Cpu).unwrap();
    layout.views(&theta).unwrap()
}

fn cast(tensor: &Tensor, dtype: DType) -> Tensor {
    tensor.to_dtype(dtype).unwrap()
}

fn cast_at(tensors: &[Tensor], index: usize, dtype: DType) -> Vec<Tensor> {
    let mut tensors = tensors.to_vec();
    tensors[index] = cast(&tensors[index], dtype);
    tensors
}

/// Asserts that `result` is this crate's own error, whose message has these words in a row.
#[track_caller]
fn refused<T>(result: Result<T, Error>, words: &str) {
    let error = result.err().expect("an error");
    let own = matches!(error, Error::NumberType { .. } | Error::Shape { .. });
    let message = error.to_string();
    assert!(own && message.contains(words), "{words} in {message}");
}

#[test]
fn a_layer_that_cannot_take_its_input_is_named() {
    let layers: Vec<(&str, Box<dyn Layer>)> = vec![
        ("first", Box::new(Affine::new(4, 5))),
        ("between", Box::new(Tanh)),
        ("last", Box::new(Affine::new(6, 2))),
    ];
    let message = chain(&[4], layers).unwrap_err().to_string();
    assert!(message.starts_with("layer last cannot take inputs of shape [5]: "));
    assert!(chain(&[2, 2], vec![("fc", Box::new(Affine::new(4, 2)))]).is_err());
}

#[test]
fn networks_without_parameters_and_of_one_name_twice_are_errors() {
    let layers: Vec<(&str, Box<dyn Layer>)> =
        vec![("relu", Box::new(Relu)), ("flat", Box::new(Flatten))];
    assert!(matches!(chain(&[2, 2], layers), Err(Error::NoParameters)));
    assert!(matches!(chain(&[2], vec![]), Err(Error::NoParameters)));
    let twice = ["fc", "fc"].map(|name| (name, Box::new(Affine::new(2, 2)) as Box<dyn Layer>));
    assert!(matches!(
        chain(&[2], twice.into()),
        Err(Error::Names { .. })
    ));
}

#[test]
fn shapes_and_costs_are_those_of_the_chain() {
    let layers: Vec<(&str, Box<dyn Layer>)> = vec![
        ("flat", Box::new(Flatten)),
        ("fc0", Box::new(Affine::new(4, 5))),
        ("relu", Box::new(Relu)),
        ("fc1", Box::new(Affine::new(5, 3))),
    ];
    let network = chain(&[2, 2], layers).unwrap();
    assert_eq!(network.input_shape(), [2, 2]);
    assert_eq!(network.output_shape(), [3]);
    assert_eq!(network.multiply_adds(), 4 * 5 + 5 * 3);
    // Flattened 4, hidden 5 twice, logits 3.
    assert_eq!(network.activations(), 4 + 5 + 5 + 3);
    let names = network.layout().parameters().iter();
    let names: Vec<&str> = names.map(|parameter| parameter.name.as_str()).collect();
    assert_eq!(names, ["fc0.weight", "fc0.bias", "fc1.weight", "fc1.bias"]);
}

#[test]
fn running_statistics_have_the_length_and_the_number_type_of_the_network() {
    let problem = problem();
    let (network, inputs) = (&problem.network, &problem.inputs);
    let buffers = statistics(network, 2);
    for shape in [vec![13], vec![15], vec![1, 14], vec![]] {
        let all = "bn0.running_mean to bn1.running_var: expected shape [14], got";
        let words = format!("{all} {shape:?}");
        refused(network.freeze(&gaussian(shape, 1)), &words);
    }
    let integers = network.freeze(&cast(&buffers, DType::U32));
    refused(integers, "running statistics: expected f32 or f64, got u32");
    for (dtype, other) in [(DType::F32, DType::F64), (DType::F64, DType::F32)] {
        let forward = |of_buffers| {
            let frozen = network.freeze(&cast(&buffers, of_buffers)).unwrap();
            frozen.forward(&views(&frozen, dtype), &cast(inputs, dtype))
        };
        let types = format!("expected {}, got {}", dtype.as_str(), other.as_str());
        let place = "running statistics given to `Network::freeze`";
        refused(forward(other), &format!("{place}: {types}"));
        assert_eq!(forward(dtype).unwrap().dtype(), dtype);
    }
    // What is frozen, or never normalised, has nothing left to freeze.
    let none = Tensor::zeros(0, DType::F64, &Device::Cpu).unwrap();
    let frozen = network.freeze(&buffers).unwrap();
    for network in [&frozen, &vgg(Normalization::None)] {
        assert_eq!(network.buffers().dim(), 0);
        assert!(network.freeze(&none).is_ok());
        assert!(network.freeze(&gaussian(1, 1)).is_err());
    }
}

#[test]
fn parameters_and_inputs_have_the_shapes_and_the_number_type_of_the_network() {
    let problem = problem();
    let (network, inputs) = (&problem.network, &problem.inputs);
    let double = views(network, DType::F64);
    let forward = |parameters: &[Tensor], inputs: &Tensor| {
        let forward = network.forward(parameters, inputs);
        let linear = network.linearize(parameters, inputs, &problem.labels, problem.loss);
        assert_eq!(linear.is_ok(), forward.is_ok());
        forward
    };
    assert!(forward(&double, inputs).is_ok());
    let single = forward(&views(network, DType::F32), inputs);
    let words = "inputs: expected f32, got f64; convert it with `Tensor::to_dtype`";
    refused(single, words);
    let bytes = forward(&views(network, DType::U8), &cast(inputs, DType::U8));
    refused(bytes, "conv0.weight: expected f32 or f64, got u8");
    let mixed = forward(&cast_at(&double, 3, DType::F32), inputs);
    refused(
        mixed,
        "bn0.bias among the parameters: expected f64, got f32",
    );
    let mut wrong = double.clone();
    wrong[2] = gaussian(4, 1);
    let words = "bn0.weight among the parameters: expected shape [3], got [4]";
    refused(forward(&wrong, inputs), words);
    for parameters in [&double[..3], &[], &[&double[..], &double[..1]].concat()] {
        let words = format!(
            "number of parameters: expected shape [12], got [{}]",
            parameters.len()
        );
        refused(forward(parameters, inputs), &words);
    }
    for shape in [vec![5, 3, 4, 4], vec![5, 32], vec![5]] {
        let words = format!("expected shape [5, 2, 4, 4], got {shape:?}");
        refused(forward(&double, &gaussian(shape, 1)), &words);
    }
    let none = forward(&double, &gaussian(&[][..], 1));
    refused(
        none,
        "inputs (batch axis first): expected shape [0, 2, 4, 4], got []",
    );
    assert!(forward(&double, &gaussian((5, 2, 4, 4), 2).t().unwrap()).is_err());
    let theta = Tensor::cat(&[1, 2].map(|seed| gaussian(100, seed)), 0).unwrap();
    let dim = network.layout().dim();
    let words = format!("of conv0.weight to fc1.bias: expected shape [{dim}], got [200]");
    refused(Predictor::new(network, &theta), &words);
}

#[test]
fn labels_and_logits_are_those_of_classes() {
    let problem = problem();
    let (labels, loss) = (&problem.labels, problem.loss);
    let parameters = views(&problem.network, DType::F64);
    let linearize = |labels: &Tensor| {
        let network = &problem.network;
        network.linearize(&parameters, &problem.inputs, labels, loss)
    };
    let integers = linearize(&cast(labels, DType::I64));
    refused(integers, "labels: expected u32, got i64");
    let fewer = labels.narrow(0, 1, 4).unwrap();
    refused(linearize(&fewer), "labels: expected shape [5], got [4]");
    let column = linearize(&labels.unsqueeze(1).unwrap());
    refused(column, "labels: expected shape [5], got [5, 1]");
    let beyond = Tensor::new(&[0u32, 1, 2, 3, 0], &Device::Cpu).unwrap();
    let message = linearize(&beyond).unwrap_err().to_string();
    assert!(message.contains("below 3, got 3"), "{message}");
    let logits = gaussian((5, 3), 1);
    let integers = loss.evaluate(&cast(&logits, DType::I64), labels);
    refused(integers, "outputs: expected f32 or f64, got i64");
    let smooth = Loss::LabelSmoothing { smoothing: 0.1 };
    for loss in [Loss::CrossEntropy, smooth, Loss::SquaredError] {
        let point = loss.evaluate(&logits, labels).unwrap();
        let wider = point.hessian_product(&gaussian((5, 2, 4), 1));
        let words = "tangents of the outputs: expected shape [5, 2, 3], got [5, 2, 4]";
        refused(wider, words);
        let single = point.hessian_product(&cast(&gaussian((5, 2, 3), 1), DType::F32));
        refused(single, "tangents of the outputs: expected f64, got f32");
    }
}

#[test]
fn a_network_of_images_takes_a_class_at_each_position() {
    let (stride, padding) = (1, 1);
    let conv = Conv2d::new(2, 3, 3, Window { stride, padding });
    let network = chain(&[2, 4, 4], vec![("conv", Box::new(conv))]).unwrap();
    let (inputs, labels) = (gaussian((5, 2, 4, 4), 1), labels(5, 3, 1));
    let parameters = views(&network, DType::F64);
    let point = network.linearize(&parameters, &inputs, &labels, Loss::CrossEntropy);
    refused(point, "labels: expected shape [5, 3, 4], got [5]");
}

#[test]
fn tangents_sums_and_cotangents_are_those_of_the_parameters() {
    let problem = problem();
    let point = problem.linearize(&problem.theta);
    let curved = problem.linearize(&problem.theta).with_cotangents().unwrap();
    // Every product of tangents; the Jacobian's has no sums.
    let check = |tangents: &[Tensor], sums: &[Tensor], words: &str| {
        refused(point.add_gauss_newton_product(tangents, sums), words);
        refused(point.add_empirical_fisher_product(tangents, sums), words);
        refused(curved.add_hessian_product(tangents, sums), words);
        refused(curved.add_residual_product(tangents, sums), words);
    };
    let tangents = problem.split(&gaussian((2, problem.dim()), 3));
    let (mut odd, sums) = (tangents.clone(), problem.zeros(2));
    odd[1] = problem.split(&gaussian((3, problem.dim()), 3))[1].clone();
    let single = cast_at(&tangents, 5, DType::F32);
    let shape = "conv0.bias among the tangents: expected shape [2, 3], got [3, 3]";
    for (tangents, words) in [
        (&odd[..], shape),
        (
            &single,
            "conv1.bias among the tangents: expected f64, got f32",
        ),
        (
            &tangents[..3],
            "number of tangents: expected shape [12], got [3]",
        ),
        (&[], "number of tangents: expected shape [12], got [0]"),
    ] {
        check(tangents, &sums, words);
        refused(point.jacobian_product(tangents), words);
    }
    check(
        &tangents,
        &sums[..3],
        "number of sums: expected shape [12], got [3]",
    );
    check(
        &tangents,
        &[],
        "number of sums: expected shape [12], got [0]",
    );
    let of_shape = "conv0.weight among the sums: expected shape";
    for vectors in [1, 3] {
        let words = format!("{of_shape} [2, 3, 2, 3, 3], got [{vectors}, 3, 2, 3, 3]");
        check(&tangents, &problem.zeros(vectors), &words);
    }
    let single = cast_at(&sums, 0, DType::F32);
    check(
        &tangents,
        &single,
        "conv0.weight among the sums: expected f64, got f32",
    );
    let one = format!("{of_shape} [1, 3, 2, 3, 3], got [2, 3, 2, 3, 3]");
    refused(point.add_gradient(&sums), &one);
    let pulled = |cotangent: &Tensor| point.add_transposed_jacobian_product(cotangent, &sums);
    refused(pulled(&gaussian((5, 1, 3), 4)), &one);
    for shape in [vec![5, 2, 4], vec![4, 2, 3], vec![5, 3]] {
        let cotangent = gaussian(shape, 4);
        refused(
            pulled(&cotangent),
            "cotangents of the logits: expected shape [5, ",
        );
    }
    let single = cast(&gaussian((5, 2, 3), 4), DType::F32);
    refused(
        pulled(&single),
        "cotangents of the logits: expected f64, got f32",
    );
}

#[test]
fn pieces_of_a_vector_have_one_number_type() {
    let problem = problem();
    let layout = problem.network.layout();
    let pieces = problem.zeros(2);
    let mixed = cast_at(&pieces, 1, DType::F32);
    let words = "expected f64, got f32";
    refused(layout.join(&mixed), words);
    refused(layout.add(&pieces, &mixed), words);
    refused(layout.add(&mixed, &pieces), words);
    let views = cast_at(&views(&problem.network, DType::F64), 1, DType::F32);
    refused(layout.concatenate(&views), words);
    let names = layout.parameters().iter().map(|p| p.name.clone());
    refused(layout.gather(&names.zip(views).collect()), words);
    // No pieces are a vector without elements.
    let empty = ParamLayout::new(Vec::new());
    assert_eq!(empty.gather(&Default::default()).unwrap().dims(), [0]);
}

#[test]
fn a_predictor_is_a_module_with_the_errors_of_its_network() {
    let problem = problem();
    let theta = Tensor::new(problem.theta.as_slice(), &Device::Cpu).unwrap();
    let predictor = Predictor::new(&problem.network, &theta).unwrap();
    let logits = problem.inputs.apply(&predictor).unwrap();
    assert_eq!(values(&logits), values(&problem.logits()));
    let error = predictor.forward(&gaussian((5, 32), 1)).unwrap_err();
    let expected = "expected shape [5, 2, 4, 4], got [5, 32]";
    assert!(error.to_string().contains(expected), "{error}");
}
