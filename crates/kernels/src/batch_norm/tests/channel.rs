//! The formulas of one channel, as loops over its m entries in float64.

use candle_core::Tensor;

use crate::seeded::{Sizes, values};

impl Sizes {
    /// The m entries of one channel of one vector of a block, image by image.
    pub(super) fn entries(self, block: &[f64], vector: usize, channel: usize) -> Vec<f64> {
        let vectors = block.len() / (self.batch * self.channels * self.area());
        let start = |image| ((image * vectors + vector) * self.channels + channel) * self.area();
        (0..self.batch)
            .flat_map(|image| block[start(image)..][..self.area()].iter().copied())
            .collect()
    }

    /// The block of `vectors` whose channels have the entries that `entries` gives.
    pub(super) fn assembled(
        self,
        vectors: usize,
        entries: impl Fn(usize, usize) -> Vec<f64>,
    ) -> Vec<f64> {
        let (area, channels) = (self.area(), self.channels);
        let mut block = vec![0.0; self.batch * vectors * channels * area];
        for vector in 0..vectors {
            for channel in 0..channels {
                for (index, entry) in entries(vector, channel).into_iter().enumerate() {
                    let row = index / area * vectors + vector;
                    block[(row * channels + channel) * area + index % area] = entry;
                }
            }
        }
        block
    }

    /// (V, C) numbers, added to those of `start`.
    pub(super) fn added(self, start: &Tensor, number: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let start = values(start).into_iter().enumerate();
        let channels = self.channels;
        start
            .map(|(at, start)| start + number(at / channels, at % channels))
            .collect()
    }
}

/// What mean and r are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Statistics {
    /// Constants.
    Frozen,
    /// The moments of x.
    Batch,
}

/// Mean and r of a channel.
#[derive(Clone, Copy)]
pub(super) struct Channel {
    pub(super) statistics: Statistics,
    pub(super) mean: f64,
    pub(super) r: f64,
}

pub(super) fn mean(entries: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = entries.len() as f64;
    entries.sum::<f64>() / count
}

/// γ̄ = Σ ȳ x̂.
pub(super) fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn scaled(factor: f64, entries: &[f64]) -> Vec<f64> {
    entries.iter().map(|entry| factor * entry).collect()
}

impl Channel {
    /// Of the entries themselves.
    pub(super) fn of(x: &[f64], epsilon: f64) -> Self {
        let center = mean(x.iter().copied());
        let variance = mean(x.iter().map(|x| (x - center).powi(2)));
        Self {
            statistics: Statistics::Batch,
            mean: center,
            r: (variance + epsilon).sqrt().recip(),
        }
    }

    /// The mean of entries and that of their products with others, which constants do not have.
    fn means(self, entries: &[f64], others: &[f64]) -> [f64; 2] {
        match self.statistics {
            Statistics::Frozen => [0.0, 0.0],
            Statistics::Batch => {
                let count = entries.len() as f64;
                [
                    mean(entries.iter().copied()),
                    inner(entries, others) / count,
                ]
            }
        }
    }

    /// x̂
    pub(super) fn normalised(self, x: &[f64]) -> Vec<f64> {
        x.iter().map(|x| (x - self.mean) * self.r).collect()
    }

    /// x̂̇ = r (ẋ - mean ẋ - x̂ mean(ẋ x̂)), and ṙ / r.
    pub(super) fn normalised_tangent(self, x: &[f64], dx: &[f64]) -> (Vec<f64>, f64) {
        let normal = self.normalised(x);
        let [center, product] = self.means(dx, &normal);
        let pairs = dx.iter().zip(&normal);
        let tangent = pairs.map(|(dx, normal)| self.r * (dx - center - normal * product));
        (tangent.collect(), -self.r * product)
    }

    /// x̄ = r (h - mean h - x̂ mean(h x̂)), h = γ ȳ.
    pub(super) fn input_cotangent(self, x: &[f64], gamma: f64, cotangent: &[f64]) -> Vec<f64> {
        self.normalised_tangent(x, &scaled(gamma, cotangent)).0
    }

    /// The tangent of x̄ for a constant ȳ, with ḣ = γ̇ ȳ.
    pub(super) fn input_cotangent_tangent(
        self,
        x: &[f64],
        (gamma, dgamma): (f64, f64),
        cotangent: &[f64],
        dx: &[f64],
    ) -> Vec<f64> {
        let normal = self.normalised(x);
        let (dnormal, dr_over_r) = self.normalised_tangent(x, dx);
        let x_bar = self.input_cotangent(x, gamma, cotangent);
        let (h, dh) = (scaled(gamma, cotangent), scaled(dgamma, cotangent));
        let [_, h_normal] = self.means(&h, &normal);
        let [_, h_dnormal] = self.means(&h, &dnormal);
        let [dh_mean, dh_normal] = self.means(&dh, &normal);
        let both = dh_normal + h_dnormal;
        (0..x.len())
            .map(|i| {
                self.r * (dh[i] - dh_mean - dnormal[i] * h_normal - normal[i] * both)
                    + x_bar[i] * dr_over_r
            })
            .collect()
    }
}
