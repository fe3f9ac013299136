//! Σ (A ȳ Aᵀ) ⊙ (Bᵀ d B) over tiles, block by block.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::taps::{TAPS, add_gradient};
use super::{PLACES, Tile, Tiling, channels_last, slots};
use crate::conv2d::kernel::{ROWS, Store, outer};
use crate::conv2d::operands::Images;
use crate::conv2d::transpose::panels_of;
use crate::vectors::{Scratch, Vectors, room};

/// The gradient of the `panels` of a kernel by `range` of images and cotangents.
pub(in crate::conv2d) struct Gradient<'a, T> {
    pub(in crate::conv2d) scratch: &'a mut Scratch<T>,
    pub(in crate::conv2d) tiling: &'a Tiling,
    pub(in crate::conv2d) images: Images<'a, T>,
    pub(in crate::conv2d) cotangents: Images<'a, T>,
    pub(in crate::conv2d) range: Range<usize>,
    pub(in crate::conv2d) panels: Range<usize>,
    pub(in crate::conv2d) target: Target<'a, T>,
}

/// Where a gradient goes.
pub(in crate::conv2d) enum Target<'a, T> {
    /// Added to the panels' part of (O, I, 3, 3).
    Sum(&'a mut [T]),
    /// Written as it is before the last transform, (panel, place, channel, panel width).
    Packed(&'a mut [T]),
}

impl<T: Vectors> WithSimd for Gradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (scratch, tiling, range, span) = (self.scratch, self.tiling, self.range, self.panels);
        let (channels, pitch) = (tiling.channels, tiling.pitch::<T>());
        let (pixels, image_pixels) = (tiling.output_pixels(), tiling.image_pixels());
        let panels = tiling.panels::<T>();
        let (group, rows) = tiling.block(range.len(), pitch + panels * T::WIDTH);
        let image = room(&mut scratch.image, (group * image_pixels + 1) * pitch);
        let once = group >= range.len() && rows >= tiling.tiles.0;
        let size = PLACES * channels * T::WIDTH;
        let kept = match self.target {
            Target::Sum(_) if once => 1,
            _ => span.len(),
        };
        let (packed, mut sum) = match self.target {
            Target::Packed(packed) => (packed, None),
            Target::Sum(sum) => (room(&mut scratch.gradient, kept * size), Some(sum)),
        };
        let mut store = Store::Write;
        for first in range.clone().step_by(group) {
            let here = first..range.end.min(first + group);
            let image = &mut image[..(here.len() * image_pixels + 1) * pitch];
            channels_last(
                &self.images,
                here.clone(),
                channels,
                image_pixels,
                pitch,
                image,
            );
            let planes = room(&mut scratch.result, here.len() * panels * pixels * T::WIDTH);
            for (index, planes) in here
                .clone()
                .zip(planes.chunks_exact_mut(panels * pixels * T::WIDTH))
            {
                panels_of(self.cotangents.get(index), pixels, planes);
            }
            for block in tiling.blocks(here.len(), rows) {
                let tiles = tiling.tiles(&block);
                let (count, slots) = (tiles.len(), slots(&tiles));
                let left = room(&mut scratch.left, PLACES * slots * pitch);
                tiling.spread(simd, &tiles, image, left);
                let right = room(&mut scratch.right, PLACES * slots * T::WIDTH);
                let last = here.end == range.end && block.rows.end == tiling.tiles.0;
                for (index, panel) in span.clone().enumerate() {
                    widen(simd, tiling, &tiles, (planes, panels, panel), right);
                    let packed = &mut packed[index % kept * size..][..size];
                    for place in 0..PLACES {
                        let right = &right[place * slots * T::WIDTH..][..count * T::WIDTH];
                        for channel in (0..channels).step_by(ROWS) {
                            let to = place * channels + channel;
                            outer(
                                simd,
                                (ROWS.min(channels - channel), count),
                                left,
                                |tile| (place * slots + tile) * pitch + channel,
                                right,
                                packed,
                                |row| (to + row) * T::WIDTH,
                                store,
                            );
                        }
                    }
                    if let Some(sum) = sum.as_mut().filter(|_| last) {
                        let part = TAPS * channels * T::WIDTH;
                        let end = sum.len().min((index + 1) * part);
                        add_gradient(simd, channels, packed, &mut sum[index * part..end]);
                    }
                }
                store = Store::Add;
            }
        }
    }
}

/// A ȳ Aᵀ of one panel of the block's tiles, (place, tile, panel width).
#[inline(always)]
fn widen<S: Simd, T: Vectors>(
    simd: S,
    tiling: &Tiling,
    tiles: &[Tile],
    (planes, panels, panel): (&[T], usize, usize),
    right: &mut [T],
) {
    let (slots, (height, width)) = (slots(tiles), tiling.output);
    let zero = T::splat(simd, T::ZERO);
    let vectors = T::vectors::<S>(&planes[..T::WIDTH]).len();
    let (planes, right) = (T::vectors::<S>(planes), T::vectors_mut::<S>(right));
    for (tile, at) in tiles.iter().enumerate() {
        let pixels = (at.image * panels + panel) * height * width;
        for vector in 0..vectors {
            let mut values = [zero; PLACES];
            for i in 0..2 {
                for j in 0..2 {
                    let (h, w) = (2 * at.row + i, 2 * at.column + j);
                    if h < height && w < width {
                        values[4 * i + j] = planes[(pixels + h * width + w) * vectors + vector];
                    }
                }
            }
            // Only the first two of four inputs exist.
            let values = both!(values, |a, b, _c, _d| [
                a,
                T::plus(simd, a, b),
                T::minus(simd, a, b),
                T::minus(simd, zero, b),
            ]);
            for (place, value) in values.into_iter().enumerate() {
                right[(place * slots + tile) * vectors + vector] = value;
            }
        }
    }
}
