//! Random crops and flips of the training images, anew in every epoch.
//!
//! ```text
//! x'[r, k] = x[r + i − p, k + j − p],  or 0 outside;   i, j uniform on 0 … 2p
//! x''[r, k] = x'[r, W − 1 − k] with probability 1/2, else x'[r, k]
//! ```
//!
//! x is an image of bytes (C, H, W) and p the padding. This is `RandomCrop(size, padding=p)` and then
//! `RandomHorizontalFlip` of torchvision, both before the normalisation, as in the software of Granziol
//! (2020, arXiv 2006.09091), which takes p = 4 on CIFAR: what is padded is black, not the mean.
//!
//! Seed, epoch and number of the example determine its crop and flip: they are the first three words of
//! block `example` of ChaCha8 seeded with `seed` on stream `epoch`. Neither batches nor threads matter.

use candle_core::{DType, Device};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::batches::Batch;
use crate::dataset::Dataset;
use crate::error::Result;
use crate::examples::Examples;

/// Words of one block of ChaCha.
const BLOCK_WORDS: u128 = 16;

/// Whether images are mirrored left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flip {
    /// None is.
    Never,
    /// Each is with probability 1/2.
    Half,
}

/// How images are varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Augmentation {
    /// Seed of all crops and flips.
    pub seed: u64,
    /// Whether images are mirrored.
    pub flip: Flip,
    /// Black pixels p added on every side before the crop to the former size; 0 for no crop.
    pub pad: usize,
}

/// What happens to one image: first row and column of the crop in the padded image, in 0 … 2p, and 1 where it is mirrored.
pub(crate) type Variation = [u32; 3];

/// The images of a data set as one epoch sees them.
#[derive(Debug, Clone)]
pub struct Augmented {
    dataset: Dataset,
    augmentation: Augmentation,
    epoch: u64,
}

impl Augmented {
    /// `dataset` with the crops and flips of `epoch`.
    ///
    /// # Errors
    /// When the padding is not below the height and the width of the images.
    pub fn new(dataset: &Dataset, augmentation: Augmentation, epoch: u64) -> Result<Self> {
        let [_, height, width] = dataset.example_shape();
        if augmentation.pad >= height.min(width) {
            let expected = format!("below {} pixels", height.min(width));
            return Err(dataset.field("padding of a crop", expected, augmentation.pad));
        }
        Ok(Self {
            dataset: dataset.clone(),
            augmentation,
            epoch,
        })
    }

    fn variation(&self, index: u32) -> Variation {
        let Augmentation { seed, flip, pad } = self.augmentation;
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(self.epoch);
        generator.set_word_pos(BLOCK_WORDS * u128::from(index));
        // ⌊u (2p + 1) / 2³²⌋; the bias is below 2⁻²⁰ for images of up to 2¹¹ pixels a side.
        let mut shift = || {
            let scaled = u128::from(generator.next_u32()) * (2 * pad as u128 + 1);
            (scaled >> 32) as u32
        };
        let (row, column) = (shift(), shift());
        let mirrored = generator.next_u32() >> 31 == 1;
        [row, column, u32::from(flip == Flip::Half && mirrored)]
    }
}

impl Examples for Augmented {
    fn name(&self) -> &str {
        self.dataset.name()
    }

    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn example_shape(&self) -> Vec<usize> {
        self.dataset.example_shape().to_vec()
    }

    fn classes(&self) -> usize {
        self.dataset.classes()
    }

    fn loss_factor(&self, class_weights: Option<&[f64]>) -> Result<f64> {
        self.dataset.loss_factor(class_weights)
    }

    fn gather(&self, indices: &[u32], dtype: DType, device: &Device) -> Result<Batch> {
        let variation = |index| self.variation(index);
        let pad = self.augmentation.pad;
        (self.dataset).normalised(indices, (pad, variation), dtype, device)
    }
}
