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

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::direct::panels_of;
use super::kernel::{Number, ROWS, Scratch, Store, dot, outer, room, transpose};
use super::operands::{Extents, Images, Taps};

/// Places of a transformed tile.
pub(super) const PLACES: usize = 16;

/// Columns of the widest panel.
const LANES: usize = 64 / size_of::<f32>();

/// Elements of the transformed tiles of a block, half of a second-level cache of 512 KiB.
const BLOCK: usize = 1 << 16;

/// Least tiles of a block, so that a transformed kernel is read that much more rarely than used.
const TILES: usize = 96;

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

    fn panels<T: Number>(&self) -> usize {
        self.outputs.div_ceil(T::WIDTH)
    }

    /// From a tile's channels to the next tile's: an odd number of cache lines, so that the tiles
    /// of a block fall into all sets of a cache.
    fn pitch<T: Number>(&self) -> usize {
        (self.channels.div_ceil(T::WIDTH) | 1) * T::WIDTH
    }

    /// Images and rows of tiles of a block when each tile has `width` transformed elements.
    fn block(&self, images: usize, width: usize) -> (usize, usize) {
        let tiles = (BLOCK / (PLACES * width)).max(TILES);
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
    fn spread<S: Simd, T: Number>(&self, simd: S, tiles: &[Tile], images: &[T], left: &mut [T]) {
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

/// Whether the taps are read from the first or from the last.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Kept,
    Flipped,
}

/// Makes G g Gᵀ of every kernel, (panel, place, channel, panel width); the columns behind the last
/// output are zeros.
pub(super) struct Pack<'a, T> {
    pub(super) extents: &'a Extents,
    pub(super) taps: Taps<'a, T>,
    pub(super) order: Order,
}

impl<T: Number> WithSimd for Pack<'_, T> {
    type Output = Vec<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<T> {
        let (channels, outputs) = (self.extents.channels, self.extents.outputs);
        let half = T::splat(simd, T::from_f64(0.5));
        let mut packed = vec![T::ZERO; outputs.div_ceil(T::WIDTH) * PLACES * channels * T::WIDTH];
        let mut gathered = [T::ZERO; PLACES * LANES];
        for (panel, packed) in packed
            .chunks_exact_mut((PLACES * channels * T::WIDTH).max(1))
            .enumerate()
        {
            let packed = T::vectors_mut::<S>(packed);
            let vectors = packed.len() / (PLACES * channels);
            let first = panel * T::WIDTH;
            let lanes = T::WIDTH.min(outputs - first);
            gathered.fill(T::ZERO);
            for channel in 0..channels {
                for lane in 0..lanes {
                    let taps = self.taps.of(first + lane, channel);
                    for (tap, &value) in taps.iter().enumerate() {
                        let tap = match self.order {
                            Order::Kept => tap,
                            Order::Flipped => 8 - tap,
                        };
                        gathered[(4 * (tap / 3) + tap % 3) * T::WIDTH + lane] = value;
                    }
                }
                let gathered = T::vectors::<S>(&gathered[..PLACES * T::WIDTH]);
                for vector in 0..vectors {
                    let mut values = [half; PLACES];
                    for (place, value) in values.iter_mut().enumerate() {
                        *value = gathered[place * vectors + vector];
                    }
                    // The last of four inputs does not exist.
                    let values = both!(values, |a, b, c, _d| {
                        let outer = T::mul(simd, T::plus(simd, a, c), half);
                        let inner = T::mul(simd, b, half);
                        [
                            a,
                            T::plus(simd, outer, inner),
                            T::minus(simd, outer, inner),
                            c,
                        ]
                    });
                    for (place, value) in values.into_iter().enumerate() {
                        packed[(place * channels + channel) * vectors + vector] = value;
                    }
                }
            }
        }
        packed
    }
}

/// Images with channels last, (image, pixel, pitch), and a pixel of zeros behind them.
#[inline(always)]
fn channels_last<T: Number>(
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

/// Applies a packed kernel to `range` of `images`, into `out`.
pub(super) struct Apply<'a, T> {
    pub(super) scratch: &'a mut Scratch<T>,
    pub(super) tiling: &'a Tiling,
    pub(super) packed: &'a [T],
    pub(super) images: Images<'a, T>,
    pub(super) range: Range<usize>,
    /// What every output starts from, (panel, panel width).
    pub(super) start: &'a [T],
    pub(super) out: &'a mut [T],
    pub(super) store: Store,
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

/// Writes the gradient of a kernel by `range` of images and cotangents to `sum`, (panel, place,
/// channel, panel width).
pub(super) struct Gradient<'a, T> {
    pub(super) scratch: &'a mut Scratch<T>,
    pub(super) tiling: &'a Tiling,
    pub(super) images: Images<'a, T>,
    pub(super) cotangents: Images<'a, T>,
    pub(super) range: Range<usize>,
    pub(super) sum: &'a mut [T],
}

impl<T: Number> WithSimd for Gradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            scratch,
            tiling,
            images,
            cotangents,
            range,
            sum,
        } = self;
        let (channels, pitch) = (tiling.channels, tiling.pitch::<T>());
        let (pixels, image_pixels) = (tiling.output_pixels(), tiling.image_pixels());
        let panels = tiling.panels::<T>();
        let (group, rows) = tiling.block(range.len(), pitch + panels * T::WIDTH);
        let image = room(&mut scratch.image, (group * image_pixels + 1) * pitch);
        let mut store = Store::Write;
        for first in range.clone().step_by(group) {
            let here = first..range.end.min(first + group);
            let image = &mut image[..(here.len() * image_pixels + 1) * pitch];
            channels_last(&images, here.clone(), channels, image_pixels, pitch, image);
            let planes = room(&mut scratch.result, here.len() * panels * pixels * T::WIDTH);
            for (index, planes) in here
                .clone()
                .zip(planes.chunks_exact_mut(panels * pixels * T::WIDTH))
            {
                panels_of(cotangents.get(index), pixels, planes);
            }
            for block in tiling.blocks(here.len(), rows) {
                let tiles = tiling.tiles(&block);
                let (count, slots) = (tiles.len(), slots(&tiles));
                let left = room(&mut scratch.left, PLACES * slots * pitch);
                tiling.spread(simd, &tiles, image, left);
                let right = room(&mut scratch.right, PLACES * slots * T::WIDTH);
                for panel in 0..panels {
                    widen(simd, tiling, &tiles, (planes, panels, panel), right);
                    for place in 0..PLACES {
                        let right = &right[place * slots * T::WIDTH..][..count * T::WIDTH];
                        for channel in (0..channels).step_by(ROWS) {
                            let to = (panel * PLACES + place) * channels + channel;
                            outer(
                                simd,
                                (ROWS.min(channels - channel), count),
                                left,
                                |tile| (place * slots + tile) * pitch + channel,
                                right,
                                sum,
                                |row| (to + row) * T::WIDTH,
                                store,
                            );
                        }
                    }
                }
                store = Store::Add;
            }
        }
    }
}

/// A ȳ Aᵀ of one panel of the block's tiles, (place, tile, panel width).
#[inline(always)]
fn widen<S: Simd, T: Number>(
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

/// Adds Gᵀ M G of the packed sums M to (O, I, 3, 3).
pub(super) struct AddGradient<'a, T> {
    pub(super) extents: &'a Extents,
    pub(super) packed: &'a [T],
    pub(super) sum: &'a mut [T],
}

impl<T: Number> WithSimd for AddGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (channels, outputs) = (self.extents.channels, self.extents.outputs);
        let half = T::splat(simd, T::from_f64(0.5));
        let mut taps = [T::ZERO; PLACES * LANES];
        for (panel, packed) in self
            .packed
            .chunks_exact(PLACES * channels * T::WIDTH)
            .enumerate()
        {
            let packed = T::vectors::<S>(packed);
            let vectors = packed.len() / (PLACES * channels);
            let first = panel * T::WIDTH;
            for channel in 0..channels {
                let target = T::vectors_mut::<S>(&mut taps[..PLACES * T::WIDTH]);
                for vector in 0..vectors {
                    let mut values = [half; PLACES];
                    for (place, value) in values.iter_mut().enumerate() {
                        *value = packed[(place * channels + channel) * vectors + vector];
                    }
                    // Only the first three of four outputs exist.
                    let values = both!(values, |a, b, c, d| {
                        let inner = T::mul(simd, T::plus(simd, b, c), half);
                        let difference = T::mul(simd, T::minus(simd, b, c), half);
                        [
                            T::plus(simd, a, inner),
                            difference,
                            T::plus(simd, inner, d),
                            d,
                        ]
                    });
                    for (place, value) in values.into_iter().enumerate() {
                        target[place * vectors + vector] = value;
                    }
                }
                for lane in 0..T::WIDTH.min(outputs - first) {
                    let start = ((first + lane) * channels + channel) * 9;
                    for (tap, sum) in self.sum[start..start + 9].iter_mut().enumerate() {
                        *sum += taps[(4 * (tap / 3) + tap % 3) * T::WIDTH + lane];
                    }
                }
            }
        }
    }
}
