//! Kernels to and from the places of transformed tiles: G g Gᵀ and its transpose.

use pulp::{Simd, WithSimd};

use super::{LANES, PLACES};
use crate::conv2d::kernel::Store;
use crate::conv2d::operands::Taps;
use crate::conv2d::transpose::transpose;
use crate::vectors::Vectors;

/// Taps of a kernel.
pub(super) const TAPS: usize = 9;

/// Channels whose taps are turned around together.
const CHANNELS: usize = 8;

/// Whether the taps are read from the first or from the last.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::conv2d) enum Order {
    Kept,
    Flipped,
}

/// A kernel of 3 x 3 taps.
#[derive(Clone, Copy)]
pub(in crate::conv2d) struct Kernel<'a, T> {
    pub(in crate::conv2d) channels: usize,
    pub(in crate::conv2d) outputs: usize,
    pub(in crate::conv2d) taps: Taps<'a, T>,
    pub(in crate::conv2d) order: Order,
}

impl<T: Vectors> Kernel<'_, T> {
    /// Makes G g Gᵀ of one panel of outputs, (place, channel, panel width); the columns behind the
    /// last output are zeros.
    #[inline(always)]
    pub(super) fn pack<S: Simd>(&self, simd: S, panel: usize, packed: &mut [T]) {
        let half = T::splat(simd, T::from_f64(0.5));
        let first = panel * T::WIDTH;
        let lanes = T::WIDTH.min(self.outputs - first);
        let mut gathered = [T::ZERO; CHANNELS * TAPS * LANES];
        let packed = T::vectors_mut::<S>(packed);
        let vectors = packed.len() / (PLACES * self.channels);
        for channel in (0..self.channels).step_by(CHANNELS) {
            let count = CHANNELS.min(self.channels - channel);
            let gathered = &mut gathered[..count * TAPS * T::WIDTH];
            (self.taps).gather((first, lanes), (channel, count), gathered);
            let gathered = T::vectors::<S>(gathered);
            for (index, taps) in gathered.chunks_exact(TAPS * vectors).enumerate() {
                for vector in 0..vectors {
                    let mut values = [half; PLACES];
                    for tap in 0..TAPS {
                        let from = match self.order {
                            Order::Kept => tap,
                            Order::Flipped => TAPS - 1 - tap,
                        };
                        values[4 * (tap / 3) + tap % 3] = taps[from * vectors + vector];
                    }
                    // The last of four inputs does not exist.
                    let values = both!(values, |a, b, c, _d| {
                        let outer = T::times(simd, T::plus(simd, a, c), half);
                        let inner = T::times(simd, b, half);
                        [
                            a,
                            T::plus(simd, outer, inner),
                            T::minus(simd, outer, inner),
                            c,
                        ]
                    });
                    for (place, value) in values.into_iter().enumerate() {
                        packed[(place * self.channels + channel + index) * vectors + vector] =
                            value;
                    }
                }
            }
        }
    }
}

/// Adds Gᵀ M G of one panel's sums M, (place, channel, panel width), to its part of (O, I, 3, 3).
#[inline(always)]
pub(super) fn add_gradient<S: Simd, T: Vectors>(
    simd: S,
    channels: usize,
    packed: &[T],
    sum: &mut [T],
) {
    let half = T::splat(simd, T::from_f64(0.5));
    let lanes = T::WIDTH.min(sum.len() / (channels * TAPS));
    let packed = T::vectors::<S>(packed);
    let vectors = packed.len() / (PLACES * channels);
    let mut gathered = [T::ZERO; CHANNELS * TAPS * LANES];
    for channel in (0..channels).step_by(CHANNELS) {
        let count = CHANNELS.min(channels - channel);
        let gathered = &mut gathered[..count * TAPS * T::WIDTH];
        let targets = T::vectors_mut::<S>(gathered).chunks_exact_mut(TAPS * vectors);
        for (index, taps) in targets.enumerate() {
            for vector in 0..vectors {
                let mut values = [half; PLACES];
                for (place, value) in values.iter_mut().enumerate() {
                    *value = packed[(place * channels + channel + index) * vectors + vector];
                }
                // Only the first three of four outputs exist.
                let values = both!(values, |a, b, c, d| {
                    let inner = T::times(simd, T::plus(simd, b, c), half);
                    let difference = T::times(simd, T::minus(simd, b, c), half);
                    [
                        T::plus(simd, a, inner),
                        difference,
                        T::plus(simd, inner, d),
                        d,
                    ]
                });
                for tap in 0..TAPS {
                    taps[tap * vectors + vector] = values[4 * (tap / 3) + tap % 3];
                }
            }
        }
        transpose(
            (count * TAPS, lanes),
            gathered,
            T::WIDTH,
            &mut sum[channel * TAPS..],
            channels * TAPS,
            Store::Add,
        );
    }
}

/// Adds the gradients of all panels of `packed`, (panel, place, channel, panel width), to (O, I, 3, 3).
pub(in crate::conv2d) struct AddGradient<'a, T> {
    pub(in crate::conv2d) channels: usize,
    pub(in crate::conv2d) packed: &'a [T],
    pub(in crate::conv2d) sum: &'a mut [T],
}

impl<T: Vectors> WithSimd for AddGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let size = self.channels * T::WIDTH;
        let panels = self.packed.chunks_exact(PLACES * size);
        for (packed, sum) in panels.zip(self.sum.chunks_mut(TAPS * size)) {
            add_gradient(simd, self.channels, packed, sum);
        }
    }
}
