//! VGG for images of 32 x 32 pixels (Simonyan and Zisserman 2015, configurations A and D), with or
//! without batch norm.
//!
//! The head is that of the authors' software: two hidden affine maps as wide as the last
//! convolution, with dropout 0.5 before each. Weights of convolutions are drawn as in He et al. 2015
//! (fan-out), their biases are zero.

use flatness_layers::{Affine, BatchNorm, Conv2d, Dropout, Flatten, Layer, MaxPool, Network, Relu};

use crate::Error;
use crate::cnn::SAME;
use crate::zoo::{Width, named, sequential};

/// What is wrong with a name that has no VGG.
const EXPECTED: &str = "the form is vgg-11 or vgg-16, then -bn for batch norm, then @<width> for \
                        a factor of all numbers of channels, from 0.015625 to 16";

/// Channels of the convolutions between the poolings.
const STAGES_11: [&[usize]; 5] = [&[64], &[128], &[256, 256], &[512, 512], &[512, 512]];
const STAGES_16: [&[usize]; 5] = [
    &[64, 64],
    &[128, 128],
    &[256, 256, 256],
    &[512, 512, 512],
    &[512, 512, 512],
];

/// VGG-11 or VGG-16.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Vgg {
    stages: [&'static [usize]; 5],
    normalization: Normalization,
    width: Width,
}

/// What stands between a convolution and its ReLU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Normalization {
    None,
    Batch,
}

impl Vgg {
    /// `<11 or 16>[-bn][@<width>]`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (text, width) = Width::split(text).ok_or(EXPECTED)?;
        let (depth, normalization) = match text.strip_suffix("-bn") {
            Some(depth) => (depth, Normalization::Batch),
            None => (text, Normalization::None),
        };
        let stages = match depth {
            "11" => STAGES_11,
            "16" => STAGES_16,
            _ => return Err(EXPECTED),
        };
        Ok(Self {
            stages,
            normalization,
            width,
        })
    }

    pub(crate) fn summary(self) -> String {
        let convolutions: usize = self.stages.iter().map(|stage| stage.len()).sum();
        let normalization = match self.normalization {
            Normalization::None => "no batch norm",
            Normalization::Batch => "batch norm",
        };
        let channels = self.width.channels(64);
        format!("{convolutions} convolutions from {channels} channels on, {normalization}, dropout")
    }

    pub(crate) fn network(self, input_shape: &[usize], classes: usize) -> Result<Network, Error> {
        let mut features: Vec<Box<dyn Layer>> = Vec::new();
        let mut inputs = 3;
        for stage in self.stages {
            for &channels in stage {
                let outputs = self.width.channels(channels);
                let convolution = Conv2d::new(inputs, outputs, 3, SAME);
                features.push(Box::new(convolution.he_normal().constant_bias(0.0)));
                if self.normalization == Normalization::Batch {
                    features.push(Box::new(BatchNorm::new(outputs)));
                }
                features.push(Box::new(Relu));
                inputs = outputs;
            }
            features.push(Box::new(MaxPool::new(2, 2)));
        }
        let classifier: [Box<dyn Layer>; 7] = [
            Box::new(Dropout::new(0.5)?),
            Box::new(Affine::new(inputs, inputs)),
            Box::new(Relu),
            Box::new(Dropout::new(0.5)?),
            Box::new(Affine::new(inputs, inputs)),
            Box::new(Relu),
            Box::new(Affine::new(inputs, classes)),
        ];
        let layers = sequential("features", features)
            .chain([named("flatten", Flatten)])
            .chain(sequential("classifier", classifier));
        Ok(Network::chain(input_shape, layers.collect())?)
    }
}
