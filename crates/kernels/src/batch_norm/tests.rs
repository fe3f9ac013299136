//! The passes against formulas for one channel in float64, and those formulas against differences.

mod batch;
mod formulas;
mod frozen;
mod refusals;

use candle_core::{DType, Device, Tensor};

use super::{forward, moments};
use crate::parallel::with_threads;
use crate::real::with_candle_path;
use crate::seeded::{NUMBER_TYPES, assert_close, uniform, values};
use formulas::Channel;

/// ε in r = (variance + ε)^(-1/2): large, so that channels with few entries are as well conditioned
/// as the others.
const EPSILON: f64 = 0.1;

#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    vectors: usize,
    channels: usize,
    height: usize,
    width: usize,
}

/// One entry per channel and many, planes of one entry, planes that are no multiple of a SIMD width,
/// and one that is longer than what is added up in single precision.
const SIZES: [Sizes; 7] = {
    const fn sizes(
        batch: usize,
        vectors: usize,
        channels: usize,
        (height, width): (usize, usize),
    ) -> Sizes {
        Sizes {
            batch,
            vectors,
            channels,
            height,
            width,
        }
    }
    [
        sizes(1, 1, 1, (1, 1)),
        sizes(1, 3, 2, (1, 1)),
        sizes(5, 2, 3, (1, 1)),
        sizes(2, 1, 3, (1, 5)),
        sizes(4, 3, 2, (3, 3)),
        sizes(3, 2, 4, (9, 7)),
        sizes(1, 2, 1, (71, 59)),
    ]
};

impl Sizes {
    fn area(self) -> usize {
        self.height * self.width
    }

    fn primal(self) -> (usize, usize, usize, usize) {
        (self.batch, self.channels, self.height, self.width)
    }

    fn block(self) -> (usize, usize, usize, usize, usize) {
        let Self {
            batch,
            vectors,
            channels,
            height,
            width,
        } = self;
        (batch, vectors, channels, height, width)
    }

    /// The m entries of one channel of one vector of a block, image by image.
    fn entries(self, block: &[f64], vector: usize, channel: usize) -> Vec<f64> {
        let vectors = block.len() / (self.batch * self.channels * self.area());
        let start = |image| ((image * vectors + vector) * self.channels + channel) * self.area();
        (0..self.batch)
            .flat_map(|image| block[start(image)..][..self.area()].iter().copied())
            .collect()
    }

    /// The block of `vectors` whose channels have the entries that `entries` gives.
    fn assembled(self, vectors: usize, entries: impl Fn(usize, usize) -> Vec<f64>) -> Vec<f64> {
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

    /// (V, C) numbers.
    fn numbers(self, number: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let number = &number;
        (0..self.vectors)
            .flat_map(|vector| (0..self.channels).map(move |channel| number(vector, channel)))
            .collect()
    }
}

/// Operands of every pass, named as in the module's head.
struct Operands {
    sizes: Sizes,
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    dx: Tensor,
    dgamma: Tensor,
    dbeta: Tensor,
    /// ȳ of a block, (B, V, C, H, W)
    block: Tensor,
    /// ȳ of the primal sweep, (B, C, H, W)
    primal: Tensor,
    mean: Tensor,
    r: Tensor,
}

impl Operands {
    /// With a mean and an r that are not those of x.
    fn frozen(sizes: Sizes, dtype: DType) -> Self {
        let parameters = (sizes.vectors, sizes.channels);
        Self {
            sizes,
            x: uniform(sizes.primal(), 1, dtype),
            gamma: uniform(sizes.channels, 2, dtype),
            beta: uniform(sizes.channels, 3, dtype),
            dx: uniform(sizes.block(), 4, dtype),
            dgamma: uniform(parameters, 5, dtype),
            dbeta: uniform(parameters, 6, dtype),
            block: uniform(sizes.block(), 7, dtype),
            primal: uniform(sizes.primal(), 8, dtype),
            mean: uniform(sizes.channels, 9, dtype),
            r: (uniform(sizes.channels, 10, dtype) + 2.0).unwrap(),
        }
    }

    /// With the mean and the r of x.
    fn batch(sizes: Sizes, dtype: DType) -> Self {
        let frozen = Self::frozen(sizes, dtype);
        let x = values(&frozen.x);
        let per_channel = |number: &dyn Fn(Channel) -> f64| {
            let numbers: Vec<f64> = (0..sizes.channels)
                .map(|channel| number(Channel::of(&sizes.entries(&x, 0, channel), EPSILON)))
                .collect();
            Tensor::new(numbers, &Device::Cpu)
                .and_then(|numbers| numbers.to_dtype(dtype))
                .unwrap()
        };
        Self {
            mean: per_channel(&|channel| channel.mean),
            r: per_channel(&|channel| channel.r),
            ..frozen
        }
    }

    /// Mean and r of a channel.
    fn channel(&self, channel: usize) -> Channel {
        Channel {
            mean: values(&self.mean)[channel],
            r: values(&self.r)[channel],
        }
    }
}

/// Runs `check` for every size, number type, number of threads and path, with a tolerance for results
/// that are sums over the entries of a channel, and so errors that grow with their number.
fn for_all(
    operands: impl Fn(Sizes, DType) -> Operands,
    check: impl Fn(&Operands, DType, f64) + Sync + Send,
) {
    for sizes in SIZES {
        for (dtype, tolerance) in NUMBER_TYPES {
            let entries = (sizes.batch * sizes.area()) as f64;
            let tolerance = tolerance * (entries / 10.0).max(1.0);
            let operands = operands(sizes, dtype);
            for threads in [1, 3] {
                with_threads(threads, || check(&operands, dtype, tolerance));
            }
            with_candle_path(|| check(&operands, dtype, tolerance));
        }
    }
}

#[test]
fn moments_equal_their_formulas() {
    for_all(Operands::frozen, |operands, _, tolerance| {
        let (sizes, x) = (operands.sizes, values(&operands.x));
        let got = moments(&operands.x).unwrap();
        let entries = |channel| sizes.entries(&x, 0, channel);
        let mean = |entries: &[f64]| entries.iter().sum::<f64>() / entries.len() as f64;
        let means: Vec<f64> = (0..sizes.channels).map(|c| mean(&entries(c))).collect();
        let variances: Vec<f64> = (0..sizes.channels)
            .map(|c| {
                let squares = entries(c).into_iter().map(|x| (x - means[c]).powi(2));
                mean(&squares.collect::<Vec<_>>())
            })
            .collect();
        assert_close(&format!("{sizes:?}"), &got.mean, &means, tolerance);
        assert_close(&format!("{sizes:?}"), &got.variance, &variances, tolerance);
    });
}

#[test]
fn the_variance_of_a_channel_far_from_zero_keeps_its_digits() {
    let spread = [-1.5f32, -0.5, 0.5, 1.5];
    let entries: Vec<f32> = (0..400).map(|index| 1e4 + spread[index % 4]).collect();
    let x = Tensor::from_vec(entries, (4, 1, 10, 10), &Device::Cpu).unwrap();
    for threads in [1, 3] {
        let got = with_threads(threads, || moments(&x)).unwrap();
        assert_close("mean", &got.mean, &[1e4], 0.0);
        assert_close("variance", &got.variance, &[1.25], 1e-6);
    }
}

#[test]
fn forward_equals_its_formula() {
    for_all(Operands::frozen, |operands, _, tolerance| {
        let sizes = operands.sizes;
        let [x, gamma, beta] = [&operands.x, &operands.gamma, &operands.beta].map(values);
        let expected = sizes.assembled(1, |_, c| {
            let channel = operands.channel(c);
            let normal = channel.normalised(&sizes.entries(&x, 0, c));
            normal.iter().map(|x| gamma[c] * x + beta[c]).collect()
        });
        let y = forward(
            &operands.x,
            &operands.mean,
            &operands.r,
            &operands.gamma,
            &operands.beta,
        );
        assert_close(&format!("{sizes:?}"), &y.unwrap(), &expected, tolerance);
    });
}
