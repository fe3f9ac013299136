//! Whether processes that share the examples look at the same point.
//!
//! Each has vectors and parameters of its own, equal to the last bit as long as all compute alike. Where that ends, by another
//! processor's rounding, what they would add up are products with different vectors. So before every sum each says a hash of
//! the bits of a few elements of every vector, evenly spaced: rounding that has come apart is in nearly all of them. A single
//! element that differs elsewhere is not seen.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use candle_core::{D, DType, Tensor};

use super::MeanLoss;
use crate::Error;

/// Elements of a vector that are compared.
const COMPARED: usize = 64;

impl MeanLoss<'_> {
    /// Goes on if all processes have the same `vectors`, (P) or (V, P), as far as those elements tell.
    pub(crate) fn agree_on(&self, what: &str, vectors: &Tensor) -> Result<(), Error> {
        if self.workers.ranks() == 1 {
            return Ok(());
        }
        Ok(self.workers.agree(&[(what, word(vectors)?)])?)
    }
}

/// The hash of the elements that are compared.
fn word(vectors: &Tensor) -> Result<u64, Error> {
    let length = vectors.dim(D::Minus1)?;
    let compared = length.min(COMPARED);
    let places = (0..compared).map(|index| (index * length / compared) as i64);
    let places = Tensor::from_iter(places, vectors.device())?;
    let elements = vectors.contiguous()?.index_select(&places, D::Minus1)?;
    let elements = elements.to_dtype(DType::F64)?.flatten_all()?;
    let bits = elements.to_vec1::<f64>()?.into_iter().map(f64::to_bits);
    Ok(BuildHasherDefault::<DefaultHasher>::default().hash_one(bits.collect::<Vec<u64>>()))
}
