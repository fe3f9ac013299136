//! Random probe vectors with E[z zᵀ] = I; rows (count, dim), in the operator's element type and on
//! its device.
//!
//! Probe i is a function of the seed and i alone (a ChaCha8 stream per probe), so that neither the
//! size of a block nor the number of probes changes it. Entries are drawn in double precision: a
//! float32 probe is the rounded float64 one.

use std::ops::Range;

use candle_core::{DType, Tensor};
use flatness_operator::LinearOperator;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::Error;

/// The distribution of a probe's independent entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Probe {
    /// Standard normal entries; the direction is uniform on the sphere.
    Gaussian,
    /// Entries +1 or −1 with equal chance: of all distributions with independent entries the one
    /// with the least variance of zᵀ A z, and none at all when A is diagonal.
    Rademacher,
}

impl Probe {
    /// Probes number `probes.start`, …, `probes.end − 1` for `operator`, as the rows of a
    /// (probes.len(), dim) tensor.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedDType`] unless the operator works in F32 or F64; a failed tensor
    /// operation.
    pub fn rows(
        self,
        operator: &dyn LinearOperator,
        probes: Range<usize>,
        seed: u64,
    ) -> Result<Tensor, Error> {
        let dim = operator.dim();
        let shape = (probes.len(), dim);
        let tensor = match operator.dtype() {
            DType::F32 => {
                let entries = self.entries(probes, dim, seed, |entry| entry as f32);
                Tensor::from_vec(entries, shape, operator.device())
            }
            DType::F64 => {
                let entries = self.entries(probes, dim, seed, |entry| entry);
                Tensor::from_vec(entries, shape, operator.device())
            }
            got => return Err(Error::UnsupportedDType { got }),
        };
        Ok(tensor?)
    }

    /// The entries row by row, each converted as soon as it is drawn so that no second buffer is
    /// needed.
    fn entries<Element>(
        self,
        probes: Range<usize>,
        dim: usize,
        seed: u64,
        convert: impl Fn(f64) -> Element,
    ) -> Vec<Element> {
        let mut entries = Vec::with_capacity(probes.len() * dim);
        for probe in probes {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(probe as u64);
            match self {
                Self::Gaussian => {
                    entries.extend((0..dim).map(|_| convert(rng.sample(StandardNormal))));
                }
                Self::Rademacher => {
                    for start in (0..dim).step_by(64) {
                        let signs: u64 = rng.random();
                        let bits = 64.min(dim - start);
                        entries.extend(
                            (0..bits).map(|bit| convert(1.0 - 2.0 * (signs >> bit & 1) as f64)),
                        );
                    }
                }
            }
        }
        entries
    }
}
