//! Σᵢ of blocks (V, P) over examples, to which the sweeps add parameter by parameter.

use candle_core::{DType, Device, Tensor};
use flatness_kernels::{add_in_place, scale_in_place};

use crate::{Error, ParamLayout};

/// A sum of blocks of V vectors.
#[derive(Debug)]
pub struct Sums<'a> {
    layout: &'a ParamLayout,
    /// (V, shape) for each parameter.
    pieces: Vec<Tensor>,
    /// (P), of which the pieces of a single vector are views: then joining them costs nothing.
    flat: Option<Tensor>,
}

impl<'a> Sums<'a> {
    /// Zeros.
    ///
    /// # Errors
    /// Memory that cannot be had on the device.
    pub fn zeros(
        layout: &'a ParamLayout,
        vectors: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, Error> {
        if vectors != 1 {
            return Ok(Self {
                layout,
                pieces: layout.zeros(vectors, dtype, device)?,
                flat: None,
            });
        }
        let flat = Tensor::zeros(layout.dim(), dtype, device)?;
        let views = layout.views(&flat)?;
        let pieces = views.iter().map(|view| view.unsqueeze(0));
        Ok(Self {
            layout,
            pieces: pieces.collect::<candle_core::Result<_>>()?,
            flat: Some(flat),
        })
    }

    /// What the sweeps add to: (V, shape) for each parameter.
    #[must_use]
    pub fn pieces(&self) -> &[Tensor] {
        &self.pieces
    }

    /// Adds another sum of as many vectors, in place.
    ///
    /// # Errors
    /// Another number of vectors or number type, or a device error.
    pub fn add(&self, other: &Self) -> Result<(), Error> {
        match (&self.flat, &other.flat) {
            (Some(sum), Some(addend)) => Ok(add_in_place(sum, addend)?),
            _ => self.layout.add(&self.pieces, &other.pieces),
        }
    }

    /// The sum (V, P) times `factor`.
    ///
    /// # Errors
    /// A device error.
    pub fn scaled(self, factor: f64) -> Result<Tensor, Error> {
        let block = match self.flat {
            Some(flat) => flat.unsqueeze(0)?,
            None => self.layout.join(&self.pieces)?,
        };
        scale_in_place(&block, factor)?;
        Ok(block)
    }
}
