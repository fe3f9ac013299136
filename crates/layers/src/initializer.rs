//! Initial values of parameters, drawn in the order of the layout from one stream.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Distribution of the initial values of one parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initializer {
    /// Uniform on [-bound, bound).
    Uniform {
        /// Half the width of the interval.
        bound: f64,
    },
    /// Gaussian with mean zero.
    Normal {
        /// Its standard deviation.
        standard_deviation: f64,
    },
    /// One value throughout.
    Constant {
        /// The value.
        value: f64,
    },
}

impl Initializer {
    pub(crate) fn sample(self, count: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
        match self {
            Self::Uniform { bound } => (0..count)
                .map(|_| bound * (2.0 * rng.random::<f64>() - 1.0))
                .collect(),
            Self::Normal { standard_deviation } => (0..count)
                .map(|_| standard_deviation * rng.sample::<f64, _>(StandardNormal))
                .collect(),
            Self::Constant { value } => vec![value; count],
        }
    }
}
