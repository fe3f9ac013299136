//! Small networks of the layers under test, for images (2, 4, 4) and 3 classes, and problems with
//! them.

use candle_core::{Device, Tensor};
use flatness_layers::{
    Affine, BatchNorm, Conv2d, Dropout, Error, Flatten, GlobalAveragePool, Graph, Loss, MaxPool,
    Network, Relu, Value, Window,
};

use crate::{Problem, gaussian, values};

const SHAPE: [usize; 3] = [2, 4, 4];
const CLASSES: usize = 3;

/// What stands between a convolution and its ReLU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalization {
    /// Nothing.
    None,
    /// Batch-norm.
    Batch,
}

/// The two residual networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residual {
    /// Convolutions without bias; the first of a block has its stride.
    PreActivation,
    /// Convolutions with bias; the second of a block has its stride.
    Wide,
}

fn window(stride: usize, padding: usize) -> Window {
    Window { stride, padding }
}

/// Two convolutions with maxima over 2 x 2, dropout and two affine maps, as in VGG.
pub fn vgg(normalization: Normalization) -> Network {
    let build = || {
        let mut graph = Graph::new(&SHAPE);
        let mut x = graph.input();
        for (index, (inputs, outputs)) in [(2, 3), (3, 4)].into_iter().enumerate() {
            let part = |part: &str| format!("{part}{index}");
            let convolution = Conv2d::new(inputs, outputs, 3, window(1, 1));
            x = graph.layer(&part("conv"), convolution, x)?;
            if normalization == Normalization::Batch {
                x = graph.layer(&part("bn"), BatchNorm::new(outputs), x)?;
            }
            x = graph.layer(&part("relu"), Relu, x)?;
            x = graph.layer(&part("pool"), MaxPool::new(2, 2), x)?;
        }
        x = graph.layer("flatten", Flatten, x)?;
        x = graph.layer("dropout", Dropout::new(0.5)?, x)?;
        x = graph.layer("fc0", Affine::new(4, 4), x)?;
        x = graph.layer("relu", Relu, x)?;
        x = graph.layer("fc1", Affine::new(4, CLASSES), x)?;
        graph.finish(x)
    };
    build().expect("layers that fit")
}

/// A convolution, a block with the identity and one of stride 2 with a 1 x 1 projection, and the
/// mean of each channel, as in pre-activation and wide ResNets.
pub fn residual(form: Residual) -> Network {
    let build = || {
        let mut graph = Graph::new(&SHAPE);
        let input = graph.input();
        let mut x = graph.layer("conv", convolution(form, 2, 2, 3, 1), input)?;
        x = block(&mut graph, form, "block0", x, (2, 2), 1)?;
        x = block(&mut graph, form, "block1", x, (2, 3), 2)?;
        x = graph.layer("bn", BatchNorm::new(3), x)?;
        x = graph.layer("relu", Relu, x)?;
        x = graph.layer("mean", GlobalAveragePool, x)?;
        x = graph.layer("fc", Affine::new(3, CLASSES), x)?;
        graph.finish(x)
    };
    build().expect("layers that fit")
}

fn convolution(
    form: Residual,
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
) -> Conv2d {
    let layer = Conv2d::new(inputs, outputs, kernel, window(stride, kernel / 2));
    match form {
        Residual::PreActivation => layer.without_bias(),
        Residual::Wide => layer,
    }
}

fn block(
    graph: &mut Graph,
    form: Residual,
    name: &str,
    x: Value,
    (inputs, outputs): (usize, usize),
    stride: usize,
) -> Result<Value, Error> {
    let part = |part: &str| format!("{name}.{part}");
    let (first, second) = match form {
        Residual::PreActivation => (stride, 1),
        Residual::Wide => (1, stride),
    };
    let mut y = x;
    for (index, channels, stride) in [(1, inputs, first), (2, outputs, second)] {
        let layer = convolution(form, channels, outputs, 3, stride);
        y = graph.layer(&part(&format!("bn{index}")), BatchNorm::new(channels), y)?;
        y = graph.layer(&part(&format!("relu{index}")), Relu, y)?;
        y = graph.layer(&part(&format!("conv{index}")), layer, y)?;
    }
    let skip = if inputs == outputs {
        x
    } else {
        let projection = convolution(form, inputs, outputs, 1, stride);
        graph.layer(&part("projection"), projection, x)?
    };
    graph.add(&part("sum"), skip, y)
}

/// Random statistics (Q) for [`Network::freeze`]: means of order 0.3, variances from 0.5 on.
pub fn statistics(network: &Network, seed: u64) -> Tensor {
    let mut statistics = values(&gaussian(network.buffers().dim(), seed));
    let mut rest = statistics.as_mut_slice();
    for buffer in network.buffers().parameters() {
        let (own, behind) = rest.split_at_mut(buffer.len());
        for x in own {
            let is_variance = buffer.name.ends_with("running_var");
            *x = if is_variance { 0.5 + *x * *x } else { 0.3 * *x };
        }
        rest = behind;
    }
    Tensor::new(statistics, &Device::Cpu).expect("a vector")
}

/// A problem of `network` whose parameters are moved off their initial values, so that no scale is
/// one and no shift zero.
pub fn moved(network: Network, loss: Loss<'static>, examples: usize, seed: u64) -> Problem {
    let mut problem = Problem::of(network, loss, examples, seed);
    let shift = values(&gaussian(problem.dim(), seed + 3));
    for (x, shift) in problem.theta.iter_mut().zip(shift) {
        *x += 0.2 * shift;
    }
    problem
}

/// Problems whose examples are independent: without batch-norm, and with frozen statistics.
pub fn independent_images(examples: usize, seed: u64) -> Vec<(String, Problem)> {
    let plain = moved(vgg(Normalization::None), Loss::CrossEntropy, examples, seed);
    let frozen = normalized_networks().map(|(what, network, loss)| {
        let frozen = network.freeze(&statistics(&network, seed + 4));
        let problem = moved(frozen.expect("Q statistics"), loss, examples, seed);
        (format!("frozen {what}"), problem)
    });
    std::iter::once(("VGG".to_owned(), plain))
        .chain(frozen)
        .collect()
}

/// Problems whose examples are coupled by the statistics of their batch.
pub fn coupled_images(examples: usize, seed: u64) -> Vec<(String, Problem)> {
    normalized_networks()
        .map(|(what, network, loss)| {
            let problem = moved(network, loss, examples, seed);
            (format!("batch {what}"), problem)
        })
        .into()
}

fn normalized_networks() -> [(&'static str, Network, Loss<'static>); 3] {
    let smoothed = Loss::LabelSmoothing { smoothing: 0.1 };
    let [basic, wide] = [Residual::PreActivation, Residual::Wide].map(residual);
    [
        ("VGG", vgg(Normalization::Batch), smoothed),
        ("pre-activation", basic, Loss::CrossEntropy),
        ("wide", wide, Loss::SquaredError),
    ]
}
