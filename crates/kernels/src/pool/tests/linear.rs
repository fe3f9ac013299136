//! Average and global average pooling and their transposes.

use candle_core::{DType, Tensor};

use super::super::{average, average_transposed, global_average, global_average_transposed};
use super::{Pooling, for_all, windows};
use crate::seeded::{assert_close, uniform, values};

/// The tensor and the block of every size.
fn operands(sizes: super::Sizes, plane: (usize, usize), dtype: DType) -> [Tensor; 2] {
    let (batch, vectors, channels) = (sizes.batch, sizes.vectors, sizes.channels);
    [
        uniform((batch, channels, plane.0, plane.1), 1, dtype),
        uniform((batch, vectors, channels, plane.0, plane.1), 2, dtype),
    ]
}

fn plane_of(x: &Tensor) -> (usize, usize) {
    let dims = x.dims();
    (dims[dims.len() - 2], dims[dims.len() - 1])
}

#[test]
fn window_means_equal_loops() {
    for_all(|sizes, pooling, output, dtype, tolerance| {
        let weight = 1.0 / (pooling.kernel * pooling.kernel) as f64;
        let windows = windows(pooling, sizes.width, output);
        for x in operands(sizes, (sizes.height, sizes.width), dtype) {
            let mut expected = Vec::new();
            for plane in values(&x).chunks(sizes.area()) {
                let sum = |window: &Vec<usize>| window.iter().map(|&at| plane[at]).sum::<f64>();
                expected.extend(windows.iter().map(|window| weight * sum(window)));
            }
            let means = average(&x, pooling).unwrap();
            assert_eq!(plane_of(&means), output);
            assert_eq!(means.dims()[..x.rank() - 2], x.dims()[..x.rank() - 2]);
            assert_close("means", &means, &expected, tolerance);
        }
    });
}

#[test]
fn transposed_window_means_equal_loops() {
    for_all(|sizes, pooling, output, dtype, tolerance| {
        let weight = 1.0 / (pooling.kernel * pooling.kernel) as f64;
        let windows = windows(pooling, sizes.width, output);
        let input = (sizes.height, sizes.width);
        for cotangent in operands(sizes, output, dtype) {
            let mut expected = Vec::new();
            for cotangents in values(&cotangent).chunks(windows.len()) {
                let mut plane = vec![0.0; sizes.area()];
                for (window, cotangent) in windows.iter().zip(cotangents) {
                    window
                        .iter()
                        .for_each(|&at| plane[at] += weight * cotangent);
                }
                expected.extend(plane);
            }
            let spread = average_transposed(&cotangent, input, pooling).unwrap();
            assert_eq!(plane_of(&spread), input);
            assert_close("spread", &spread, &expected, tolerance);
        }
    });
}

#[test]
fn global_means_and_their_transpose_equal_loops() {
    for_all(|sizes, _, _, dtype, tolerance| {
        let plane = (sizes.height, sizes.width);
        let area = sizes.area();
        for x in operands(sizes, plane, dtype) {
            let expected: Vec<f64> = values(&x)
                .chunks(area)
                .map(|plane| plane.iter().sum::<f64>() / area as f64)
                .collect();
            let means = global_average(&x).unwrap();
            assert_eq!(means.dims(), &x.dims()[..x.rank() - 2]);
            assert_close("means", &means, &expected, tolerance);

            let expected: Vec<f64> = values(&means)
                .iter()
                .flat_map(|mean| std::iter::repeat_n(mean / area as f64, area))
                .collect();
            let spread = global_average_transposed(&means, plane).unwrap();
            assert_eq!(spread.dims(), x.dims());
            assert_close("spread", &spread, &expected, tolerance);
        }
    });
}

#[test]
fn what_does_not_fit_is_an_error() {
    let pooling = Pooling {
        kernel: 2,
        stride: 2,
    };
    for shape in [&[4, 6][..], &[3, 4, 6], &[1, 1, 2, 3, 4, 6]] {
        let x = uniform(shape, 1, DType::F64);
        assert!(average(&x, pooling).is_err(), "{shape:?}");
        assert!(
            average_transposed(&x, (8, 12), pooling).is_err(),
            "{shape:?}"
        );
        assert!(global_average(&x).is_err(), "{shape:?}");
    }
    let cotangent = uniform((2, 3, 2, 3), 1, DType::F64);
    for input in [(6, 6), (4, 8), (3, 6), (1, 6)] {
        assert!(
            average_transposed(&cotangent, input, pooling).is_err(),
            "{input:?}"
        );
    }
    assert!(average_transposed(&cotangent, (5, 7), pooling).is_ok());
    let half = cotangent.to_dtype(DType::F16).unwrap();
    assert!(average(&half, pooling).is_err());
    assert!(global_average(&half).is_err());
    assert!(global_average(&uniform((2, 3, 0, 4), 1, DType::F64)).is_err());
    let cotangent = uniform((2, 3), 1, DType::F64);
    assert!(global_average_transposed(&cotangent, (0, 4)).is_err());
    assert!(global_average_transposed(&uniform(6, 1, DType::F64), (2, 2)).is_err());
}
