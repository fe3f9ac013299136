//! Aᵀ [ U ⊙ (Bᵀ d B) ] A for the transformed kernel U = G g Gᵀ, block by block.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::taps::Kernel;
use super::{Block, LANES, PLACES, Tile, Tiling, channels_last, slots};
use crate::conv2d::kernel::{ROWS, Store, dot};
use crate::conv2d::operands::Images;
use crate::conv2d::transpose::transpose;
use crate::vectors::{Scratch, Vectors, room};

/// Applies the `panels` of a kernel to `range` of `images`.
pub(in crate::conv2d) struct Apply<'a, 'o, T> {
    pub(in crate::conv2d) scratch: &'a mut Scratch<T>,
    pub(in crate::conv2d) tiling: &'a Tiling,
    pub(in crate::conv2d) kernel: Kernel<'a, T>,
    pub(in crate::conv2d) images: Images<'a, T>,
    pub(in crate::conv2d) range: Range<usize>,
    pub(in crate::conv2d) panels: Range<usize>,
    /// What every output starts from, (panel, panel width).
    pub(in crate::conv2d) start: &'a [T],
    /// The planes of the panels, image by image.
    pub(in crate::conv2d) out: &'a mut [&'o mut [T]],
    pub(in crate::conv2d) store: Store,
}

impl<T: Vectors> WithSimd for Apply<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (scratch, tiling, kernel) = (self.scratch, self.tiling, self.kernel);
        let (images, range, panels) = (self.images, self.range, self.panels);
        let (channels, outputs, pitch) = (tiling.channels, tiling.outputs, tiling.pitch::<T>());
        let (pixels, image_pixels) = (tiling.output_pixels(), tiling.image_pixels());
        let (group, rows) = tiling.block(range.len(), pitch + T::WIDTH);
        let image = room(&mut scratch.image, (group * image_pixels + 1) * pitch);
        // A kernel that serves a single block stays in the cache if made panel by panel.
        let once = group >= range.len() && rows >= tiling.tiles.0;
        let size = PLACES * channels * T::WIDTH;
        let kept = if once { 1 } else { panels.len() };
        let packed = room(&mut scratch.kernel, kept * size);
        if !once {
            for (panel, packed) in panels.clone().zip(packed.chunks_exact_mut(size)) {
                kernel.pack(simd, panel, packed);
            }
        }
        for (first, planes) in range.clone().step_by(group).zip(self.out.chunks_mut(group)) {
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
                for (index, panel) in panels.clone().enumerate() {
                    let packed = if once {
                        kernel.pack(simd, panel, packed);
                        &packed[..]
                    } else {
                        &packed[index * size..][..size]
                    };
                    let places = packed.chunks_exact(channels * T::WIDTH);
                    for (place, packed) in places.enumerate() {
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
                    let start = &self.start[panel * T::WIDTH..][..T::WIDTH];
                    gather(simd, tiling, (&block, &tiles), products, start, result);
                    let lanes = T::WIDTH.min(outputs - panel * T::WIDTH);
                    let plane = index * T::WIDTH * pixels + pixel_rows.start * tiling.output.1;
                    let results = result.chunks_exact(run * T::WIDTH);
                    for (planes, result) in planes.iter_mut().zip(results) {
                        let target = &mut planes[plane..];
                        transpose((run, lanes), result, T::WIDTH, target, pixels, self.store);
                    }
                }
            }
        }
    }
}

/// start + Aᵀ m A of one panel, (image, pixel of the block, panel width).
#[inline(always)]
fn gather<S: Simd, T: Vectors>(
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
