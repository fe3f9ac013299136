//! Linear maps of one value, without parameters: two rules make a [`Layer`].
//!
//! ```text
//! forward   y = M x        jvp   ẏ = M ẋ        vjp   x̄ = Mᵀ ȳ        second order   none
//! ```
//!
//! A block (B, V, ...) is B · V examples to such a map.

use candle_core::Tensor;

use crate::layer::{linear, only};
use crate::{Cotangent, Error, Layer, Point, Tangent};

/// A linear map of each example alone; a [`Layer`] by itself.
pub trait LinearMap: std::fmt::Debug + Send + Sync {
    /// Shape of M x, of that of x (one example).
    ///
    /// # Errors
    /// Says what the map needs when it cannot take `input`.
    fn image(&self, input: &[usize]) -> Result<Vec<usize>, &'static str>;

    /// M x for each example of `x` (N, input shape).
    fn apply(&self, x: &Tensor) -> Result<Tensor, Error>;

    /// Mᵀ ȳ (N, input shape) for each example of `cotangent` ȳ (N, output shape).
    fn apply_transposed(&self, cotangent: &Tensor, input: &[usize]) -> Result<Tensor, Error>;
}

impl<M: LinearMap> Layer for M {
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, &'static str> {
        self.image(only(inputs)?)
    }

    fn forward(&self, _: &[Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>), Error> {
        Ok((self.apply(inputs[0])?, Vec::new()))
    }

    fn jvp(&self, _: Point<'_>, tangent: Tangent<'_>) -> Result<Option<Tensor>, Error> {
        let product = |dx| by_example(dx, |dx| self.apply(dx));
        tangent.input().map(product).transpose()
    }

    fn vjp_input(&self, at: Point<'_>, _: usize, cotangent: &Tensor) -> Result<Cotangent, Error> {
        let input = &at.input_shapes[0];
        let transposed = |cotangent: &Tensor| self.apply_transposed(cotangent, input);
        // A map may return a view of what it is given.
        Ok(Cotangent::Shared(by_example(cotangent, transposed)?))
    }

    linear!();
}

/// A function of examples (N, ...) on a block (B, V, ...).
fn by_example(
    block: &Tensor,
    function: impl FnOnce(&Tensor) -> Result<Tensor, Error>,
) -> Result<Tensor, Error> {
    let (batch, vectors) = (block.dim(0)?, block.dim(1)?);
    let image = function(&block.flatten(0, 1)?)?;
    let shape = [&[batch, vectors], &image.dims()[1..]].concat();
    Ok(image.reshape(shape)?)
}
