//! Winograd's minimal filtering F(2 x 2, 3 x 3) for kernels of 3 x 3 taps at stride 1.
//!
//! ```text
//! y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A          d: tiles of 4 x 4 inputs, y: their 2 x 2 outputs
//! ḡ = Gᵀ [ Σ (A ȳ Aᵀ) ⊙ (Bᵀ d B) ] G
//!
//!      1  0 -1  0           1   0   0
//! Bᵀ = 0  1  1  0      G =  ½   ½   ½      Aᵀ = 1  1  1  0
//!      0 -1  1  0           ½  -½   ½           0  1 -1 -1
//!      0  1  0 -1           0   0   1
//! ```
//!
//! (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, arXiv 1509.09308, section 4.1.)
//! Each of the 16 places of a transformed tile is a product of matrices over channels: 16
//! multiplications for four outputs, where the definition takes 36. The identity is exact, its
//! constants are powers of two, and single precision loses no digit. The second line is the
//! transpose of the first.

// The modules use this macro, so it stands before them.
/// One transform for the columns, then for the rows of 4 x 4 values. A closure would be compiled
/// without the vector instructions of its surroundings.
macro_rules! both {
    ($values:expr, |$a:ident, $b:ident, $c:ident, $d:ident| $line:expr) => {{
        let mut values = $values;
        for (start, step) in [
            (0, 4),
            (1, 4),
            (2, 4),
            (3, 4),
            (0, 1),
            (4, 1),
            (8, 1),
            (12, 1),
        ] {
            let $a = values[start];
            let $b = values[start + step];
            let $c = values[start + 2 * step];
            let $d = values[start + 3 * step];
            let line = $line;
            values[start] = line[0];
            values[start + step] = line[1];
            values[start + 2 * step] = line[2];
            values[start + 3 * step] = line[3];
        }
        values
    }};
}

pub(super) mod apply;
pub(super) mod gradient;
pub(super) mod taps;

use std::ops::Range;

use pulp::Simd;

use super::kernel::Store;
use super::operands::{Extents, Images};
use super::transpose::transpose;
use crate::vectors::Vectors;

/// Places of a transformed tile.
pub(super) const PLACES: usize = 16;

/// Columns of the widest panel.
const LANES: usize = 64 / size_of::<f32>();

/// Elements of the transformed tiles of a block, half of a second-level cache of 512 KiB.
const BLOCK: usize = 1 << 16;

/// Least tiles of a block, so that a transformed kernel is read that much more rarely than used.
const TILES: usize = 96;

/// A correlation with a 3 x 3 kernel, in tiles.
pub(super) struct Tiling {
    channels: usize,
    outputs: usize,
    image: (usize, usize),
    output: (usize, usize),
    padding: usize,
    /// Tiles of an output plane, along either axis.
    tiles: (usize, usize),
}

/// Rows of tiles of some images.
#[derive(Clone)]
struct Block {
    images: usize,
    rows: Range<usize>,
}

/// A tile of a block, in steps of two pixels.
struct Tile {
    image: usize,
    row: usize,
    column: usize,
}

/// Places for the tiles of a block: an odd number, so that the 16 values of a tile fall into
/// different sets of a cache.
fn slots(tiles: &[Tile]) -> usize {
    tiles.len() | 1
}

impl Tiling {
    /// Of y = W * x.
    pub(super) fn forward(extents: &Extents) -> Self {
        Self::new(
            extents,
            extents.image,
            extents.output,
            extents.window.padding,
        )
    }

    /// Of x̄ = Wᵀ * ȳ, a correlation with the flipped kernel.
    pub(super) fn backward(extents: &Extents) -> Self {
        Self::new(
            extents,
            extents.output,
            extents.image,
            2 - extents.window.padding,
        )
    }

    fn new(
        extents: &Extents,
        image: (usize, usize),
        output: (usize, usize),
        padding: usize,
    ) -> Self {
        Self {
            channels: extents.channels,
            outputs: extents.outputs,
            image,
            output,
            padding,
            tiles: (output.0.div_ceil(2), output.1.div_ceil(2)),
        }
    }

    fn image_pixels(&self) -> usize {
        self.image.0 * self.image.1
    }

    fn output_pixels(&self) -> usize {
        self.output.0 * self.output.1
    }

    pub(super) fn panels<T: Vectors>(&self) -> usize {
        self.outputs.div_ceil(T::WIDTH)
    }

    /// From a tile's channels to the next tile's: an odd number of cache lines, so that the tiles
    /// of a block fall into all sets of a cache.
    fn pitch<T: Vectors>(&self) -> usize {
        (self.channels.div_ceil(T::WIDTH) | 1) * T::WIDTH
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Tiles of `images` images.
    pub(super) fn tiles_of(&self, images: usize) -> usize {
        images * self.tiles.0 * self.tiles.1
    }

    /// Images and rows of tiles of a block when each tile has `width` transformed elements.
    fn block(&self, images: usize, width: usize) -> (usize, usize) {
        let tiles = (BLOCK / (PLACES * width)).max(TILES.max(self.outputs / 4));
        let per_image = self.tiles.0 * self.tiles.1;
        if per_image < tiles {
            return ((tiles / per_image).clamp(1, images), self.tiles.0);
        }
        let blocks = (per_image.div_ceil(tiles)).min(self.tiles.0);
        (1, self.tiles.0.div_ceil(blocks))
    }

    /// The blocks of a group of images.
    fn blocks(&self, images: usize, rows: usize) -> impl Iterator<Item = Block> {
        let all = self.tiles.0;
        (0..all).step_by(rows.max(1)).map(move |row| Block {
            images,
            rows: row..(row + rows).min(all),
        })
    }

    /// Rows of pixels of the block's outputs.
    fn pixel_rows(&self, block: &Block) -> Range<usize> {
        2 * block.rows.start..(2 * block.rows.end).min(self.output.0)
    }

    fn count(&self, block: &Block) -> usize {
        block.images * block.rows.len() * self.tiles.1
    }

    /// The block's tiles in order.
    fn tiles(&self, block: &Block) -> Vec<Tile> {
        let mut tiles = Vec::with_capacity(self.count(block));
        for image in 0..block.images {
            for row in block.rows.clone() {
                tiles.extend((0..self.tiles.1).map(|column| Tile { image, row, column }));
            }
        }
        tiles
    }

    /// Bᵀ d B of the block's tiles, (place, slot, pitch), of images (image, pixel, pitch) that end
    /// with a pixel of zeros.
    #[inline(always)]
    fn spread<S: Simd, T: Vectors>(&self, simd: S, tiles: &[Tile], images: &[T], left: &mut [T]) {
        let (slots, (height, width)) = (slots(tiles), self.image);
        let images = T::vectors::<S>(images);
        let left = T::vectors_mut::<S>(left);
        let pitch = left.len() / (PLACES * slots);
        let zeros = images.len() - pitch;
        for (tile, at) in tiles.iter().enumerate() {
            let first = at.image * height * width;
            let mut sources = [zeros; PLACES];
            for a in 0..4 {
                let h = (2 * at.row + a).wrapping_sub(self.padding);
                for b in 0..4 {
                    let w = (2 * at.column + b).wrapping_sub(self.padding);
                    if h < height && w < width {
                        sources[4 * a + b] = (first + h * width + w) * pitch;
                    }
                }
            }
            for vector in 0..pitch {
                let mut values = [images[zeros]; PLACES];
                for (value, source) in values.iter_mut().zip(sources) {
                    *value = images[source + vector];
                }
                let values = both!(values, |a, b, c, d| [
                    T::minus(simd, a, c),
                    T::plus(simd, b, c),
                    T::minus(simd, c, b),
                    T::minus(simd, b, d),
                ]);
                for (place, value) in values.into_iter().enumerate() {
                    left[(place * slots + tile) * pitch + vector] = value;
                }
            }
        }
    }
}

/// Images with channels last, (image, pixel, pitch), and a pixel of zeros behind them.
#[inline(always)]
fn channels_last<T: Vectors>(
    images: &Images<'_, T>,
    range: Range<usize>,
    channels: usize,
    pixels: usize,
    pitch: usize,
    target: &mut [T],
) {
    let (behind, zeros) = (target.len() - pitch, range.len());
    target[behind..].fill(T::ZERO);
    debug_assert_eq!(behind, zeros * pixels * pitch);
    for (index, target) in range.zip(target.chunks_exact_mut((pixels * pitch).max(1))) {
        transpose(
            (channels, pixels),
            images.get(index),
            pixels,
            target,
            pitch,
            Store::Write,
        );
    }
}
