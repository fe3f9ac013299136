//! Random vectors: draw i is a function of the seed and i alone (a ChaCha8 stream per draw), made in
//! double precision and rounded to the number type of θ.

use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::Error;

/// Distribution of the independent elements.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Draw {
    /// Standard normal.
    Gaussian,
    /// Uniform on −1 to 1.
    Uniform,
    /// −1 or 1 with equal chance.
    Rademacher,
}

impl Draw {
    /// Draw number `index` of `length` elements, in the number type and on the device of `like`.
    pub(crate) fn vector(
        self,
        length: usize,
        like: &Tensor,
        seed: u64,
        index: usize,
    ) -> Result<Tensor, Error> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index as u64);
        let elements: Vec<f64> = (0..length)
            .map(|_| match self {
                Self::Gaussian => rng.sample(StandardNormal),
                Self::Uniform => rng.random_range(-1.0..=1.0),
                Self::Rademacher if rng.random() => 1.0,
                Self::Rademacher => -1.0,
            })
            .collect();
        Ok(Tensor::from_vec(elements, length, &Device::Cpu)?
            .to_dtype(like.dtype())?
            .to_device(like.device())?)
    }
}
