//! From a byte to the number a network sees: `x = (byte / 255 − mean_c) / deviation_c` in channel c.
//!
//! The constants are part of what a trained network means, so the caller chooses them; the data set does
//! not. [`Normalization::mnist`], [`Normalization::cifar`] and [`Normalization::imagenet`] are those of the
//! software of Granziol (2020, arXiv 2006.09091), the defaults of this project.

use crate::error::{Error, Result};

/// Per-channel affine map of pixels, `(byte / 255 − mean) / deviation`: the constants are those of the
/// scale on which a byte runs from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Normalization {
    /// Subtract `mean` (C) and divide by `deviation` (C), both on the 0 to 1 scale.
    ///
    /// # Errors
    /// When the lengths differ or are zero, a number is not finite, or a deviation is not positive.
    pub fn new(mean: Vec<f64>, deviation: Vec<f64>) -> Result<Self> {
        let refused = |field, expected: String, got: &[f64]| {
            let got = format!("{got:?}");
            Err(Error::field("normalization", field, expected, got))
        };
        if mean.is_empty() || mean.iter().any(|value| !value.is_finite()) {
            return refused("mean", "one finite number per channel".to_owned(), &mean);
        }
        let positive = |value: &f64| value.is_finite() && *value > 0.0;
        if deviation.len() != mean.len() || !deviation.iter().all(positive) {
            let expected = format!("{} finite positive numbers", mean.len());
            return refused("deviation", expected, &deviation);
        }
        Ok(Self { mean, deviation })
    }

    /// Mean 0.5 and deviation 0.5 of one channel: pixels run from −1 to 1. PyTorch's own MNIST example takes
    /// the statistics of the pixels instead, 0.1307 and 0.3081.
    pub fn mnist() -> Self {
        Self {
            mean: vec![0.5],
            deviation: vec![0.5],
        }
    }

    /// Mean (0.4914, 0.4822, 0.4465) and deviation (0.2023, 0.1994, 0.2010) of red, green and blue: those
    /// of pre-activation and wide residual networks on CIFAR.
    pub fn cifar() -> Self {
        Self {
            mean: vec![0.4914, 0.4822, 0.4465],
            deviation: vec![0.2023, 0.1994, 0.2010],
        }
    }

    /// Mean (0.485, 0.456, 0.406) and deviation (0.229, 0.224, 0.225) of red, green and blue: the
    /// constants of ImageNet, those of VGG and all-convolutional networks on CIFAR.
    pub fn imagenet() -> Self {
        Self {
            mean: vec![0.485, 0.456, 0.406],
            deviation: vec![0.229, 0.224, 0.225],
        }
    }

    /// Mean per channel, on the 0 to 1 scale.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Standard deviation per channel, on the 0 to 1 scale.
    pub fn deviation(&self) -> &[f64] {
        &self.deviation
    }

    /// Per channel, (scale, offset) such that the normalised value is `byte · scale + offset`.
    pub(crate) fn affine(&self) -> impl Iterator<Item = (f64, f64)> + Clone + '_ {
        let channels = self.mean.iter().zip(&self.deviation);
        channels.map(|(mean, deviation)| (1.0 / (255.0 * deviation), -mean / deviation))
    }
}
