//! Initial values of parameters, drawn in the order of the layout from one stream.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Distribution of the initial values of one parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initializer {
    /// Uniform on [-bound, bound).
    Uniform {
        /// Half the width of the interval.
        bound: f64,
    },
}

impl Initializer {
    pub(crate) fn sample(self, count: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
        match self {
            Self::Uniform { bound } => (0..count)
                .map(|_| bound * (2.0 * rng.random::<f64>() - 1.0))
                .collect(),
        }
    }
}
