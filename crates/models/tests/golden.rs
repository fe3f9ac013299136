//! Loss, gradient, Hessian and Gauss-Newton products of the zoo against PyTorch's double backward in
//! float64; `golden/curvature.py` made the numbers and states the formula for everything that goes
//! in.

use candle_core::{DType, Device, Tensor};
use flatness_layers::{Loss, Network, Parameter};
use flatness_models::Architecture;
use flatness_testkit::{assert_close, values};

/// Other orders of summation than PyTorch's, through up to 56 layers.
const TYPES: [(DType, f64); 2] = [(DType::F64, 1e-9), (DType::F32, 5e-4)];

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    examples: usize,
    gain: f64,
    parameters: usize,
    frozen: Golden,
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
    /// |G v|
    #[serde(rename = "Gv")]
    gv: f64,
}

/// The generator both sides draw from.
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> u64 {
        const MULTIPLIER: u64 = 6_364_136_223_846_793_005;
        const INCREMENT: u64 = 1_442_695_040_888_963_407;
        self.0 = self.0.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        self.0
    }

    /// Uniform on [−1, 1).
    fn uniform(&mut self) -> f64 {
        2.0 * ((self.next() >> 11) as f64 * 0.5f64.powi(53)) - 1.0
    }

    fn vector(&mut self, length: usize, map: impl Fn(f64) -> f64) -> Vec<f64> {
        (0..length).map(|_| map(self.uniform())).collect()
    }

    /// Values of `parameters`, one behind the other.
    fn fill(&mut self, parameters: &[Parameter], gain: f64) -> Tensor {
        let mut filled = Vec::new();
        for parameter in parameters {
            let fan_in: usize = parameter.shape.iter().skip(1).product();
            let scale = (gain / fan_in as f64).sqrt();
            let map = |u: f64| match parameter.name.rsplit('.').next() {
                Some("weight") if parameter.shape.len() > 1 => u * scale,
                Some("weight") => 1.0 + u / 4.0,
                Some("bias") => u / 8.0,
                Some("running_mean") => u / 4.0,
                Some("running_var") => 1.0 + u / 2.0,
                _ => panic!("no formula for {}", parameter.name),
            };
            filled.extend(self.vector(parameter.len(), map));
        }
        let length = filled.len();
        tensor(filled, &[length])
    }
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

struct Batch {
    network: Network,
    /// (B, input shape)
    inputs: Tensor,
    /// (B), u32
    labels: Tensor,
    /// (P)
    theta: Tensor,
    /// (Q)
    buffers: Tensor,
}

#[derive(Debug, Clone, Copy)]
enum Statistics {
    Frozen,
    Batch,
}

impl Batch {
    fn check(&self, name: &str, statistics: Statistics, golden: &Golden) {
        let layout = self.network.layout();
        let vector = Stream(5).vector(layout.dim(), |u| u);
        for (dtype, tolerance) in TYPES {
            let rounded = |tensor: &Tensor| tensor.to_dtype(dtype).unwrap();
            let block = rounded(&tensor(vector.clone(), &[1, vector.len()]));
            let (inputs, theta) = (rounded(&self.inputs), rounded(&self.theta));
            let network = match statistics {
                Statistics::Frozen => self.network.freeze(&rounded(&self.buffers)).unwrap(),
                Statistics::Batch => self.network.clone(),
            };
            let sums = || layout.zeros(1, dtype, &Device::Cpu).unwrap();
            let [gradient, hessian, gauss_newton] = [sums(), sums(), sums()];
            let tangents = layout.split(&block).unwrap();
            let views = layout.views(&theta).unwrap();
            let point = network.linearize(&views, &inputs, &self.labels, Loss::CrossEntropy);
            let point = point.unwrap();
            point.add_gradient(&gradient).unwrap();
            let added = point.add_gauss_newton_product(&tangents, &gauss_newton);
            added.unwrap();
            let loss = point.loss().sum().unwrap();
            let curved = point.with_cotangents().unwrap();
            curved.add_hessian_product(&tangents, &hessian).unwrap();
            let [gradient, hessian, gauss_newton] =
                [gradient, hessian, gauss_newton].map(|sums| values(&layout.join(&sums).unwrap()));
            for (quantity, got, expected) in [
                ("loss", loss, golden.loss),
                ("|g|", norm(&gradient), golden.gradient),
                ("v'Hv", dot(&vector, &hessian), golden.vhv),
                ("|Hv|", norm(&hessian), golden.hv),
                ("v'Gv", dot(&vector, &gauss_newton), golden.vgv),
                ("|Gv|", norm(&gauss_newton), golden.gv),
            ] {
                let what = format!("{name}, {statistics:?}, {dtype:?}, {quantity}");
                assert_close(&what, &[got], &[expected], tolerance);
            }
        }
    }
}

fn check(case: &Case) {
    let name = &case.name;
    let architecture = Architecture::find(name).unwrap();
    let (shape, classes) = architecture.default_input();
    let network = architecture.network(&shape, classes).unwrap();
    assert_eq!(network.layout().dim(), case.parameters, "{name}");
    let shape = [case.examples, shape[0], shape[1], shape[2]];
    let mut stream = Stream(4);
    let labels: Vec<u32> = (0..case.examples)
        .map(|_| ((stream.next() >> 33) % classes as u64) as u32)
        .collect();
    let inputs = Stream(3).vector(shape.iter().product(), |u| 2.0 * u);
    let batch = Batch {
        inputs: tensor(inputs, &shape),
        labels: Tensor::new(labels, &Device::Cpu).unwrap(),
        theta: Stream(1).fill(network.layout().parameters(), case.gain),
        buffers: Stream(2).fill(network.buffers().parameters(), case.gain),
        network,
    };
    batch.check(name, Statistics::Frozen, &case.frozen);
    let is_coupled = batch.network.couples_examples();
    assert_eq!(is_coupled, case.batch.is_some(), "{name}");
    if let Some(golden) = &case.batch {
        batch.check(name, Statistics::Batch, golden);
    }
}

fn check_all(chosen: impl Fn(&str) -> bool, count: usize) {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/curvature.json")).unwrap();
    let cases: Vec<&Case> = cases.iter().filter(|case| chosen(&case.name)).collect();
    assert_eq!(cases.len(), count);
    cases.into_iter().for_each(check);
}

#[test]
fn chains_equal_pytorchs_double_backward() {
    check_all(|name| !name.contains("net") && !name.contains("wrn"), 6);
}

#[test]
fn residual_networks_equal_pytorchs_double_backward() {
    check_all(|name| name.contains("net") || name.contains("wrn"), 3);
}
