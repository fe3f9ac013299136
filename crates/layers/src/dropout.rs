//! Dropout (Srivastava et al. 2014): y = x ⊙ m / (1 - rate), mᵢ = 0 with probability `rate`.
//!
//! Two layers: [`Dropout`] is the network as it is measured, where nothing is dropped;
//! [`DropoutMask`] is one step of training, where the masks are drawn. Both are linear in x.

use candle_core::Tensor;
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

    /// m / (1 - rate) for `x` (B, ...).
    fn mask(&self, x: &Tensor) -> Result<Tensor, Error> {
        let examples = x.dim(0)?;
        let width = x.elem_count() / examples.max(1);
        let scale = 1.0 / (1.0 - self.rate);
        let mut mask = Vec::with_capacity(x.elem_count());
        for example in 0..examples {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            // One stream per layer and example: sharding a batch changes no mask.
            let number = (self.first_example + example) as u64;
            rng.set_stream(((self.layer_idx as u64) << 40) | number);
            mask.extend((0..width).map(|_| {
                let kept = rng.random::<f32>() >= self.rate as f32;
                if kept { scale } else { 0.0 }
            }));
        }
        Ok(
            Tensor::from_vec(mask, x.shape(), &candle_core::Device::Cpu)?
                .to_dtype(x.dtype())?
                .to_device(x.device())?,
        )
    }
}

impl Layer for DropoutMask {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        Ok(only(inputs)?.to_vec())
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        let x = inputs[0];
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
