//! Lines of a tensor: the runs of elements along its last axes that a kernel takes as one.

use candle_core::{Result, Tensor};

/// A tensor (B, L, W), and blocks (B, V, L, W) that belong to it, L lines of W elements an example.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    pub(crate) examples: usize,
    pub(crate) vectors: usize,
    pub(crate) lines: usize,
    pub(crate) width: usize,
}

impl Lines {
    /// Of `x` (B, ..., W) with lines along the last axis, and `vectors` to each example.
    pub(crate) fn along_last_axis(x: &Tensor, vectors: usize) -> Result<Self> {
        let (examples, width) = (x.dim(0)?, x.dim(candle_core::D::Minus1)?);
        let lines = x.dims()[1..x.rank() - 1].iter().product();
        Ok(Self {
            examples,
            vectors,
            lines,
            width,
        })
    }

    /// Number of lines of a block.
    pub(crate) fn all(self) -> usize {
        self.examples * self.vectors * self.lines
    }

    /// The line of the tensor (B, L, W) to which line `number` of a block belongs.
    pub(crate) fn primal(self, number: usize) -> usize {
        number / (self.vectors * self.lines) * self.lines + number % self.lines
    }

    /// Line `number` of `elements`.
    pub(crate) fn line<T>(self, elements: &[T], number: usize) -> &[T] {
        &elements[number * self.width..][..self.width]
    }
}
