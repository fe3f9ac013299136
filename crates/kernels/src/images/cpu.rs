//! A batch of images on CPU slices, one pass over the bytes.

use std::ops::Range;

use candle_core::{Result, Tensor, bail};

use super::PLACE;
use crate::real::{Real, elements};

/// First row and column of a crop, and whether it is mirrored.
struct Crop {
    row: usize,
    column: usize,
    mirrored: bool,
}

pub(super) fn gather<T: Real + From<u8>>(
    pixels: &Tensor,
    places: &Tensor,
    pad: usize,
    affine: &Tensor,
) -> Result<Tensor> {
    let (images, channels, height, width) = pixels.dims4()?;
    let batch = places.dim(1)?;
    let (plane, size) = (height * width, channels * height * width);
    let affine = affine.to_vec2::<f64>()?;
    let affine: Vec<(T, T)> = (affine[0].iter().zip(&affine[1]))
        .map(|(&scale, &offset)| (T::from_f64(scale), T::from_f64(offset)))
        .collect();
    let (all, places) = (elements::<u8>(pixels)?, elements::<u32>(places)?);
    let (all, places) = (all.slice()?, places.slice()?);
    let mut floats = Vec::with_capacity(batch * size);
    let mut varied = vec![0; size];
    for example in 0..batch {
        let [image, row, column, mirrored]: [usize; PLACE] =
            std::array::from_fn(|number| places[number * batch + example] as usize);
        if image >= images || row.max(column) > 2 * pad {
            bail!(
                "expected an image below {images} at a row and column up to {}, got {image}, {row}, {column}",
                2 * pad
            );
        }
        let crop = Crop {
            row,
            column,
            mirrored: mirrored > 0,
        };
        let mut image = &all[image * size..][..size];
        if crop.mirrored || pad > 0 {
            crop.cut(image, &mut varied, pad, [height, width]);
            image = &varied;
        }
        for (bytes, &(scale, offset)) in image.chunks_exact(plane.max(1)).zip(&affine) {
            floats.extend(bytes.iter().map(|&byte| T::from(byte) * scale + offset));
        }
    }
    Tensor::from_vec(floats, (batch, channels, height, width), pixels.device())
}

impl Crop {
    /// Writes `image` (C, H, W) as it is here.
    fn cut(&self, image: &[u8], varied: &mut [u8], pad: usize, [height, width]: [usize; 2]) {
        let (row, column) = (self.row, self.column);
        let (rows, columns) = (kept(row, pad, height), kept(column, pad, width));
        let plane = height * width;
        varied.fill(0);
        for (image, varied) in image
            .chunks_exact(plane)
            .zip(varied.chunks_exact_mut(plane))
        {
            for target in rows.clone() {
                let source = &image[(target + row - pad) * width + column + columns.start - pad..];
                let source = &source[..columns.len()];
                let target = &mut varied[target * width..][..width];
                if self.mirrored {
                    let mirror = &mut target[width - columns.end..width - columns.start];
                    let pixels = mirror.iter_mut().rev().zip(source);
                    pixels.for_each(|(pixel, &byte)| *pixel = byte);
                } else {
                    target[columns.clone()].copy_from_slice(source);
                }
            }
        }
    }
}

/// Positions of a crop that starts at `start` of the padded side, of `len` positions, that lie in the
/// image.
fn kept(start: usize, pad: usize, len: usize) -> Range<usize> {
    pad.saturating_sub(start)..len.min(len + pad - start)
}
