//! Batches of images out of bytes: cut, mirrored and normalised in one pass.
//!
//! ```text
//! x(b, c, r, k) = s_c p(n, c, r + i − pad, k' + j − pad) + o_c,     k' = W − 1 − k where mirrored, else k
//! ```
//!
//! p (N, C, H, W) are bytes, 0 outside the images. Image b of the batch is the crop of image n of all, padded on every side,
//! whose first row and column are i and j; s and o (C) are scale and offset of each channel.

mod cpu;
mod launched;

use candle_core::{DType, Result, Tensor, bail};

use crate::launch::launcher;
use crate::real::{dispatch, expect_shape};

/// Numbers that say what an image of a batch is: n, i, j, and 1 where it is mirrored.
pub const PLACE: usize = 4;

/// x (B, C, H, W) of `dtype` of the bytes `pixels` (N, C, H, W), the `places` (4, B) of u32, n of all images first, and
/// `affine` (2, C) of f64, the scales first. All are on one device, a CUDA device or the CPU.
///
/// # Errors
/// Shapes that do not fit, padding that is not below the height and the width, tensors that are not contiguous, a `dtype`
/// other than f32 and f64, or a device error; on the CPU an image that is not below N or a crop beyond the padding, which
/// on a device are black.
pub fn gather(
    pixels: &Tensor,
    places: &Tensor,
    pad: usize,
    affine: &Tensor,
    dtype: DType,
) -> Result<Tensor> {
    let (_, channels, height, width) = pixels.dims4()?;
    let (_, batch) = places.dims2()?;
    expect_shape("places", places, &[PLACE, batch])?;
    expect_shape("affine", affine, &[2, channels])?;
    if pad > 0 && pad >= height.min(width) {
        bail!(
            "expected a padding below {} pixels, got {pad}",
            height.min(width)
        );
    }
    match launcher(pixels) {
        Some(launcher) => launched::gather(&*launcher, pixels, places, pad, affine, dtype),
        None => dispatch!(dtype, cpu::gather(pixels, places, pad, affine)),
    }
}
