//! Both paths against loops over every window in float64.

mod linear;
mod refusals;

use candle_core::{DType, Device, Tensor};

use super::{Pooling, max_forward, max_gather, max_scatter};
use crate::parallel::with_threads;
use crate::real::with_candle_path;
use crate::seeded::{NUMBER_TYPES, assert_close, uniform, values};

#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    vectors: usize,
    channels: usize,
    height: usize,
    width: usize,
}

/// Planes of one entry, odd and even, wide and tall; windows that cover them and that do not.
const SIZES: [Sizes; 6] = {
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
        sizes(2, 3, 1, (4, 4)),
        sizes(1, 2, 3, (5, 5)),
        sizes(3, 1, 2, (7, 4)),
        sizes(2, 2, 2, (6, 9)),
        sizes(5, 3, 1, (4, 17)),
    ]
};

impl Sizes {
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

    fn area(self) -> usize {
        self.height * self.width
    }
}

/// Kernels 1 to 4 with strides 1 to 3.
fn poolings() -> impl Iterator<Item = Pooling> {
    (1..=4).flat_map(|kernel| (1..=3).map(move |stride| Pooling { kernel, stride }))
}

/// Calls `check` for every size and pooling that fit, number type, number of threads and path.
fn for_all(check: impl Fn(Sizes, Pooling, (usize, usize), DType, f64) + Send + Sync) {
    for sizes in SIZES {
        for pooling in poolings() {
            let output = (pooling.output(sizes.height), pooling.output(sizes.width));
            let (Some(height), Some(width)) = output else {
                continue;
            };
            for (dtype, tolerance) in NUMBER_TYPES {
                for threads in [1, 3] {
                    with_threads(threads, || {
                        check(sizes, pooling, (height, width), dtype, tolerance);
                    });
                }
                with_candle_path(|| check(sizes, pooling, (height, width), dtype, tolerance));
            }
        }
    }
}

/// Row-major places in a plane `input_width` wide of the window of output (row, column).
fn window(
    Pooling { kernel, stride }: Pooling,
    input_width: usize,
    row: usize,
    column: usize,
) -> impl Iterator<Item = usize> {
    (0..kernel).flat_map(move |i| {
        (0..kernel).map(move |j| (row * stride + i) * input_width + column * stride + j)
    })
}

/// The windows of a plane, row-major.
fn windows(
    pooling: Pooling,
    input_width: usize,
    (height, width): (usize, usize),
) -> Vec<Vec<usize>> {
    (0..height * width)
        .map(|index| window(pooling, input_width, index / width, index % width).collect())
        .collect()
}

/// For every window of every plane, the place of the first largest entry.
fn naive_argmax(x: &[f64], area: usize, windows: &[Vec<usize>]) -> Vec<usize> {
    let mut places = Vec::new();
    for plane in x.chunks(area) {
        for window in windows {
            let largest = window
                .iter()
                .map(|&at| plane[at])
                .fold(f64::NEG_INFINITY, f64::max);
            places.extend(window.iter().find(|&&at| plane[at] == largest));
        }
    }
    places
}

fn places(argmax: &Tensor) -> Vec<usize> {
    let places = argmax.flatten_all().unwrap().to_vec1::<u32>().unwrap();
    places.into_iter().map(|place| place as usize).collect()
}

#[test]
fn outputs_are_counted_as_in_pytorch() {
    for (input, kernel, stride, expected) in [
        (32, 2, 2, Some(16)),
        (5, 2, 2, Some(2)),
        (7, 3, 2, Some(3)),
        (8, 3, 2, Some(3)),
        (9, 3, 4, Some(2)),
        (3, 3, 5, Some(1)),
        (2, 3, 1, None),
        (4, 0, 1, None),
        (4, 2, 0, None),
        (0, 1, 1, None),
    ] {
        let pooling = Pooling { kernel, stride };
        assert_eq!(pooling.output(input), expected, "{pooling:?} of {input}");
    }
}

#[test]
fn maxima_and_their_places_equal_loops() {
    for_all(|sizes, pooling, output, dtype, _| {
        let x = uniform(sizes.primal(), 1, dtype);
        // Rounded to quarters, so that windows have ties.
        let coarse = ((&x * 4.0).unwrap().round().unwrap() / 4.0).unwrap();
        for x in [x, coarse] {
            let windows = windows(pooling, sizes.width, output);
            let expected = naive_argmax(&values(&x), sizes.area(), &windows);
            let expected_y: Vec<f64> = expected
                .iter()
                .enumerate()
                .map(|(index, place)| values(&x)[index / windows.len() * sizes.area() + place])
                .collect();
            {
                let (y, argmax) = max_forward(&x, pooling).unwrap();
                let shape = (sizes.batch, sizes.channels, output.0, output.1);
                assert_eq!(argmax.dims4().unwrap(), shape);
                assert_eq!(y.dims4().unwrap(), shape);
                assert_eq!(places(&argmax), expected, "{sizes:?} {pooling:?}");
                assert_close("y", &y, &expected_y, 0.0);
            }
        }
    });
}

#[test]
fn what_is_not_a_number_wins_and_the_last_of_it() {
    let nan = f64::NAN;
    let low = f64::NEG_INFINITY;
    // A later entry wins that is larger or not a number: the condition of PyTorch's own kernels.
    for (plane, place) in [
        ([1.0, 2.0, 3.0, 4.0], 3),
        ([nan, 2.0, 3.0, 4.0], 0),
        ([1.0, nan, 3.0, 4.0], 1),
        ([1.0, nan, nan, 4.0], 2),
        ([nan, nan, nan, nan], 3),
        ([low, low, low, low], 0),
        ([-0.0, 0.0, -1.0, 0.0], 0),
    ] {
        let x = Tensor::new(&plane, &Device::Cpu)
            .and_then(|x| x.reshape((1, 1, 2, 2)))
            .unwrap();
        let pooling = Pooling {
            kernel: 2,
            stride: 2,
        };
        let forward = || max_forward(&x, pooling).unwrap();
        for (y, argmax) in [forward(), with_candle_path(forward)] {
            assert_eq!(places(&argmax), [place], "{plane:?}");
            assert_eq!(values(&y)[0].to_bits(), plane[place].to_bits(), "{plane:?}");
        }
    }
}

#[test]
fn tangents_and_cotangents_of_maxima_equal_loops() {
    for_all(|sizes, pooling, (height, width), dtype, tolerance| {
        let x = uniform(sizes.primal(), 1, dtype);
        let argmax = max_forward(&x, pooling).unwrap().1;
        let (places, area) = (places(&argmax), sizes.area());
        let (vectors, channels, count) = (sizes.vectors, sizes.channels, height * width);
        // (place of the plane in the block, index of the window, entry of the plane)
        let maxima = (0..sizes.batch * vectors * channels).flat_map(|plane| {
            let (row, channel) = (plane / channels, plane % channels);
            let primal = row / vectors * channels + channel;
            let places = places[primal * count..][..count].iter();
            places
                .enumerate()
                .map(move |(index, &place)| (plane, index, place))
        });

        let block = uniform(sizes.block(), 2, dtype);
        let dx = values(&block);
        let expected: Vec<f64> = maxima
            .clone()
            .map(|(plane, _, place)| dx[plane * area + place])
            .collect();
        let shape = (sizes.batch, vectors, channels, height, width);
        let gathered = max_gather(&argmax, &block).unwrap();
        assert_eq!(gathered.dims5().unwrap(), shape);
        assert_close("tangent", &gathered, &expected, 0.0);

        let cotangent = uniform(shape, 3, dtype);
        let ybar = values(&cotangent);
        let mut expected = vec![0.0; dx.len()];
        for (plane, index, place) in maxima {
            expected[plane * area + place] += ybar[plane * count + index];
        }
        let input = (sizes.height, sizes.width);
        let scattered = max_scatter(&argmax, &cotangent, input).unwrap();
        assert_eq!(scattered.dims5().unwrap(), sizes.block());
        assert_close("cotangent", &scattered, &expected, tolerance);
    });
}
