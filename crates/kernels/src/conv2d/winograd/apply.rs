//! Aᵀ [ U ⊙ (Bᵀ d B) ] A for a packed kernel U, block by block.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::{Block, LANES, PLACES, Tile, Tiling, channels_last, slots};
use crate::conv2d::kernel::{ROWS, Store, dot};
use crate::conv2d::number::{Number, Scratch, room};
use crate::conv2d::operands::Images;
use crate::conv2d::transpose::transpose;

/// Applies a packed kernel to `range` of `images`, into `out`.
pub(in crate::conv2d) struct Apply<'a, T> {
    pub(in crate::conv2d) scratch: &'a mut Scratch<T>,
    pub(in crate::conv2d) tiling: &'a Tiling,
    pub(in crate::conv2d) packed: &'a [T],
    pub(in crate::conv2d) images: Images<'a, T>,
    pub(in crate::conv2d) range: Range<usize>,
    /// What every output starts from, (panel, panel width).
    pub(in crate::conv2d) start: &'a [T],
    pub(in crate::conv2d) out: &'a mut [T],
    pub(in crate::conv2d) store: Store,
}

impl<T: Number> WithSimd for Apply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            scratch,
            tiling,
            packed,
            images,
            range,
            start,
            out,
            store,
        } = self;
        let (channels, outputs, pitch) = (tiling.channels, tiling.outputs, tiling.pitch::<T>());
        let (pixels, image_pixels) = (tiling.output_pixels(), tiling.image_pixels());
        let (group, rows) = tiling.block(range.len(), pitch + T::WIDTH);
        let image = room(&mut scratch.image, (group * image_pixels + 1) * pitch);
        for (first, planes) in range
            .clone()
            .step_by(group)
            .zip(out.chunks_mut(group * outputs * pixels))
        {
            let here = first..range.end.min(first + group);
            let image = &mut image[..(here.len() * image_pixels + 1) * pitch];
            channels_last(&images, here.clone(), channels, image_pixels, pitch, image);
            for block in tiling.blocks(here.len(), rows) {
                let tiles = tiling.tiles(&block);
                let (count, slots) = (tiles.len(), slots(&tiles));
                let left = room(&mut scratch.left, PLACES * slots * pitch);
                tiling.spread(simd, &tiles, image, left);
                let products = room(&mut scratch.right, PLACES * slots * T::WIDTH);
                let zeros = [T::ZERO; LANES];
                let pixel_rows = tiling.pixel_rows(&block);
                let run = pixel_rows.len() * tiling.output.1;
                let result = room(&mut scratch.result, block.images * run * T::WIDTH);
                for panel in 0..tiling.panels::<T>() {
                    for place in 0..PLACES {
                        let size = channels * T::WIDTH;
                        let packed = &packed[(panel * PLACES + place) * size..][..size];
                        for tile in (0..count).step_by(ROWS) {
                            let from = place * slots + tile;
                            dot(
                                simd,
                                (ROWS.min(count - tile), 1),
                                |_, row| &left[(from + row) * pitch..][..channels],
                                packed,
                                &zeros[..T::WIDTH],
                                products,
                                |row| (from + row) * T::WIDTH,
                            );
                        }
                    }
                    let start = &start[panel * T::WIDTH..][..T::WIDTH];
                    gather(simd, tiling, (&block, &tiles), products, start, result);
                    let lanes = T::WIDTH.min(outputs - panel * T::WIDTH);
                    for image in 0..block.images {
                        let plane = (image * outputs + panel * T::WIDTH) * pixels;
                        transpose(
                            (run, lanes),
                            &result[image * run * T::WIDTH..],
                            T::WIDTH,
                            &mut planes[plane + pixel_rows.start * tiling.output.1..],
                            pixels,
                            store,
                        );
                    }
                }
            }
        }
    }
}

/// start + Aᵀ m A of one panel, (image, pixel of the block, panel width).
#[inline(always)]
fn gather<S: Simd, T: Number>(
    simd: S,
    tiling: &Tiling,
    (block, tiles): (&Block, &[Tile]),
    products: &[T],
    start: &[T],
    result: &mut [T],
) {
    let (slots, width) = (slots(tiles), tiling.output.1);
    let pixel_rows = tiling.pixel_rows(block);
    let start = T::vectors::<S>(start);
    let vectors = start.len();
    let (products, result) = (T::vectors::<S>(products), T::vectors_mut::<S>(result));
    for (tile, at) in tiles.iter().enumerate() {
        for (vector, &start) in start.iter().enumerate() {
            let mut values = [start; PLACES];
            for (place, value) in values.iter_mut().enumerate() {
                *value = products[(place * slots + tile) * vectors + vector];
            }
            // Only the first two of four outputs exist.
            let values = both!(values, |a, b, c, d| [
                T::plus(simd, T::plus(simd, a, b), c),
                T::minus(simd, T::minus(simd, b, c), d),
                c,
                d,
            ]);
            for i in 0..2 {
                for j in 0..2 {
                    let (h, w) = (2 * at.row + i, 2 * at.column + j);
                    if h < pixel_rows.end && w < width {
                        let pixel =
                            (at.image * pixel_rows.len() + h - pixel_rows.start) * width + w;
                        result[pixel * vectors + vector] = T::plus(simd, values[4 * i + j], start);
                    }
                }
            }
        }
    }
}
