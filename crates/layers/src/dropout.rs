//! Dropout (Srivastava et al. 2014): y = x ⊙ m / (1 - rate), mᵢ = 0 with probability `rate`.
//!
//! Two layers: [`Dropout`] is the network as it is measured, where nothing is dropped;
//! [`DropoutMask`] is one step of training, where the masks are drawn. Both are linear in x.

use candle_core::{Device, Tensor};
use flatness_kernels::dropout::{self, Masks};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::layer::{linear, only};
use crate::{Cotangent, Error, Layer, Point, Tangent};

/// Dropout switched off: the identity.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    rate: f64,
}

impl Dropout {
    /// Drops this fraction of the elements in training; from 0, and below 1.
    ///
    /// # Errors
    /// [`Error::DropoutRate`].
    pub fn new(rate: f64) -> Result<Self, Error> {
        if (0.0..1.0).contains(&rate) {
            return Ok(Self { rate });
        }
        Err(Error::DropoutRate { got: rate })
    }

    /// Probability with which an element is dropped.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }
}

impl Layer for Dropout {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        Ok(only(inputs)?.to_vec())
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let x = inputs[0];
        Ok((x.clone(), Vec::new()))
    }

    fn jvp(&self, _: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        Ok(tangent.input().cloned())
    }

    fn vjp_input(&self, _: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        Ok(Cotangent::Shared(cotangent.clone()))
    }

    linear!();

    fn dropout(&self) -> Option<&Dropout> {
        Some(self)
    }
}

/// Dropout switched on, with masks that depend on a seed, the layer and the example's number.
#[derive(Debug, Clone, Copy)]
pub struct DropoutMask {
    rate: f64,
    seed: u64,
    layer_idx: usize,
    first_example: usize,
}

impl DropoutMask {
    /// The masks of layer `layer_idx` for examples counted from `first_example`.
    #[must_use]
    pub(crate) fn new(
        dropout: &Dropout,
        seed: u64,
        layer_idx: usize,
        first_example: usize,
    ) -> Self {
        Self {
            rate: dropout.rate,
            seed,
            layer_idx,
            first_example,
        }
    }

    /// Number of the stream of the first example: one for each layer and example, so that sharding a batch changes no mask.
    fn first_stream(&self) -> u64 {
        ((self.layer_idx as u64) << 40) | self.first_example as u64
    }

    fn generator(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed)
    }

    /// The same masks, as a kernel draws them.
    fn masks(&self) -> Masks {
        let words = self.generator().get_seed();
        let words: [[u8; 4]; 8] =
            std::array::from_fn(|word| std::array::from_fn(|byte| words[4 * word + byte]));
        Masks {
            key: words.map(u32::from_le_bytes),
            first_stream: self.first_stream(),
            rate: self.rate,
        }
    }

    /// m / (1 - rate) for `x` (B, ...).
    fn mask(&self, x: &Tensor) -> Result<Tensor, Error> {
        let examples = x.dim(0)?;
        let width = x.elem_count() / examples.max(1);
        let scale = 1.0 / (1.0 - self.rate);
        let mut mask = Vec::with_capacity(x.elem_count());
        for example in 0..examples {
            let mut rng = self.generator();
            rng.set_stream(self.first_stream() + example as u64);
            mask.extend((0..width).map(|_| {
                let kept = rng.random::<f32>() >= self.rate as f32;
                if kept { scale } else { 0.0 }
            }));
        }
        Ok(Tensor::from_vec(mask, x.shape(), &Device::Cpu)?
            .to_dtype(x.dtype())?
            .to_device(x.device())?)
    }
}

impl Layer for DropoutMask {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        Ok(only(inputs)?.to_vec())
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let x = inputs[0];
        if let Some((y, mask)) = dropout::forward(x, &self.masks())? {
            return Ok((y, vec![mask]));
        }
        let mask = self.mask(x)?;
        Ok(((x * &mask)?, vec![mask]))
    }

    fn jvp(&self, at: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let masked = |dx: &Tensor| dx.broadcast_mul(&at.saved[0].unsqueeze(1)?);
        Ok(tangent.input().map(masked).transpose()?)
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let masked = cotangent.broadcast_mul(&at.saved[0].unsqueeze(1)?)?;
        Ok(Cotangent::Fresh(masked))
    }

    linear!();
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use candle_core::DType;
    use flatness_kernels::launch::with_launcher;
    use flatness_testkit::{Recorder, as_cpp, compiled_by_nvrtc, gaussian, values};

    use super::*;

    /// Rates, layers, numbers of the first example, shapes and number types: blocks of 16 words with and without ends, and an
    /// example whose number has more than 32 bits.
    fn cases() -> Vec<(DropoutMask, Tensor)> {
        let rates = [0.0, 0.1, 0.5, 1.0 / 3.0, 0.999_999_999];
        let firsts = [(0, 0), (3, 127), (70_000, (1 << 32) - 2)];
        let shapes: [&[usize]; 4] = [&[3, 16], &[5, 1], &[4, 37], &[2, 3, 5, 7]];
        let mut cases = Vec::new();
        for rate in rates {
            for (layer_idx, first_example) in firsts {
                for (shape, seed) in shapes.iter().zip(0..) {
                    let dropout = Dropout::new(rate).unwrap();
                    let mask = DropoutMask::new(&dropout, seed << 40, layer_idx, first_example);
                    for dtype in [DType::F32, DType::F64] {
                        cases.push((mask, gaussian(*shape, seed).to_dtype(dtype).unwrap()));
                    }
                }
            }
        }
        cases
    }

    /// Outputs and masks to the bit.
    fn bits(cases: &[(DropoutMask, Tensor)]) -> Vec<Vec<u64>> {
        let each = cases.iter().flat_map(|(layer, x)| {
            let (y, mask) = layer.forward(&[], &[x]).unwrap();
            assert_eq!(mask[0].shape(), x.shape());
            [y, mask[0].clone()]
        });
        let bits = |tensor: &Tensor| values(tensor).iter().map(|x| x.to_bits()).collect();
        each.map(|tensor| bits(&tensor)).collect()
    }

    #[test]
    fn a_kernel_draws_the_masks_of_the_host_as_cpp() {
        let cases = cases();
        if let Some(got) = as_cpp(|| bits(&cases)) {
            assert_eq!(got, bits(&cases));
        }
    }

    #[test]
    fn masks_are_one_launch_that_is_compiled_for_two_generations_of_cards() {
        let (recorder, cases) = (Rc::new(Recorder::default()), cases());
        with_launcher(recorder.clone(), || bits(&cases));
        assert_eq!(recorder.take().launches.len(), cases.len());
        // One for each number type, whatever the seed, the layer and the rate.
        let sources = recorder.sources();
        assert_eq!(sources.len(), 2);
        compiled_by_nvrtc(&sources);
    }
}
