//! The passes against formulas for one channel in float64, and those formulas against differences.

mod channel;

use candle_core::{DType, Device, Tensor};

use super::{Point, batch, forward, frozen, moments};
use crate::parallel::with_threads;
use crate::real::with_candle_path;
use crate::seeded::{NUMBER_TYPES, Sizes, assert_close, uniform, values};
use channel::Statistics::{Batch, Frozen};
use channel::{Channel, Statistics, inner, mean};

/// ε in r = (variance + ε)^(-1/2): large, so that channels with few entries are as well conditioned
/// as the others.
const EPSILON: f64 = 0.1;

/// One entry per channel and many, planes of one entry, planes that are no multiple of a SIMD width,
/// and one that is longer than what is added up in single precision.
const SIZES: [[usize; 5]; 7] = [
    [1, 1, 1, 1, 1],
    [1, 3, 2, 1, 1],
    [5, 2, 3, 1, 1],
    [2, 1, 3, 1, 5],
    [4, 3, 2, 3, 3],
    [3, 2, 4, 9, 7],
    [1, 2, 1, 71, 59],
];

/// Operands of every pass, named as in the module's head, and their elements.
struct Operands {
    sizes: Sizes,
    dtype: DType,
    statistics: Statistics,
    tolerance: f64,
    x: (Tensor, Vec<f64>),
    gamma: (Tensor, Vec<f64>),
    beta: (Tensor, Vec<f64>),
    dx: (Tensor, Vec<f64>),
    dgamma: (Tensor, Vec<f64>),
    dbeta: (Tensor, Vec<f64>),
    /// ȳ of a block, (B, V, C, H, W)
    block: (Tensor, Vec<f64>),
    /// ȳ of the primal sweep, (B, C, H, W)
    primal: (Tensor, Vec<f64>),
    mean: Tensor,
    r: Tensor,
}

impl Operands {
    fn new(sizes: Sizes, dtype: DType, statistics: Statistics) -> Self {
        let with_values = |tensor: Tensor| {
            let values = values(&tensor);
            (tensor, values)
        };
        let parameters = (sizes.vectors, sizes.channels);
        let x = with_values(uniform(sizes.primal(), 1, dtype));
        let per_channel = |number: &dyn Fn(Channel) -> f64| {
            let channels = 0..sizes.channels;
            let numbers =
                channels.map(|c| number(Channel::of(&sizes.entries(&x.1, 0, c), EPSILON)));
            let numbers = Tensor::from_iter(numbers, &Device::Cpu);
            numbers.and_then(|numbers| numbers.to_dtype(dtype)).unwrap()
        };
        let (mean, r) = match statistics {
            // Those of no x.
            Frozen => (
                uniform(sizes.channels, 9, dtype),
                (uniform(sizes.channels, 10, dtype) + 2.0).unwrap(),
            ),
            Batch => (
                per_channel(&|channel| channel.mean),
                per_channel(&|channel| channel.r),
            ),
        };
        Self {
            gamma: with_values(uniform(sizes.channels, 2, dtype)),
            beta: with_values(uniform(sizes.channels, 3, dtype)),
            dx: with_values(uniform(sizes.block(), 4, dtype)),
            dgamma: with_values(uniform(parameters, 5, dtype)),
            dbeta: with_values(uniform(parameters, 6, dtype)),
            block: with_values(uniform(sizes.block(), 7, dtype)),
            primal: with_values(uniform(sizes.primal(), 8, dtype)),
            x,
            mean,
            r,
            sizes,
            dtype,
            statistics,
            tolerance: 0.0,
        }
    }

    fn channel(&self, channel: usize) -> Channel {
        Channel {
            statistics: self.statistics,
            mean: values(&self.mean)[channel],
            r: values(&self.r)[channel],
        }
    }

    fn point(&self) -> Point<'_> {
        Point {
            x: &self.x.0,
            mean: &self.mean,
            r: &self.r,
            gamma: &self.gamma.0,
        }
    }

    /// Entries of a channel of x.
    fn x(&self, channel: usize) -> Vec<f64> {
        self.sizes.entries(&self.x.1, 0, channel)
    }

    #[track_caller]
    fn assert(&self, got: &Tensor, expected: &[f64]) {
        let what = format!("{:?} {:?}", self.sizes, self.statistics);
        assert_close(&what, got, expected, self.tolerance);
    }

    /// (V, C) to be added to.
    fn parameter_sum(&self, seed: u64) -> Tensor {
        uniform((self.sizes.vectors, self.sizes.channels), seed, self.dtype)
    }
}

/// Runs `check` for every kind of statistics, size, number type, number of threads and path. Results
/// that are sums over the entries of a channel have errors that grow with their number.
fn for_all(check: impl Fn(&Operands) + Sync + Send) {
    for (sizes, statistics) in SIZES
        .iter()
        .flat_map(|&sizes| [(sizes, Frozen), (sizes, Batch)])
    {
        for (dtype, tolerance) in NUMBER_TYPES {
            let mut operands = Operands::new(Sizes::new(sizes), dtype, statistics);
            let entries = (operands.sizes.batch * operands.sizes.area()) as f64;
            operands.tolerance = tolerance * (entries / 10.0).max(1.0);
            for threads in [1, 3] {
                with_threads(threads, || check(&operands));
            }
            with_candle_path(|| check(&operands));
        }
    }
}

#[test]
fn moments_equal_their_formulas() {
    for_all(|o| {
        let got = moments(&o.x.0, 1e-5).unwrap();
        let means: Vec<f64> = (0..o.sizes.channels)
            .map(|c| mean(o.x(c).into_iter()))
            .collect();
        let variance = |c| mean(o.x(c).into_iter().map(|x| (x - means[c]).powi(2)));
        let variances: Vec<f64> = (0..o.sizes.channels).map(variance).collect();
        o.assert(&got.mean, &means);
        o.assert(&got.variance, &variances);
    });
}

#[test]
fn the_variance_of_a_channel_far_from_zero_keeps_its_digits() {
    let spread = [-1.5f32, -0.5, 0.5, 1.5];
    let entries: Vec<f32> = (0..400).map(|index| 1e4 + spread[index % 4]).collect();
    let x = Tensor::from_vec(entries, (4, 1, 10, 10), &Device::Cpu).unwrap();
    for threads in [1, 3] {
        let got = with_threads(threads, || moments(&x, 1e-5)).unwrap();
        assert_close("mean", &got.mean, &[1e4], 0.0);
        assert_close("variance", &got.variance, &[1.25], 1e-6);
    }
}

#[test]
fn forward_equals_its_formula() {
    for_all(|o| {
        let expected = o.sizes.assembled(1, |_, c| {
            let normal = o.channel(c).normalised(&o.x(c)).into_iter();
            normal.map(|x| o.gamma.1[c] * x + o.beta.1[c]).collect()
        });
        let y = forward(o.point(), &o.beta.0);
        o.assert(&y.unwrap(), &expected);
    });
}

#[test]
fn tangents_equal_their_formula() {
    for_all(|o| {
        let tangent = match o.statistics {
            Frozen => frozen::tangent,
            Batch => batch::tangent,
        };
        for dx in [None, Some(&o.dx.0)] {
            let expected = o.sizes.assembled(o.sizes.vectors, |v, c| {
                let (channel, at, x) = (o.channel(c), v * o.sizes.channels + c, o.x(c));
                let dnormal = match dx {
                    Some(_) => {
                        channel
                            .normalised_tangent(&x, &o.sizes.entries(&o.dx.1, v, c))
                            .0
                    }
                    None => vec![0.0; x.len()],
                };
                let pairs = dnormal.iter().zip(channel.normalised(&x));
                let (g, dg, db) = (o.gamma.1[c], o.dgamma.1[at], o.dbeta.1[at]);
                pairs
                    .map(|(dnormal, normal)| g * dnormal + dg * normal + db)
                    .collect()
            });
            let (dgamma, dbeta) = (&o.dgamma.0, &o.dbeta.0);
            let dy = tangent(o.point(), dx, dgamma, dbeta).unwrap();
            assert_eq!(dy.dims5().unwrap(), o.sizes.block());
            o.assert(&dy, &expected);
        }
    });
}

#[test]
fn cotangents_equal_their_formulas_and_are_added() {
    for_all(|o| {
        let (sizes, y_bar) = (o.sizes, |v, c| o.sizes.entries(&o.block.1, v, c));
        let expected = sizes.assembled(sizes.vectors, |v, c| {
            o.channel(c)
                .input_cotangent(&o.x(c), o.gamma.1[c], &y_bar(v, c))
        });
        let block = &o.block.0;
        let x_bar = match o.statistics {
            Frozen => frozen::input_cotangent(&o.r, &o.gamma.0, block),
            Batch => batch::input_cotangent(o.point(), block),
        };
        o.assert(&x_bar.unwrap(), &expected);

        let (gamma_sum, beta_sum) = (o.parameter_sum(11), o.parameter_sum(12));
        let normal = |c| o.channel(c).normalised(&o.x(c));
        let gammas = sizes.added(&gamma_sum, |v, c| inner(&normal(c), &y_bar(v, c)));
        let betas = sizes.added(&beta_sum, |v, c| y_bar(v, c).iter().sum());
        frozen::accumulate_cotangent(o.point(), block, &gamma_sum, &beta_sum).unwrap();
        o.assert(&gamma_sum, &gammas);
        o.assert(&beta_sum, &betas);
    });
}

#[test]
fn second_order_terms_equal_their_formulas_and_are_added() {
    for_all(|o| {
        let sizes = o.sizes;
        let zeros = vec![0.0; o.dx.1.len()];
        let y_bar = |c| sizes.entries(&o.primal.1, 0, c);
        for (input, dx) in [(None, &zeros), (Some(&o.dx.0), &o.dx.1)] {
            let start = o.parameter_sum(11);
            let gammas = sizes.added(&start, |v, c| {
                let dx = sizes.entries(dx, v, c);
                let (dnormal, _) = o.channel(c).normalised_tangent(&o.x(c), &dx);
                inner(&y_bar(c), &dnormal)
            });
            let input_sum = uniform(sizes.block(), 12, o.dtype);
            let start_of_input = values(&input_sum);
            let inputs = sizes.assembled(sizes.vectors, |v, c| {
                let scales = (o.gamma.1[c], o.dgamma.1[v * sizes.channels + c]);
                let dx = sizes.entries(dx, v, c);
                let terms = (o.channel(c)).input_cotangent_tangent(&o.x(c), scales, &y_bar(c), &dx);
                let start = sizes.entries(&start_of_input, v, c).into_iter();
                start.zip(terms).map(|(start, term)| start + term).collect()
            });
            for sum in [None, Some(&input_sum)] {
                let gamma_sum = start.copy().unwrap();
                let (primal, dgamma) = (&o.primal.0, &o.dgamma.0);
                let added = match o.statistics {
                    Frozen => {
                        frozen::add_second_order(&o.r, primal, input, dgamma, &gamma_sum, sum)
                    }
                    Batch => {
                        batch::add_second_order(o.point(), primal, input, dgamma, &gamma_sum, sum)
                    }
                };
                added.unwrap();
                o.assert(&gamma_sum, &gammas);
            }
            o.assert(&input_sum, &inputs);
        }
    });
}

/// Half the distance of a central difference: its error is of the order of the square, the rounding
/// of values of order one divided by it.
const STEP: f64 = 1e-5;

/// (f(STEP) - f(-STEP)) / (2 STEP) for every element.
fn difference(function: impl Fn(f64) -> Vec<f64>) -> Vec<f64> {
    let (after, before) = (function(STEP), function(-STEP));
    let pairs = after.iter().zip(&before);
    pairs
        .map(|(after, before)| (after - before) / (2.0 * STEP))
        .collect()
}

#[track_caller]
fn assert_near(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-7, "{got} and {expected}");
    }
}

#[test]
fn formulas_equal_central_differences() {
    for sizes in SIZES.map(Sizes::new) {
        let o = Operands::new(sizes, DType::F64, Batch);
        for c in 0..sizes.channels {
            let (x, dx) = (o.x(c), sizes.entries(&o.dx.1, 0, c));
            let (y_bar, g, dg) = (
                sizes.entries(&o.primal.1, 0, c),
                o.gamma.1[c],
                o.dgamma.1[c],
            );
            let moved = |step: f64| -> (Vec<f64>, Channel) {
                let pairs = x.iter().zip(&dx);
                let x: Vec<f64> = pairs.map(|(x, dx)| x + step * dx).collect();
                let channel = Channel::of(&x, EPSILON);
                (x, channel)
            };
            let channel = Channel::of(&x, EPSILON);
            let (dnormal, dr_over_r) = channel.normalised_tangent(&x, &dx);
            let normal = difference(|step| {
                let (x, channel) = moved(step);
                channel.normalised(&x)
            });
            assert_near(&normal, &dnormal);
            let r = difference(|step| vec![moved(step).1.r]);
            assert_near(&r, &[dr_over_r * channel.r]);

            // <ȳ, γ x̂̇> = <x̄, ẋ>: the cotangent is the transpose of the tangent.
            let x_bar = channel.input_cotangent(&x, g, &y_bar);
            assert_near(&[g * inner(&y_bar, &dnormal)], &[inner(&x_bar, &dx)]);

            let x_bar = difference(|step| {
                let (x, channel) = moved(step);
                channel.input_cotangent(&x, g + step * dg, &y_bar)
            });
            let tangent = channel.input_cotangent_tangent(&x, (g, dg), &y_bar, &dx);
            assert_near(&x_bar, &tangent);
        }
    }
}

#[test]
fn a_sum_that_shares_its_storage_with_an_operand_is_an_error_and_unchanged() {
    let o = Operands::new(Sizes::new([3, 2, 4, 2, 5]), DType::F64, Frozen);
    let (primal, dx, dgamma) = (&o.primal.0, &o.dx.0, &o.dgamma.0);
    let sum = dgamma.copy().unwrap();
    let added = batch::add_second_order(o.point(), primal, Some(dx), dgamma, &sum, Some(dx));
    assert!(added.is_err());
    assert_eq!(values(dx), o.dx.1);
    let one_vector = uniform((3, 1, 4, 2, 5), 1, DType::F64);
    let view = one_vector.squeeze(1).unwrap();
    let weight = dgamma.narrow(0, 0, 1).unwrap();
    let gamma_sum = weight.copy().unwrap();
    let sum = Some(&one_vector);
    assert!(frozen::add_second_order(&o.r, &view, None, &weight, &gamma_sum, sum).is_err());
}

#[test]
fn moments_of_nothing_are_an_error() {
    for shape in [[0, 2, 3, 3], [2, 2, 0, 3]] {
        let x = Tensor::zeros(&shape, DType::F64, &Device::Cpu).unwrap();
        assert!(moments(&x, 1e-5).is_err(), "{shape:?}");
    }
}
