//! Pre-activation ResNet for CIFAR (He et al. 2016b, "Identity mappings in deep residual networks"):
//! three stages of 16, 32 and 64 planes, y = s(x) + f(x) in every block.
//!
//! As in the authors' software, blocks are basic (two convolutions) below depth 44 and bottlenecks
//! (three, of which the last has four times the planes) from there on, and s is a 1 x 1 convolution
//! of x itself where the shape changes. Weights of convolutions are drawn as in He et al. 2015
//! (fan-out).

use flatness_layers::{Conv2d, Network, Window};

use crate::Error;
use crate::cnn::SAME;
use crate::residual::{Residual, pointwise};
use crate::zoo::digits;

/// What is wrong with a depth that there is not.
const EXPECTED: &str = "the form is preresnet-<depth>, with a depth of 6n + 2 below 44 (8, 14, 20, \
                        26, 32, 38) or 9n + 2 from 44 on (47, 56, 65, ...)";

/// A pre-activation ResNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PreResNet {
    block: Block,
    blocks_per_stage: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    /// 3 x 3, 3 x 3.
    Basic,
    /// 1 x 1, 3 x 3, 1 x 1.
    Bottleneck,
}

impl PreResNet {
    /// `<depth>`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let depth: u16 = digits(text).ok_or(EXPECTED)?;
        let (block, layers) = match depth {
            ..44 => (Block::Basic, 6),
            44.. => (Block::Bottleneck, 9),
        };
        match depth.checked_sub(2) {
            Some(blocks) if blocks > 0 && blocks % layers == 0 => Ok(Self {
                block,
                blocks_per_stage: blocks / layers,
            }),
            _ => Err(EXPECTED),
        }
    }

    pub(crate) fn summary(self) -> String {
        let block = match self.block {
            Block::Basic => "basic",
            Block::Bottleneck => "bottleneck",
        };
        let blocks = 3 * self.blocks_per_stage;
        format!("pre-activation ResNet of {blocks} {block} blocks")
    }

    pub(crate) fn network(self, input_shape: &[usize], classes: usize) -> Result<Network, Error> {
        let residual = Residual {
            blocks_per_stage: self.blocks_per_stage,
            convolutions: &|planes, stride| self.block.convolutions(planes, stride),
            convolution: |inputs, outputs, kernel, window| {
                let convolution = Conv2d::new(inputs, outputs, kernel, window);
                convolution.he_normal().without_bias()
            },
            projection: "downsample.0",
            normalization: "bn",
            head: "fc",
        };
        residual.network(input_shape, classes)
    }
}

impl Block {
    /// Convolutions (outputs, kernel, window) of a block of `planes`.
    fn convolutions(self, planes: usize, stride: usize) -> Vec<(usize, usize, Window)> {
        let strided = Window { stride, ..SAME };
        match self {
            Self::Basic => vec![(planes, 3, strided), (planes, 3, SAME)],
            Self::Bottleneck => vec![
                (planes, 1, pointwise(1)),
                (planes, 3, strided),
                (4 * planes, 1, pointwise(1)),
            ],
        }
    }
}
