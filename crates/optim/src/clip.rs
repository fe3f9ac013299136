//! Gradient clipping by the Euclidean norm.
//!
//! ```text
//! g <- g min(1, c / (‖g‖ + 1e-6))
//! ```
//!
//! This is `torch.nn.utils.clip_grad_norm_`, with its 1e-6, over one flat vector (Pascanu, Mikolov &
//! Bengio 2013, algorithm 1, have none). Here the norm is summed in double precision.

use candle_core::{DType, Tensor};
use flatness_kernels::{Element, Elementwise, on_cpu, update_elements};

use crate::{Error, checks};

/// Elements that are squared at a time, so that their copy in double precision stays in the cache.
const PIECE: usize = 1 << 18;

/// Scales `gradient` in place so that its norm is at most `largest_norm`, above 0; returns the norm
/// it had. A gradient whose norm is not finite is left as it is.
///
/// # Errors
/// [`Error::Range`], [`Error::Strided`], [`Error::NumberType`] or a device error.
pub fn clip_by_norm(gradient: &Tensor, largest_norm: f64) -> Result<f64, Error> {
    let holds = largest_norm > 0.0;
    checks::range("the largest norm", largest_norm, "above 0", holds)?;
    checks::number_type(gradient)?;
    checks::contiguous("gradient", gradient)?;
    let norm = norm(gradient)?;
    let factor = largest_norm / (norm + 1e-6);
    if norm.is_finite() && factor < 1.0 {
        match gradient.dtype() {
            DType::F32 if on_cpu(gradient) => scale::<f32>(gradient, factor)?,
            DType::F64 if on_cpu(gradient) => scale::<f64>(gradient, factor)?,
            _ => gradient.slice_set(&(gradient * factor)?, 0, 0)?,
        }
    }
    Ok(norm)
}

/// ‖x‖, summed in double precision.
pub(crate) fn norm(vector: &Tensor) -> Result<f64, Error> {
    let flat = vector.flatten_all()?;
    let mut sum = 0.0;
    for start in (0..flat.elem_count()).step_by(PIECE) {
        let length = PIECE.min(flat.elem_count() - start);
        let piece = flat.narrow(0, start, length)?.to_dtype(DType::F64)?;
        sum += piece.sqr()?.sum_all()?.to_scalar::<f64>()?;
    }
    Ok(sum.sqrt())
}

fn scale<T: Element>(vector: &Tensor, factor: f64) -> Result<(), Error> {
    let pieces = [(0..vector.elem_count(), Scale(T::from_f64(factor)))];
    Ok(update_elements([vector], [], &pieces)?)
}

struct Scale<T>(T);

impl<T: Element> Elementwise<1, 0> for Scale<T> {
    type Target = T;
    type Source = T;

    #[inline(always)]
    fn apply(&self, [x]: [T; 1], []: [T; 0]) -> [T; 1] {
        [x * self.0]
    }
}
