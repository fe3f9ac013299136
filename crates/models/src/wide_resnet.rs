//! Wide ResNet for CIFAR (Zagoruyko and Komodakis 2016): pre-activation blocks of two 3 x 3
//! convolutions, k times as many channels, y = s(x) + f(x).
//!
//! As in the authors' software all convolutions have a bias and PyTorch's initial values, there is
//! no dropout, the second convolution of a block has its stride, and s is a 1 x 1 convolution of x
//! itself where the shape changes.

use flatness_layers::{
    Affine, BatchNorm, Conv2d, GlobalAveragePool, Graph, Network, Relu, Value, Window,
};

use crate::Error;
use crate::cnn::SAME;
use crate::preresnet::{STAGES, pointwise};
use crate::zoo::digits;

/// What is wrong with a depth or a factor that there is not.
const EXPECTED: &str = "the form is wrn-<depth>-<widen>, with a depth of 6n + 4 (10, 16, 22, 28, \
                        ...) and a factor of the channels from 1 to 255";

/// WRN-(6n + 4)-k.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WideResNet {
    blocks_per_stage: u16,
    widen: u8,
}

impl WideResNet {
    /// `<depth>-<widen>`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (depth, widen) = text.split_once('-').ok_or(EXPECTED)?;
        let depth: u16 = digits(depth).ok_or(EXPECTED)?;
        let widen: u8 = digits(widen).ok_or(EXPECTED)?;
        match depth.checked_sub(4) {
            Some(blocks) if blocks > 0 && blocks % 6 == 0 && widen > 0 => Ok(Self {
                blocks_per_stage: blocks / 6,
                widen,
            }),
            _ => Err(EXPECTED),
        }
    }

    pub(crate) fn summary(self) -> String {
        let blocks = 3 * self.blocks_per_stage;
        format!("wide ResNet of {blocks} blocks, {} x as wide", self.widen)
    }

    pub(crate) fn network(self, input_shape: &[usize], classes: usize) -> Result<Network, Error> {
        let mut graph = Graph::new(input_shape);
        let mut channels = 16;
        let mut x = graph.layer("conv1", Conv2d::new(3, 16, 3, SAME), graph.input())?;
        for (stage, (planes, stride)) in STAGES.into_iter().enumerate() {
            let outputs = planes * usize::from(self.widen);
            for block in 0..self.blocks_per_stage {
                let stride = if block == 0 { stride } else { 1 };
                let name = format!("layer{}.{block}", stage + 1);
                x = put_block(&mut graph, &name, x, channels, outputs, stride)?;
                channels = outputs;
            }
        }
        let x = graph.layer("bn1", BatchNorm::new(channels), x)?;
        let x = graph.layer("relu", Relu, x)?;
        let x = graph.layer("mean", GlobalAveragePool, x)?;
        let logits = graph.layer("linear", Affine::new(channels, classes), x)?;
        Ok(graph.finish(logits)?)
    }
}

/// Puts one block behind `x`.
fn put_block(
    graph: &mut Graph,
    name: &str,
    x: Value,
    inputs: usize,
    outputs: usize,
    stride: usize,
) -> Result<Value, Error> {
    let part = |part: &str| format!("{name}.{part}");
    let strided = Window { stride, ..SAME };
    let y = graph.layer(&part("bn1"), BatchNorm::new(inputs), x)?;
    let y = graph.layer(&part("relu1"), Relu, y)?;
    let y = graph.layer(&part("conv1"), Conv2d::new(inputs, outputs, 3, SAME), y)?;
    let y = graph.layer(&part("bn2"), BatchNorm::new(outputs), y)?;
    let y = graph.layer(&part("relu2"), Relu, y)?;
    let y = graph.layer(&part("conv2"), Conv2d::new(outputs, outputs, 3, strided), y)?;
    let skip = if stride == 1 && inputs == outputs {
        x
    } else {
        let projection = Conv2d::new(inputs, outputs, 1, pointwise(stride));
        graph.layer(&part("shortcut.0"), projection, x)?
    };
    Ok(graph.add(&part("sum"), skip, y)?)
}
