//! A batch of images as one kernel.

use candle_core::{DType, Result, Tensor};

use crate::launch::{Extents, Launcher, Operand, Source, map};

pub(super) fn gather(
    launcher: &dyn Launcher,
    pixels: &Tensor,
    places: &Tensor,
    pad: usize,
    affine: &Tensor,
    dtype: DType,
) -> Result<Tensor> {
    let (images, channels, height, width) = pixels.dims4()?;
    let batch = places.dim(1)?;
    let x = launcher.room(&[batch, channels, height, width], dtype, pixels)?;
    let operands = [
        Operand::written("x", "bca", &x),
        Operand::pointer("pixels", pixels.elem_count(), pixels),
        Operand::pointer("places", places.elem_count(), places),
        Operand::pointer("affine", affine.elem_count(), affine),
    ];
    // What is left of the image or above it is a large number without a sign.
    let body = "const unsigned n = places[b], k = places[3 * B + b] ? W - 1 - a % W : a % W;
        const unsigned row = a / W + places[B + b] - PAD, column = k + places[2 * B + b] - PAD;
        const bool inside = n < N && row < A / W && column < W;
        x = (inside ? T(pixels[(n * C + c) * A + row * W + column]) : T(0)) * T(affine[c]) + T(affine[C + c]);";
    let source = Source {
        sizes: &[("N", images), ("W", width), ("PAD", pad)],
        ..Source::new("gather_images", body)
    };
    let extents = Extents {
        batch,
        vectors: 1,
        channels,
        area: height * width,
    };
    map(launcher, source, extents, &operands)?;
    Ok(x)
}
