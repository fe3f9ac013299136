//! Bytes to normalised floats, a batch at a time: `x = byte · scale_c + offset_c` with
//! `scale = 1 / (255 deviation)` and `offset = −mean / deviation`, in the arithmetic of the batch's dtype
//! (float16 and bfloat16: computed in float32, then rounded).
//!
//! One pass over the bytes writes the floats. The images of a CUDA device are sent there once, and batches made of them where
//! they are; for other devices a batch is made on the CPU and moved.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use flatness_kernels::images;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::augmentation::Variation;
use crate::dataset::Dataset;
use crate::error::Result;
use crate::examples::{Examples, check_indices};

/// Normalised examples, ready for a network.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Inputs (B, ...), of images (B, C, H, W), normalised, in the dtype and on the device asked for.
    pub inputs: Tensor,
    /// Classes (B), or (B, positions), u32; or values (B, ...) in that dtype; on the same device.
    pub labels: Tensor,
}

impl Dataset {
    /// The examples of `range`, normalised, as `dtype` (a float) on `device`.
    ///
    /// # Errors
    /// When the range is empty or reaches beyond the data, or the dtype is not a float.
    pub fn batch(&self, range: Range<usize>, dtype: DType, device: &Device) -> Result<Batch> {
        Examples::batch(self, range, dtype, device)
    }

    /// The examples at `indices`, in that order and with repetitions kept, normalised, as `dtype` (a
    /// float) on `device`.
    ///
    /// # Errors
    /// When there are no indices, one is not below N, or the dtype is not a float.
    pub fn gather(&self, indices: &[u32], dtype: DType, device: &Device) -> Result<Batch> {
        self.normalised(indices, (0, |_| Variation::default()), dtype, device)
    }

    /// [`Dataset::gather`] of the images cut and mirrored as `variation` says of an index, with `pad` black pixels around them.
    pub(crate) fn normalised(
        &self,
        indices: &[u32],
        (pad, variation): (usize, impl Fn(u32) -> Variation),
        dtype: DType,
        device: &Device,
    ) -> Result<Batch> {
        check_indices(self.name(), self.len(), indices)?;
        let arithmetic = match dtype {
            DType::F64 => DType::F64,
            DType::F32 | DType::F16 | DType::BF16 => DType::F32,
            _ => {
                let expected = "f32, f64, f16 or bf16".to_owned();
                return Err(self.field("dtype of a batch", expected, dtype.as_str()));
            }
        };
        let variations: Vec<Variation> = indices.iter().map(|&index| variation(index)).collect();
        let mut numbers = indices.to_vec();
        for number in 0..images::PLACE - 1 {
            numbers.extend(variations.iter().map(|variation| variation[number]));
        }
        self.with_labels(|labels| {
            let own = indices.iter().map(|&index| labels[index as usize]);
            numbers.extend(own.map(u32::from));
        })?;
        // Places and labels go to the device at once.
        let [pixels, affine] = self.near(device)?;
        let shape = (images::PLACE + 1, indices.len());
        let numbers = Tensor::from_vec(numbers, shape, pixels.device())?;
        let places = numbers.narrow(0, 0, images::PLACE)?;
        let inputs = images::gather(&pixels, &places, pad, &affine, arithmetic)?;
        Ok(Batch {
            inputs: inputs.to_dtype(dtype)?.to_device(device)?,
            labels: numbers.get(images::PLACE)?.to_device(device)?,
        })
    }
}

/// Order in which an epoch visits the examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As stored.
    Sequential,
    /// A permutation that `seed` and `epoch` determine; every epoch of a seed has its own.
    ///
    /// Fisher-Yates (Durstenfeld 1964): for i = N−1 … 1, swap i with j = ⌊u (i+1) / 2⁶⁴⌋, u the next 64 bits
    /// of ChaCha8 seeded with `seed` on stream `epoch`. The bias of j is below 2⁻³², and spelling the rule
    /// out keeps the order the same when a random-number library changes.
    Shuffled {
        /// Seed of the generator.
        seed: u64,
        /// Number of the epoch, the stream of the generator.
        epoch: u64,
    },
}

impl Order {
    /// The numbers 0 … n−1 in this order.
    pub fn indices(self, n: u32) -> Vec<u32> {
        let mut indices: Vec<u32> = (0..n).collect();
        if let Self::Shuffled { seed, epoch } = self {
            let mut generator = ChaCha8Rng::seed_from_u64(seed);
            generator.set_stream(epoch);
            for last in (1..indices.len()).rev() {
                let scaled = u128::from(generator.next_u64()) * (last as u128 + 1);
                indices.swap(last, (scaled >> 64) as usize);
            }
        }
        indices
    }
}
