//! What the residual networks for CIFAR have in common: a convolution of 16 channels, three stages of
//! pre-activation blocks, y = s(x) + f(x) with f = batch norm, ReLU and convolution in turn, batch norm,
//! ReLU, the mean of each channel and an affine map.

use flatness_layers::{
    Affine, BatchNorm, Conv2d, GlobalAveragePool, Graph, Network, Relu, Value, Window,
};

use crate::Error;
use crate::cnn::SAME;

/// (planes, stride) of the stages.
const STAGES: [(usize, usize); 3] = [(16, 1), (32, 2), (64, 2)];

/// A residual network but for the kind of data.
pub(crate) struct Residual<'a> {
    pub(crate) blocks_per_stage: u16,
    /// Convolutions (outputs, kernel, window) of a block of so many planes and this stride.
    pub(crate) convolutions: &'a dyn Fn(usize, usize) -> Vec<(usize, usize, Window)>,
    /// A convolution of (inputs, outputs, kernel, window).
    pub(crate) convolution: fn(usize, usize, usize, Window) -> Conv2d,
    /// Names of s where the shape changes, of the last batch norm and of the affine map.
    pub(crate) projection: &'static str,
    pub(crate) normalization: &'static str,
    pub(crate) head: &'static str,
}

impl Residual<'_> {
    pub(crate) fn network(&self, input_shape: &[usize], classes: usize) -> Result<Network, Error> {
        let mut graph = Graph::new(input_shape);
        let mut channels = 16;
        let mut x = graph.layer("conv1", (self.convolution)(3, 16, 3, SAME), graph.input())?;
        for (stage, (planes, stride)) in STAGES.into_iter().enumerate() {
            for block in 0..self.blocks_per_stage {
                let stride = if block == 0 { stride } else { 1 };
                let name = format!("layer{}.{block}", stage + 1);
                (x, channels) = self.put(&mut graph, &name, (x, channels), planes, stride)?;
            }
        }
        let x = graph.layer(self.normalization, BatchNorm::new(channels), x)?;
        let x = graph.layer("relu", Relu, x)?;
        let x = graph.layer("mean", GlobalAveragePool, x)?;
        let logits = graph.layer(self.head, Affine::new(channels, classes), x)?;
        Ok(graph.finish(logits)?)
    }

    /// Puts one block behind `x` with its channels; the sum and its channels.
    fn put(
        &self,
        graph: &mut Graph,
        name: &str,
        (x, channels): (Value, usize),
        planes: usize,
        stride: usize,
    ) -> Result<(Value, usize), Error> {
        let (mut y, mut inputs) = (x, channels);
        for (index, (outputs, kernel, window)) in (1..).zip((self.convolutions)(planes, stride)) {
            y = graph.layer(&format!("{name}.bn{index}"), BatchNorm::new(inputs), y)?;
            y = graph.layer(&format!("{name}.relu{index}"), Relu, y)?;
            let layer = (self.convolution)(inputs, outputs, kernel, window);
            y = graph.layer(&format!("{name}.conv{index}"), layer, y)?;
            inputs = outputs;
        }
        let skip = if stride == 1 && inputs == channels {
            x
        } else {
            let projection = (self.convolution)(channels, inputs, 1, pointwise(stride));
            graph.layer(&format!("{name}.{}", self.projection), projection, x)?
        };
        Ok((graph.add(&format!("{name}.sum"), skip, y)?, inputs))
    }
}

/// The window of a 1 x 1 convolution.
pub(crate) fn pointwise(stride: usize) -> Window {
    Window { stride, padding: 0 }
}
