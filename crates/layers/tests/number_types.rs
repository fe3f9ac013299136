//! A tensor of another number type or shape is refused by its name, and never by candle.

use candle_core::{DType, Device, Tensor};
use flatness_layers::{Conv2d, Error, Graph, Loss, Network, ParamLayout, Predictor, Window};
use flatness_testkit::{Normalization, Problem, gaussian, moved, statistics, vgg};

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

/// Asserts that `result` is this crate's own error with every one of `parts` in its message.
#[track_caller]
fn check_refusal<T>(result: Result<T, Error>, parts: &[&str]) {
    let error = result.err().expect("an error");
    let own = matches!(error, Error::NumberType { .. } | Error::Shape { .. });
    let message = error.to_string();
    assert!(own, "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} in {message:?}");
    }
}

#[test]
fn running_statistics_have_the_length_and_the_number_type_of_the_network() {
    let Problem {
        network, inputs, ..
    } = problem();
    let buffers = statistics(&network, 2);
    let last = "bn0.running_mean to bn1.running_var";
    check_refusal(
        network.freeze(&gaussian(13, 1)),
        &[last, "expected shape [14], got [13]"],
    );
    check_refusal(
        network.freeze(&cast(&buffers, DType::U32)),
        &["running statistics", "expected f32 or f64, got u32"],
    );
    for (dtype, other) in [(DType::F32, DType::F64), (DType::F64, DType::F32)] {
        let frozen = network.freeze(&cast(&buffers, other)).unwrap();
        check_refusal(
            frozen.forward(&views(&frozen, dtype), &cast(&inputs, dtype)),
            &[
                "running statistics",
                dtype.as_str(),
                other.as_str(),
                "Network::freeze",
            ],
        );
        let frozen = network.freeze(&cast(&buffers, dtype)).unwrap();
        let logits = frozen.forward(&views(&frozen, dtype), &cast(&inputs, dtype));
        assert_eq!(logits.unwrap().dtype(), dtype);
    }
}

#[test]
fn parameters_and_inputs_have_one_number_type() {
    let Problem {
        network, inputs, ..
    } = problem();
    let double = views(&network, DType::F64);
    check_refusal(
        network.forward(&views(&network, DType::F32), &inputs),
        &["inputs", "expected f32, got f64", "to_dtype"],
    );
    check_refusal(
        network.forward(&views(&network, DType::U8), &cast(&inputs, DType::U8)),
        &["conv0.weight", "expected f32 or f64, got u8"],
    );
    check_refusal(
        network.forward(&cast_at(&double, 3, DType::F32), &inputs),
        &["bn0.bias among the parameters", "expected f64, got f32"],
    );
    let theta = Tensor::cat(&[1, 2].map(|seed| gaussian(100, seed)), 0).unwrap();
    check_refusal(
        Predictor::new(&network, &theta),
        &["conv0.weight to fc1.bias", "got [200]"],
    );
}

#[test]
fn parameters_and_inputs_have_the_shapes_of_the_network() {
    let Problem {
        network, inputs, ..
    } = problem();
    let mut wrong = views(&network, DType::F64);
    wrong[2] = gaussian(4, 1);
    check_refusal(
        network.forward(&wrong, &inputs),
        &[
            "bn0.weight among the parameters",
            "expected shape [3], got [4]",
        ],
    );
    check_refusal(
        network.forward(&views(&network, DType::F64), &gaussian((5, 3, 4, 4), 1)),
        &["inputs", "expected shape [5, 2, 4, 4], got [5, 3, 4, 4]"],
    );
}

#[test]
fn labels_and_logits_are_those_of_classes() {
    let Problem {
        network,
        inputs,
        labels,
        loss,
        ..
    } = problem();
    let parameters = views(&network, DType::F64);
    let linearize = |labels: &Tensor| network.linearize(&parameters, &inputs, labels, loss);
    check_refusal(
        linearize(&cast(&labels, DType::I64)),
        &["labels", "expected u32, got i64"],
    );
    check_refusal(
        linearize(&labels.narrow(0, 1, 4).unwrap()),
        &["labels", "expected shape [5], got [4]"],
    );
    check_refusal(
        linearize(&labels.unsqueeze(1).unwrap()),
        &["labels", "expected shape [5], got [5, 1]"],
    );
    let logits = gaussian((5, 3), 1);
    check_refusal(
        loss.evaluate(&cast(&logits, DType::I64), &labels),
        &["logits", "expected f32 or f64, got i64"],
    );
    let smooth = Loss::LabelSmoothing { smoothing: 0.1 };
    for loss in [Loss::CrossEntropy, smooth, Loss::SquaredError] {
        let point = loss.evaluate(&logits, &labels).unwrap();
        check_refusal(
            point.hessian_product(&gaussian((5, 2, 4), 1)),
            &[
                "tangents of the logits",
                "expected shape [5, 2, 3], got [5, 2, 4]",
            ],
        );
        check_refusal(
            point.hessian_product(&cast(&gaussian((5, 2, 3), 1), DType::F32)),
            &["tangents of the logits", "expected f64, got f32"],
        );
    }
}

#[test]
fn a_network_of_images_has_no_classes() {
    let mut graph = Graph::new(&[2, 4, 4]);
    let window = Window {
        stride: 1,
        padding: 1,
    };
    let x = graph
        .layer("conv", Conv2d::new(2, 3, 3, window), graph.input())
        .unwrap();
    let network = graph.finish(x).unwrap();
    let labels = flatness_testkit::labels(5, 3, 1);
    let inputs = gaussian((5, 2, 4, 4), 1);
    check_refusal(
        network.linearize(
            &views(&network, DType::F64),
            &inputs,
            &labels,
            Loss::CrossEntropy,
        ),
        &["logits", "expected shape [5, 48], got [5, 3, 4, 4]"],
    );
}

#[test]
fn tangents_sums_and_cotangents_are_those_of_the_parameters() {
    let problem = problem();
    let point = || problem.linearize(&problem.theta);
    let tangents = problem.split(&gaussian((2, problem.dim()), 3));
    let (mut odd, sums) = (tangents.clone(), problem.zeros(2));
    odd[1] = problem.split(&gaussian((3, problem.dim()), 3))[1].clone();
    let single = cast_at(&tangents, 5, DType::F32);
    let bias = [
        "conv0.bias among the tangents",
        "expected shape [2, 3], got [3, 3]",
    ];
    let shift = ["conv1.bias among the tangents", "expected f64, got f32"];
    for (tangents, parts) in [(&odd, bias), (&single, shift)] {
        check_refusal(point().jacobian_product(tangents), &parts);
        check_refusal(point().add_gauss_newton_product(tangents, &sums), &parts);
        let curved = point().with_cotangents().unwrap();
        check_refusal(curved.add_hessian_product(tangents, &sums), &parts);
    }
    check_refusal(
        point().add_gradient(&sums),
        &[
            "conv0.weight among the sums",
            "expected shape [1, 3, 2, 3, 3]",
        ],
    );
    check_refusal(
        point().add_gauss_newton_product(&tangents, &cast_at(&sums, 0, DType::F32)),
        &["conv0.weight among the sums", "expected f64, got f32"],
    );
    let cotangent = gaussian((5, 2, 3), 4);
    check_refusal(
        point().add_transposed_jacobian_product(&gaussian((5, 2, 4), 4), &sums),
        &[
            "cotangents of the logits",
            "expected shape [5, 2, 3], got [5, 2, 4]",
        ],
    );
    check_refusal(
        point().add_transposed_jacobian_product(&cast(&cotangent, DType::F32), &sums),
        &["cotangents of the logits", "expected f64, got f32"],
    );
}

#[test]
fn pieces_of_a_vector_have_one_number_type() {
    let problem = problem();
    let layout = problem.network.layout();
    let pieces = problem.zeros(2);
    let mixed = cast_at(&pieces, 1, DType::F32);
    let parts = ["conv0.bias", "expected f64, got f32"];
    check_refusal(layout.join(&mixed), &parts);
    check_refusal(layout.add(&pieces, &mixed), &parts);
    check_refusal(layout.add(&mixed, &pieces), &parts);
    let views = cast_at(&views(&problem.network, DType::F64), 1, DType::F32);
    check_refusal(layout.concatenate(&views), &parts);
    let names = layout.parameters().iter().map(|p| p.name.clone());
    check_refusal(layout.gather(&names.zip(views).collect()), &parts);
    // No pieces are a vector without elements.
    let empty = ParamLayout::new(Vec::new());
    assert_eq!(empty.gather(&Default::default()).unwrap().dims(), [0]);
}
