//! What a device is asked for by a product and by the gradient of a step of every network: the counts are those written here.
//!
//! Shapes alone decide them, so they are counted on the CPU, where nobody touches the 128 examples. What candle does by itself,
//! such as zeros, is not in them.

use std::rc::Rc;

use candle_core::{DType, Device, Tensor};
use flatness_kernels::dot;
use flatness_kernels::launch::with_launcher;
use flatness_layers::{Loss, Network, Sums, count_correct};
use flatness_models::{Architecture, ZOO};
use flatness_testkit::{Asked, Recorder};

const EXAMPLES: usize = 128;

/// Launches of a product of a Hessian with one vector, and of the gradient of a step, by network.
const LAUNCHES: [(&str, usize, usize); 18] = [
    ("logistic", 7, 9),
    ("mlp", 27, 23),
    ("mlp-deep", 37, 30),
    ("mlp-medium", 27, 23),
    ("cnn", 42, 34),
    ("preresnet-20", 249, 244),
    ("mlp-400", 28, 23),
    ("mlp-large", 28, 23),
    ("preresnet-56", 669, 661),
    ("preresnet-110", 1299, 1291),
    ("all-cnn-c", 92, 69),
    ("preresnet-164", 1929, 1921),
    ("wrn-16-4", 215, 207),
    ("vgg-11", 118, 89),
    ("vgg-11-bn", 142, 137),
    ("vgg-16", 168, 124),
    ("vgg-16-bn", 207, 202),
    ("wrn-28-10", 383, 375),
];

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap()
}

struct Batch {
    parameters: Vec<Tensor>,
    images: Tensor,
    labels: Tensor,
}

fn batch(network: &Network) -> Batch {
    let theta = zeros(&[network.layout().dim()]);
    Batch {
        parameters: network.layout().views(&theta).unwrap(),
        images: zeros(&[&[EXAMPLES], network.input_shape()].concat()),
        labels: Tensor::zeros(EXAMPLES, DType::U32, &Device::Cpu).unwrap(),
    }
}

fn sums(network: &Network) -> Sums<'_> {
    Sums::zeros(network.layout(), 1, DType::F32, &Device::Cpu).unwrap()
}

/// H v with frozen statistics and kept activations, to the number that says whether it is finite.
fn product(network: &Network, recorder: &Recorder) -> Asked {
    let frozen = network.freeze(&zeros(&[network.buffers().dim()])).unwrap();
    let Batch {
        parameters,
        images,
        labels,
    } = batch(&frozen);
    let point = frozen.linearize(&parameters, &images, &labels, Loss::CrossEntropy);
    let point = point.unwrap().with_cotangents().unwrap();
    let tangents = frozen
        .layout()
        .split(&zeros(&[1, frozen.layout().dim()]))
        .unwrap();
    recorder.take();
    let sums = sums(&frozen);
    point.add_hessian_product(&tangents, sums.pieces()).unwrap();
    let mean = sums.scaled(0.5).unwrap();
    dot(&mean, &mean).unwrap();
    recorder.take()
}

/// Loss, accuracy and gradient of a batch.
fn step(network: &Network, recorder: &Recorder) -> Asked {
    let Batch {
        parameters,
        images,
        labels,
    } = batch(network);
    recorder.take();
    let see = |logits: &Tensor| {
        count_correct(logits, &labels)?;
        Ok(())
    };
    let loss = Loss::CrossEntropy;
    let point = network.linearize_and_see(&parameters, &images, &labels, loss, 1.0, see);
    let sums = sums(network);
    point.unwrap().add_gradient(sums.pieces()).unwrap();
    sums.scaled(0.5).unwrap();
    recorder.take()
}

#[test]
fn products_and_steps_ask_for_no_more_than_they_did() {
    assert!(ZOO.iter().copied().eq(LAUNCHES.map(|(name, ..)| name)));
    let recorder = Rc::new(Recorder::default());
    let mut got = Vec::new();
    for name in ZOO {
        let architecture = Architecture::find(name).unwrap();
        let (shape, classes) = architecture.default_input();
        let network = architecture.network(&shape, classes).unwrap();
        let (product, step) = with_launcher(recorder.clone(), || {
            (product(&network, &recorder), step(&network, &recorder))
        });
        assert_eq!((product.readings, step.readings), (1, 2), "{name}");
        if matches!(*name, "preresnet-164" | "vgg-16-bn") {
            eprintln!("{name}, product: {product}{name}, step: {step}");
        }
        got.push((*name, product.launches.len(), step.launches.len()));
    }
    assert_eq!(got, LAUNCHES);
}
