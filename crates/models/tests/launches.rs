//! What a device is asked for by a product and by a step of training of every network: the counts are those written here.
//!
//! Shapes alone decide them, so they are counted on the CPU, where nobody touches the 128 examples. What candle does by itself,
//! such as zeros, is not in them.

use std::rc::Rc;

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{MeanLoss, Retention, Settings};
use flatness_kernels::launch::with_launcher;
use flatness_layers::{Loss, Network, Workers};
use flatness_models::{Architecture, ZOO};
use flatness_operator::LinearOperator;
use flatness_optim::{Decay, Momentum, Optimizer, Sgd};
use flatness_testkit::{Asked, Recorder, dataset};

const EXAMPLES: usize = 128;

/// Launches of a product of a Hessian with one vector whose activations are kept, and of a step, by network.
const LAUNCHES: [(&str, usize, usize); 18] = [
    ("logistic", 7, 11),
    ("mlp", 27, 25),
    ("mlp-deep", 37, 32),
    ("mlp-medium", 27, 25),
    ("cnn", 41, 36),
    ("preresnet-20", 248, 246),
    ("mlp-400", 27, 25),
    ("mlp-large", 27, 25),
    ("preresnet-56", 668, 663),
    ("preresnet-110", 1298, 1293),
    ("all-cnn-c", 91, 74),
    ("preresnet-164", 1928, 1923),
    ("wrn-16-4", 214, 209),
    ("vgg-11", 117, 93),
    ("vgg-11-bn", 141, 141),
    ("vgg-16", 167, 128),
    ("vgg-16-bn", 206, 206),
    // Twice, for the patches of all images would pass 2^31 elements with eight vectors, were they laid out.
    ("wrn-28-10", 762, 377),
];

/// What `with` gives of the mean loss of a batch of so many images, and of what makes vectors of parameters.
fn over_a_batch<T>(
    network: &Network,
    examples: usize,
    with: impl FnOnce(&MeanLoss<'_>, &dyn Fn() -> Tensor) -> T,
) -> T {
    let &[channels, height, width] = network.input_shape() else {
        panic!("images, not {:?}", network.input_shape());
    };
    let classes = network.output_shape()[0] as u8;
    let images = dataset(examples, [channels, height, width], classes, 1);
    let settings = Settings {
        dtype: DType::F32,
        device: Device::Cpu,
        batch_size: examples,
    };
    let (loss, workers) = (Loss::CrossEntropy, Workers::new(1).unwrap());
    let mean_loss = MeanLoss::new(network, &images, loss, &workers, settings).unwrap();
    let dim = network.layout().dim();
    with(&mean_loss, &|| {
        Tensor::zeros(dim, DType::F32, &Device::Cpu).unwrap()
    })
}

/// H v with frozen statistics, to the number that says whether it is finite.
fn product(
    network: &Network,
    (retention, examples): (Retention, usize),
    recorder: &Recorder,
) -> Asked {
    let buffers = Tensor::zeros(network.buffers().dim(), DType::F32, &Device::Cpu).unwrap();
    let frozen = network.freeze(&buffers).unwrap();
    over_a_batch(&frozen, examples, |mean_loss, vector| {
        let curvature = mean_loss.curvature(&vector(), retention).unwrap();
        recorder.take();
        curvature.hessian().apply(&vector()).unwrap();
        recorder.take()
    })
}

/// From the indices of a batch to the new parameters.
fn step(network: &Network, recorder: &Recorder) -> Asked {
    over_a_batch(network, EXAMPLES, |mean_loss, vector| {
        let theta = vector();
        let momentum = Momentum::HeavyBall(0.9);
        let mut optimizer = Sgd::new(momentum, Decay::coupled(1e-4).unwrap(), &theta).unwrap();
        let indices: Vec<u32> = (0..EXAMPLES as u32).collect();
        recorder.take();
        let at_theta = mean_loss.training_gradient(&theta, &indices, 0).unwrap();
        optimizer.step(&theta, &at_theta.gradient, 0.1).unwrap();
        recorder.take()
    })
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
        let [product, anew, step] = with_launcher(recorder.clone(), || {
            [
                product(&network, (Retention::Retain, EXAMPLES), &recorder),
                // How often is waited does not depend on the examples.
                product(&network, (Retention::Recompute, 1), &recorder),
                step(&network, &recorder),
            ]
        });
        let readings = [&product, &anew, &step].map(|asked| asked.readings);
        assert_eq!(readings, [1; 3], "{name}");
        if matches!(*name, "preresnet-164" | "vgg-16-bn") {
            eprintln!("{name}, product: {product}{name}, step: {step}");
        }
        got.push((*name, product.launches.len(), step.launches.len()));
    }
    assert_eq!(got, LAUNCHES);
}
