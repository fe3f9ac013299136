//! Wide ResNet for CIFAR (Zagoruyko and Komodakis 2016): pre-activation blocks of two 3 x 3
//! convolutions, k times as many channels, y = s(x) + f(x).
//!
//! As in the authors' software all convolutions have a bias and PyTorch's initial values, there is
//! no dropout, the second convolution of a block has its stride, and s is a 1 x 1 convolution of x
//! itself where the shape changes.

use flatness_layers::{Conv2d, Network, Window};

use crate::Error;
use crate::cnn::SAME;
use crate::residual::Residual;
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
        let residual = Residual {
            blocks_per_stage: self.blocks_per_stage,
            convolutions: &|planes, stride| {
                let outputs = planes * usize::from(self.widen);
                let strided = Window { stride, ..SAME };
                vec![(outputs, 3, SAME), (outputs, 3, strided)]
            },
            convolution: Conv2d::new,
            projection: "shortcut.0",
            normalization: "bn1",
            head: "linear",
        };
        residual.network(input_shape, classes)
    }
}
