//! Both paths against loops over every window in float64.

use candle_core::{DType, Device, Tensor};

use super::{
    Pooling, average, average_transposed, global_average, global_average_transposed, max_forward,
    max_gather, max_scatter,
};
use crate::parallel::with_threads;
use crate::real::with_candle_path;
use crate::seeded::{NUMBER_TYPES, Sizes, assert_close, uniform, values};

/// Planes of one entry, odd and even, wide and tall; windows that cover them and that do not.
const SIZES: [[usize; 5]; 6] = [
    [1, 1, 1, 1, 1],
    [2, 3, 1, 4, 4],
    [1, 2, 3, 5, 5],
    [3, 1, 2, 7, 4],
    [2, 2, 2, 6, 9],
    [5, 3, 1, 4, 17],
];

/// A size and a pooling that fit.
#[derive(Clone, Debug)]
struct Case {
    sizes: Sizes,
    pooling: Pooling,
    /// (H', W')
    output: (usize, usize),
    /// Row-major places in a plane of the entries of each window.
    windows: Vec<Vec<usize>>,
    dtype: DType,
    tolerance: f64,
}

/// Calls `check` for every size, pooling by kernels 1 to 4 with strides 1 to 3 that fits, number type,
/// number of threads and path.
fn for_all(check: impl Fn(&Case) + Send + Sync) {
    let poolings = (1..=4).flat_map(|kernel| (1..=3).map(move |stride| Pooling { kernel, stride }));
    for (sizes, pooling) in poolings.flat_map(|pooling| SIZES.map(|sizes| (sizes, pooling))) {
        let sizes = Sizes::new(sizes);
        let output = pooling
            .output(sizes.height)
            .zip(pooling.output(sizes.width));
        let Some(output) = output else {
            continue;
        };
        let Pooling { kernel, stride } = pooling;
        let window = |index: usize| -> Vec<usize> {
            let (row, column) = (index / output.1 * stride, index % output.1 * stride);
            (0..kernel * kernel)
                .map(|at| (row + at / kernel) * sizes.width + column + at % kernel)
                .collect()
        };
        for (dtype, tolerance) in NUMBER_TYPES {
            let case = Case {
                sizes,
                pooling,
                output,
                windows: (0..output.0 * output.1).map(window).collect(),
                dtype,
                tolerance,
            };
            for threads in [1, 3] {
                with_threads(threads, || check(&case));
            }
            with_candle_path(|| check(&case));
        }
    }
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
    for_all(|case| {
        let x = uniform(case.sizes.primal(), 1, case.dtype);
        // Rounded to quarters, so that windows have ties.
        let coarse = ((&x * 4.0).unwrap().round().unwrap() / 4.0).unwrap();
        for x in [x, coarse] {
            let (mut first, mut largest) = (Vec::<usize>::new(), Vec::new());
            for plane in values(&x).chunks(case.sizes.area()) {
                for window in &case.windows {
                    let entries = window.iter().map(|&at| plane[at]);
                    largest.push(entries.fold(f64::NEG_INFINITY, f64::max));
                    let mut places = window.iter();
                    first.extend(places.find(|&&at| Some(&plane[at]) == largest.last()));
                }
            }
            let (y, argmax) = max_forward(&x, case.pooling).unwrap();
            let (batch, channels, _, _) = case.sizes.primal();
            let shape = (batch, channels, case.output.0, case.output.1);
            assert_eq!(argmax.dims4().unwrap(), shape);
            assert_eq!(y.dims4().unwrap(), shape);
            assert_eq!(places(&argmax), first, "{case:?}");
            assert_close("y", &y, &largest, 0.0);
        }
    });
}

#[test]
fn what_is_not_a_number_wins_and_the_last_of_it() {
    let nan = f64::NAN;
    let low = f64::NEG_INFINITY;
    let (kernel, stride) = (2, 2);
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
        let x = Tensor::from_slice(&plane, (1, 1, 2, 2), &Device::Cpu).unwrap();
        let forward = || max_forward(&x, Pooling { kernel, stride }).unwrap();
        for (y, argmax) in [forward(), with_candle_path(forward)] {
            assert_eq!(places(&argmax), [place], "{plane:?}");
            assert_eq!(values(&y)[0].to_bits(), plane[place].to_bits(), "{plane:?}");
        }
    }
}

#[test]
fn tangents_and_cotangents_of_maxima_equal_loops() {
    for_all(|case| {
        let Sizes {
            batch,
            vectors,
            channels,
            height,
            width,
        } = case.sizes;
        let x = uniform(case.sizes.primal(), 1, case.dtype);
        let argmax = max_forward(&x, case.pooling).unwrap().1;
        let (places, area, count) = (places(&argmax), height * width, case.windows.len());
        // (place of the plane in the block, index of the window, entry of the plane)
        let maxima = (0..batch * vectors * channels).flat_map(|plane| {
            let (row, channel) = (plane / channels, plane % channels);
            let primal = row / vectors * channels + channel;
            let places = places[primal * count..][..count].iter().enumerate();
            places.map(move |(index, &place)| (plane, index, place))
        });

        let block = uniform(case.sizes.block(), 2, case.dtype);
        let dx = values(&block);
        let entries = maxima.clone();
        let expected: Vec<f64> = entries
            .map(|(plane, _, at)| dx[plane * area + at])
            .collect();
        let shape = (batch, vectors, channels, case.output.0, case.output.1);
        let gathered = max_gather(&argmax, &block).unwrap();
        assert_eq!(gathered.dims5().unwrap(), shape);
        assert_close("tangent", &gathered, &expected, 0.0);

        let cotangent = uniform(shape, 3, case.dtype);
        let y_bar = values(&cotangent);
        let mut expected = vec![0.0; dx.len()];
        for (plane, index, place) in maxima {
            expected[plane * area + place] += y_bar[plane * count + index];
        }
        let scattered =
            max_scatter(&argmax, &cotangent, (height, width), Some(case.pooling)).unwrap();
        assert_eq!(scattered.dims5().unwrap(), case.sizes.block());
        assert_close("cotangent", &scattered, &expected, case.tolerance);
    });
}

/// A tensor and a block with these planes.
fn operands(case: &Case, (height, width): (usize, usize)) -> [Tensor; 2] {
    let Sizes {
        batch,
        vectors,
        channels,
        ..
    } = case.sizes;
    [
        uniform((batch, channels, height, width), 1, case.dtype),
        uniform((batch, vectors, channels, height, width), 2, case.dtype),
    ]
}

#[test]
fn window_means_and_their_transpose_equal_loops() {
    for_all(|case| {
        let plane = (case.sizes.height, case.sizes.width);
        let weight = 1.0 / (case.pooling.kernel * case.pooling.kernel) as f64;
        let (images, results) = (operands(case, plane), operands(case, case.output));
        for (x, y) in images.iter().zip(&results) {
            let mut expected = Vec::new();
            for plane in values(x).chunks(case.sizes.area()) {
                let sum = |window: &Vec<usize>| window.iter().map(|&at| plane[at]).sum::<f64>();
                expected.extend(case.windows.iter().map(|window| weight * sum(window)));
            }
            let means = average(x, case.pooling).unwrap();
            assert_eq!(means.dims(), y.dims());
            assert_close("means", &means, &expected, case.tolerance);

            let mut expected = Vec::new();
            for cotangents in values(y).chunks(case.windows.len()) {
                let mut plane = vec![0.0; case.sizes.area()];
                for (window, cotangent) in case.windows.iter().zip(cotangents) {
                    for &at in window {
                        plane[at] += weight * cotangent;
                    }
                }
                expected.extend(plane);
            }
            let spread = average_transposed(y, plane, case.pooling).unwrap();
            assert_eq!(spread.dims(), x.dims());
            assert_close("spread", &spread, &expected, case.tolerance);
        }
    });
}

#[test]
fn global_means_and_their_transpose_equal_loops() {
    for_all(|case| {
        let (plane, area) = ((case.sizes.height, case.sizes.width), case.sizes.area());
        for x in operands(case, plane) {
            let elements = values(&x);
            let means = elements.chunks(area);
            let expected: Vec<f64> = means.map(|x| x.iter().sum::<f64>() / area as f64).collect();
            let means = global_average(&x).unwrap();
            assert_eq!(means.dims(), &x.dims()[..x.rank() - 2]);
            assert_close("means", &means, &expected, case.tolerance);

            let spread = values(&means).into_iter();
            let spread = spread.flat_map(|mean| std::iter::repeat_n(mean / area as f64, area));
            let expected: Vec<f64> = spread.collect();
            let spread = global_average_transposed(&means, plane).unwrap();
            assert_eq!(spread.dims(), x.dims());
            assert_close("spread", &spread, &expected, case.tolerance);
        }
    });
}

#[test]
fn planes_that_do_not_fit_are_errors() {
    let (kernel, stride) = (2, 2);
    let pooling = Pooling { kernel, stride };
    let x = uniform((2, 3, 4, 6), 1, DType::F64);
    for pooling in [
        Pooling { kernel: 5, stride },
        Pooling { kernel: 0, stride },
        Pooling { kernel, stride: 0 },
    ] {
        assert!(max_forward(&x, pooling).is_err(), "{pooling:?}");
        assert!(average(&x, pooling).is_err(), "{pooling:?}");
        assert!(average_transposed(&x, (4, 6), pooling).is_err());
    }
    for shape in [&[4, 6][..], &[3, 4, 6], &[1, 1, 2, 3, 4, 6]] {
        let x = uniform(shape, 1, DType::F64);
        assert!(average(&x, pooling).is_err(), "{shape:?}");
        assert!(average_transposed(&x, (8, 12), pooling).is_err());
        assert!(global_average(&x).is_err(), "{shape:?}");
    }
    assert!(max_forward(&x.transpose(2, 3).unwrap(), pooling).is_err());
    let y = uniform((2, 3, 2, 3), 1, DType::F64);
    for input in [(6, 6), (4, 8), (3, 6), (1, 6)] {
        assert!(average_transposed(&y, input, pooling).is_err(), "{input:?}");
    }
    assert!(average_transposed(&y, (5, 7), pooling).is_ok());
    let (_, argmax) = max_forward(&x, pooling).unwrap();
    // Of planes of other entries the places may lie beyond.
    for (height, width) in [(3, 6), (4, 5), (4, 6)] {
        let block = uniform((2, 1, 3, height, width), 2, DType::F64);
        let fits = places(&argmax).iter().all(|&place| place < height * width);
        assert_eq!(
            max_gather(&argmax, &block).is_ok(),
            fits,
            "{height} {width}"
        );
    }
    let y = y.unsqueeze(1).unwrap();
    for input in [(0, 0), (1, 2), (2, 6)] {
        assert!(
            max_scatter(&argmax, &y, input, Some(pooling)).is_err(),
            "{input:?}"
        );
    }
    let integers = argmax.to_dtype(DType::I64).unwrap();
    assert!(max_scatter(&integers, &y, (4, 6), Some(pooling)).is_err());
    assert!(global_average(&uniform((2, 3, 0, 4), 1, DType::F64)).is_err());
    let y = uniform((2, 3), 1, DType::F64);
    assert!(global_average_transposed(&y, (0, 4)).is_err());
    assert!(global_average_transposed(&uniform(6, 1, DType::F64), (2, 2)).is_err());
}
