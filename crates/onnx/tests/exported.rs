//! Loss, gradient, Hessian and Gauss-Newton products of exported networks against PyTorch's double backward in float64;
//! `golden/make.py` made the files and the numbers, and states the formula for everything that goes in.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use flatness_layers::{Loss, Network};
use flatness_testkit::{assert_close, values};

/// Other orders of summation than PyTorch's.
const TOLERANCE: f64 = 1e-9;

/// Batch norms that the exporter multiplied into convolutions, it multiplied in float32.
const FOLDED: f64 = 1e-5;

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    examples: usize,
    input: Vec<usize>,
    classes: Option<usize>,
    tokens: bool,
    /// Name and shape, in PyTorch's order; none where they are not PyTorch's any more.
    parameters: Vec<(String, Vec<usize>)>,
    frozen: serde_json::Value,
    batch: Option<Golden>,
}

/// Sums over the examples.
#[derive(serde::Deserialize)]
struct Golden {
    loss: f64,
    /// |g|
    gradient: f64,
    #[serde(rename = "vHv")]
    vhv: f64,
    /// |H v|
    #[serde(rename = "Hv")]
    hv: f64,
    #[serde(rename = "vGv")]
    vgv: f64,
}

fn directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(directory().join("golden.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn tensor(elements: Vec<f64>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(elements, shape, &Device::Cpu).unwrap()
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// v of each parameter, in the order of the network.
fn vector(case: &Case, network: &Network) -> Tensor {
    let mut count = 0.0;
    let pieces = case.parameters.iter().map(|(name, shape)| {
        let piece = (0..shape.iter().product::<usize>()).map(|_| {
            count += 1.0f64;
            count.sin()
        });
        (name, piece.collect::<Vec<f64>>())
    });
    let pieces: Vec<_> = pieces.collect();
    let own = network.layout().parameters().iter().flat_map(|parameter| {
        let (_, piece) = pieces
            .iter()
            .find(|(name, _)| **name == parameter.name)
            .unwrap();
        piece.clone()
    });
    let own: Vec<f64> = own.collect();
    let length = own.len();
    tensor(own, &[1, length])
}

/// Inputs and labels of the case.
fn batch(case: &Case, network: &Network) -> (Tensor, Tensor, Loss<'static>) {
    let shape = [&[case.examples], &case.input[..]].concat();
    let element = |place: usize| match case.tokens {
        true => ((5 * place + 2) % 16) as f64,
        false => 2.0 * (1.0 + place as f64).sin(),
    };
    let inputs = tensor((0..shape.iter().product()).map(element).collect(), &shape);
    let outputs = [&[case.examples], network.output_shape()].concat();
    match case.classes {
        None => {
            let target = |place: usize| (1.0 + place as f64).cos();
            let targets = (0..outputs.iter().product()).map(target).collect();
            (inputs, tensor(targets, &outputs), Loss::SquaredError)
        }
        Some(classes) => {
            let positions = &outputs[..outputs.len() - 1];
            let label = |row: usize| ((7 * row + 3) % classes) as u32;
            let labels: Vec<u32> = (0..positions.iter().product()).map(label).collect();
            let labels = Tensor::from_vec(labels, positions, &Device::Cpu).unwrap();
            (inputs, labels, Loss::CrossEntropy)
        }
    }
}

fn check(case: &Case, network: &Network, parameters: &Tensor, golden: &Golden) {
    let (inputs, labels, loss) = batch(case, network);
    let layout = network.layout();
    let views = layout.views(parameters).unwrap();
    let point = network.linearize(&views, &inputs, &labels, loss).unwrap();
    let close = |what: &str, got: f64, expected: f64| {
        assert_close(
            &format!("{} {what}", case.name),
            &[got],
            &[expected],
            TOLERANCE,
        );
    };
    close("loss", point.loss().sum().unwrap(), golden.loss);
    let zeros = || layout.zeros(1, DType::F64, &Device::Cpu).unwrap();
    let joined = |sums: &[Tensor]| values(&layout.join(sums).unwrap());
    let gradient = zeros();
    point.add_gradient(&gradient).unwrap();
    close("gradient", norm(&joined(&gradient)), golden.gradient);
    let vector = vector(case, network);
    let (block, v) = (layout.split(&vector).unwrap(), values(&vector));
    let product = zeros();
    point.add_gauss_newton_product(&block, &product).unwrap();
    close("v'Gv", dot(&v, &joined(&product)), golden.vgv);
    let product = zeros();
    point
        .with_cotangents()
        .unwrap()
        .add_hessian_product(&block, &product)
        .unwrap();
    let product = joined(&product);
    close("|Hv|", norm(&product), golden.hv);
    // v'Hv may cancel: relative to |v| |Hv|.
    let got = dot(&v, &product);
    let scale = norm(&v) * golden.hv;
    assert!(
        (got - golden.vhv).abs() <= TOLERANCE * scale,
        "{} v'Hv: {got}, expected {}",
        case.name,
        golden.vhv
    );
}

#[test]
fn networks_have_pytorchs_curvature() {
    for case in cases().iter().filter(|case| !case.parameters.is_empty()) {
        let imported = flatness_onnx::read(&directory().join(format!("{}.onnx", case.name)), &[]);
        let imported = imported.unwrap_or_else(|error| panic!("{error}"));
        let names: Vec<&str> = {
            let parameters = imported.network.layout().parameters().iter();
            let mut names: Vec<&str> = parameters
                .map(|parameter| parameter.name.as_str())
                .collect();
            names.sort_unstable();
            names
        };
        let mut expected: Vec<&str> = case
            .parameters
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        expected.sort_unstable();
        assert_eq!(names, expected, "{}", case.name);
        let parameters = imported.parameters.to_dtype(DType::F64).unwrap();
        let buffers = imported.buffers.to_dtype(DType::F64).unwrap();
        let frozen = imported.network.freeze(&buffers).unwrap();
        let golden = serde_json::from_value(case.frozen.clone()).unwrap();
        check(case, &frozen, &parameters, &golden);
        if let Some(golden) = &case.batch {
            check(case, &imported.network, &parameters, golden);
        }
    }
}

#[test]
fn a_batch_norm_in_a_convolution_is_said() {
    let cases = cases();
    let case = cases
        .iter()
        .find(|case| case.name == "cifar-folded")
        .unwrap();
    let imported = flatness_onnx::read(&directory().join("cifar-folded.onnx"), &[]).unwrap();
    assert!(
        imported
            .notes
            .iter()
            .any(|note| note.contains("batch norms into")),
        "{:?}",
        imported.notes
    );
    assert!(imported.network.buffers().parameters().is_empty());
    let parameters = imported.parameters.to_dtype(DType::F64).unwrap();
    let (inputs, labels, loss) = batch(case, &imported.network);
    let views = imported.network.layout().views(&parameters).unwrap();
    let point = imported
        .network
        .linearize(&views, &inputs, &labels, loss)
        .unwrap();
    let expected = case.frozen["loss"].as_f64().unwrap();
    assert_close("loss", &[point.loss().sum().unwrap()], &[expected], FOLDED);
}
