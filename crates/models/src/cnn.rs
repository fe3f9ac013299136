//! Plain convolutional networks: a small one for MNIST and All-CNN-C for CIFAR.
//!
//! All-CNN-C is of Springenberg et al. 2015, "Striving for simplicity", table 1 (model C). As in the
//! authors' software its first convolution at 8 x 8 pixels has no padding, and its weights are drawn
//! as in Glorot and Bengio 2010, with biases of 0.1.

use flatness_layers::{
    Activation, Affine, Conv2d, Dropout, Flatten, GlobalAveragePool, Layer, MaxPool, Network,
    Window,
};

use crate::Error;
use crate::zoo::{Width, activated, named, sequential, word};

/// Every pixel stays in its place under a kernel of 3 x 3.
pub(crate) const SAME: Window = Window {
    stride: 1,
    padding: 1,
};

/// Two convolutions of 3 x 3, each with a maximum over 2 x 2, and two affine maps, for MNIST.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cnn(pub(crate) Activation);

impl Cnn {
    pub(crate) fn summary(self) -> String {
        format!("convolutions 16-32, affine 128, {}", word(self.0))
    }

    pub(crate) fn network(self, input_shape: &[usize], classes: usize) -> Result<Network, Error> {
        let layers = vec![
            named("conv1", Conv2d::new(1, 16, 3, SAME)),
            activated(self.0, 1),
            named("pool1", MaxPool::new(2, 2)),
            named("conv2", Conv2d::new(16, 32, 3, SAME)),
            activated(self.0, 2),
            named("pool2", MaxPool::new(2, 2)),
            named("flatten", Flatten),
            named("fc1", Affine::new(32 * 7 * 7, 128)),
            activated(self.0, 3),
            named("fc2", Affine::new(128, classes)),
        ];
        Ok(Network::chain(input_shape, layers)?)
    }
}

/// All-CNN-C: convolutions alone, with dropout and no batch norm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AllCnn {
    activation: Activation,
    width: Width,
}

impl AllCnn {
    /// `all-cnn-c[@<width>]`.
    pub(crate) fn parse(name: &str, activation: Activation) -> Result<Self, &'static str> {
        let expected = "the form is all-cnn-c, then @<width> for a factor of all numbers of channels, from 0.015625 to 16";
        let (_, width) = Width::split(name).ok_or(expected)?;
        Ok(Self { activation, width })
    }

    pub(crate) fn summary(self) -> String {
        let (activation, channels) = (word(self.activation), self.width.channels(96));
        format!(
            "All-CNN-C: nine convolutions from {channels} channels on, {activation}, dropout, no batch norm"
        )
    }

    pub(crate) fn network(self, input_shape: &[usize], classes: usize) -> Result<Network, Error> {
        let halved = Window { stride: 2, ..SAME };
        let unpadded = Window { padding: 0, ..SAME };
        let [narrow, wide] = [96, 192].map(|channels| self.width.channels(channels));
        // (outputs, kernel, window)
        let stages = [
            (
                0.2,
                [(narrow, 3, SAME), (narrow, 3, SAME), (narrow, 3, halved)],
            ),
            (0.5, [(wide, 3, SAME), (wide, 3, SAME), (wide, 3, halved)]),
            (
                0.5,
                [
                    (wide, 3, unpadded),
                    (wide, 1, unpadded),
                    (classes, 1, unpadded),
                ],
            ),
        ];
        let mut features: Vec<Box<dyn Layer>> = Vec::new();
        let mut inputs = 3;
        for (rate, convolutions) in stages {
            features.push(Box::new(Dropout::new(rate)?));
            for (outputs, kernel, window) in convolutions {
                let convolution = Conv2d::new(inputs, outputs, kernel, window);
                features.push(Box::new(convolution.xavier_normal().constant_bias(0.1)));
                features.push(Box::new(self.activation));
                inputs = outputs;
            }
        }
        let layers = sequential("features", features).chain([named("mean", GlobalAveragePool)]);
        Ok(Network::chain(input_shape, layers.collect())?)
    }
}
