//! Kernels to and from the places of transformed tiles: G g Gᵀ and its transpose.

use pulp::{Simd, WithSimd};

use super::{LANES, PLACES};
use crate::conv2d::number::Number;
use crate::conv2d::operands::{Extents, Taps};

/// Whether the taps are read from the first or from the last.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::conv2d) enum Order {
    Kept,
    Flipped,
}

/// Makes G g Gᵀ of every kernel, (panel, place, channel, panel width); the columns behind the last
/// output are zeros.
pub(in crate::conv2d) struct Pack<'a, T> {
    pub(in crate::conv2d) extents: &'a Extents,
    pub(in crate::conv2d) taps: Taps<'a, T>,
    pub(in crate::conv2d) order: Order,
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
                        packed[(place * channels + channel) * vectors + vector] = value;
                    }
                }
            }
        }
        packed
    }
}

/// Adds Gᵀ M G of the packed sums M to (O, I, 3, 3).
pub(in crate::conv2d) struct AddGradient<'a, T> {
    pub(in crate::conv2d) extents: &'a Extents,
    pub(in crate::conv2d) packed: &'a [T],
    pub(in crate::conv2d) sum: &'a mut [T],
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
                        let inner = T::times(simd, T::plus(simd, b, c), half);
                        let difference = T::times(simd, T::minus(simd, b, c), half);
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
