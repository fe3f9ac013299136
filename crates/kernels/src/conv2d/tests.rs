//! Both paths against loops over every product of the definition, in float64.

mod refusals;
mod rounding;

use candle_core::{DType, Tensor};

use super::{
    Window, accumulate_cotangent, accumulate_second_order, add_second_order, forward,
    input_cotangent, plain, tangent,
};
use crate::samples::{assert_close, uniform, values};
use crate::with_threads;

#[derive(Clone, Copy, Debug)]
struct Case {
    batch: usize,
    vectors: usize,
    /// I, O
    channels: (usize, usize),
    /// H, W
    input: (usize, usize),
    /// kh, kw
    kernel: (usize, usize),
    window: Window,
}

const fn case(
    (batch, vectors): (usize, usize),
    channels: (usize, usize),
    input: (usize, usize),
    kernel: (usize, usize),
    (stride, padding): (usize, usize),
) -> Case {
    Case {
        batch,
        vectors,
        channels,
        input,
        kernel,
        window: Window { stride, padding },
    }
}

/// Odd and even sizes, strides that leave a rest and that do not, kernels that are no squares and
/// paddings that reach beyond the kernel; then the shapes of residual networks, that is one of
/// every blocking and of every remainder of channels and pixels.
const CASES: [Case; 29] = [
    case((1, 1), (1, 1), (1, 1), (1, 1), (1, 0)),
    case((1, 2), (2, 3), (5, 5), (2, 2), (1, 0)),
    case((2, 1), (3, 2), (6, 7), (3, 2), (1, 1)),
    case((2, 3), (2, 4), (7, 5), (1, 3), (1, 2)),
    case((2, 2), (3, 5), (5, 6), (5, 5), (1, 2)),
    case((2, 1), (1, 9), (9, 8), (7, 7), (1, 3)),
    case((1, 2), (2, 3), (4, 3), (4, 6), (1, 3)),
    case((2, 2), (3, 4), (7, 8), (3, 3), (2, 1)),
    case((2, 1), (4, 3), (8, 7), (3, 3), (2, 1)),
    case((1, 3), (2, 2), (9, 9), (2, 3), (2, 0)),
    case((2, 1), (3, 3), (11, 10), (5, 3), (3, 2)),
    case((2, 2), (5, 3), (6, 5), (1, 1), (2, 0)),
    case((2, 1), (2, 3), (5, 4), (1, 1), (1, 2)),
    case((1, 1), (2, 2), (8, 9), (1, 2), (3, 0)),
    case((1, 1), (3, 4), (10, 10), (7, 7), (2, 3)),
    case((3, 2), (5, 7), (6, 7), (1, 1), (1, 0)),
    case((2, 2), (16, 33), (9, 10), (1, 1), (1, 0)),
    case((2, 1), (64, 16), (8, 8), (1, 1), (1, 0)),
    case((2, 1), (1, 2), (2, 2), (3, 3), (1, 1)),
    case((3, 2), (2, 3), (1, 1), (3, 3), (1, 1)),
    case((5, 2), (17, 19), (2, 2), (3, 3), (1, 1)),
    case((3, 3), (16, 16), (7, 9), (3, 3), (1, 1)),
    case((2, 1), (16, 16), (32, 32), (3, 3), (1, 1)),
    case((5, 2), (33, 40), (4, 5), (3, 3), (1, 1)),
    case((4, 1), (48, 64), (8, 8), (3, 3), (1, 1)),
    case((2, 2), (20, 24), (5, 6), (3, 3), (1, 0)),
    case((2, 1), (16, 17), (6, 5), (3, 3), (1, 3)),
    case((2, 2), (3, 16), (12, 12), (3, 3), (1, 1)),
    case((2, 1), (16, 32), (12, 12), (3, 3), (2, 1)),
];

/// One image's share of the definition: all products of an output, a weight and an input, by their
/// places in (O, H', W'), (O, I, kh, kw) and (I, H, W).
fn products(case: Case, mut visit: impl FnMut(usize, usize, usize)) {
    let (inputs, outputs) = case.channels;
    let ((height, width), (rows, columns)) = (case.input, case.kernel);
    let (out_height, out_width) = case.output();
    let (stride, padding) = (case.window.stride as isize, case.window.padding as isize);
    for o in 0..outputs {
        for i in 0..inputs {
            for (p, q) in (0..rows).flat_map(|p| (0..columns).map(move |q| (p, q))) {
                for h in 0..out_height {
                    for w in 0..out_width {
                        let from_h = h as isize * stride + p as isize - padding;
                        let from_w = w as isize * stride + q as isize - padding;
                        let inside = (0..height as isize).contains(&from_h)
                            && (0..width as isize).contains(&from_w);
                        if inside {
                            visit(
                                (o * out_height + h) * out_width + w,
                                ((o * inputs + i) * rows + p) * columns + q,
                                (i * height + from_h as usize) * width + from_w as usize,
                            );
                        }
                    }
                }
            }
        }
    }
}

impl Case {
    fn output(&self) -> (usize, usize) {
        let extent = |input, kernel| self.window.output(input, kernel).unwrap();
        (
            extent(self.input.0, self.kernel.0),
            extent(self.input.1, self.kernel.1),
        )
    }

    /// Elements of one image, of one result and of one kernel.
    fn counts(&self) -> (usize, usize, usize) {
        let ((inputs, outputs), (height, width)) = (self.channels, self.output());
        (
            inputs * self.input.0 * self.input.1,
            outputs * height * width,
            outputs * inputs * self.kernel.0 * self.kernel.1,
        )
    }

    /// Rounding of sums of products of order one: of each of `terms` additions, in units of the
    /// number type, with room for the sums of four operands in a Winograd transform.
    fn bound(&self, terms: usize, dtype: DType) -> f64 {
        let unit = match dtype {
            DType::F32 => f64::from(f32::EPSILON),
            _ => f64::EPSILON,
        };
        (10 + 2 * terms) as f64 * unit
    }

    fn images(&self, seed: u64, dtype: DType) -> Tensor {
        let shape = (self.batch, self.channels.0, self.input.0, self.input.1);
        uniform(shape, seed, dtype)
    }

    /// (B, V, I, H, W)
    fn image_block(&self, seed: u64, dtype: DType) -> Tensor {
        let ((inputs, _), (height, width)) = (self.channels, self.input);
        uniform(
            (self.batch, self.vectors, inputs, height, width),
            seed,
            dtype,
        )
    }

    fn kernel(&self, seed: u64, dtype: DType) -> Tensor {
        let ((inputs, outputs), (rows, columns)) = (self.channels, self.kernel);
        uniform((outputs, inputs, rows, columns), seed, dtype)
    }

    /// (V, O, I, kh, kw)
    fn kernel_block(&self, seed: u64, dtype: DType) -> Tensor {
        let ((inputs, outputs), (rows, columns)) = (self.channels, self.kernel);
        uniform((self.vectors, outputs, inputs, rows, columns), seed, dtype)
    }

    fn results(&self, seed: u64, dtype: DType) -> Tensor {
        let ((_, outputs), (height, width)) = (self.channels, self.output());
        uniform((self.batch, outputs, height, width), seed, dtype)
    }

    /// (B, V, O, H', W')
    fn result_block(&self, seed: u64, dtype: DType) -> Tensor {
        let ((_, outputs), (height, width)) = (self.channels, self.output());
        uniform(
            (self.batch, self.vectors, outputs, height, width),
            seed,
            dtype,
        )
    }
}

/// Runs `check` on every case in both number types, with one thread and with three granted.
fn for_all(check: impl Fn(Case, DType) + Sync) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build();
    let pool = pool.unwrap();
    for case in CASES {
        for dtype in [DType::F64, DType::F32] {
            check(case, dtype);
            pool.install(|| with_threads(3, || check(case, dtype)));
        }
    }
}

#[test]
fn forward_equals_loops() {
    for_all(|case, dtype| {
        let (x, weight) = (case.images(1, dtype), case.kernel(2, dtype));
        let bias = uniform(case.channels.1, 3, dtype);
        let (x_, w_, b_) = (values(&x), values(&weight), values(&bias));
        let (image, result, _) = case.counts();
        for bias in [None, Some(&bias)] {
            let mut expected = vec![0.0; case.batch * result];
            for (y, x) in expected.chunks_mut(result).zip(x_.chunks(image)) {
                if bias.is_some() {
                    let pixels = result / case.channels.1;
                    y.iter_mut()
                        .enumerate()
                        .for_each(|(at, y)| *y = b_[at / pixels]);
                }
                products(case, |out, k, from| y[out] += w_[k] * x[from]);
            }
            let bound = case.bound(image, dtype);
            for path in [forward, plain::forward] {
                let y = path(&x, &weight, bias, case.window).unwrap();
                assert_eq!(y.dims(), case.results(0, dtype).dims());
                assert_close(&format!("{case:?} {dtype:?}"), &y, &expected, bound);
            }
        }
    });
}

#[test]
fn tangent_equals_loops() {
    for_all(|case, dtype| {
        let (x, weight) = (case.images(1, dtype), case.kernel(2, dtype));
        let (dx, dweight) = (case.image_block(3, dtype), case.kernel_block(4, dtype));
        let dbias = uniform((case.vectors, case.channels.1), 5, dtype);
        let [x_, w_, dx_, dw_, db_] = [&x, &weight, &dx, &dweight, &dbias].map(values);
        let (image, result, kernel) = case.counts();
        let pixels = result / case.channels.1;
        for (dx, dbias) in [
            (None, None),
            (None, Some(&dbias)),
            (Some(&dx), Some(&dbias)),
        ] {
            let mut expected = vec![0.0; case.batch * case.vectors * result];
            for (at, dy) in expected.chunks_mut(result).enumerate() {
                let (b, v) = (at / case.vectors, at % case.vectors);
                let (x, tangent) = (&x_[b * image..][..image], &dx_[at * image..][..image]);
                let dw = &dw_[v * kernel..][..kernel];
                if dbias.is_some() {
                    let row = &db_[v * case.channels.1..];
                    dy.iter_mut()
                        .enumerate()
                        .for_each(|(at, dy)| *dy = row[at / pixels]);
                }
                products(case, |out, k, from| {
                    dy[out] += dw[k] * x[from];
                    if dx.is_some() {
                        dy[out] += w_[k] * tangent[from];
                    }
                });
            }
            let bound = case.bound(2 * image, dtype);
            for path in [tangent, plain::tangent] {
                let dy = path(&x, &weight, dx, &dweight, dbias, case.window).unwrap();
                assert_eq!(dy.dims(), case.result_block(0, dtype).dims());
                assert_close(&format!("{case:?} {dtype:?}"), &dy, &expected, bound);
            }
        }
    });
}

#[test]
fn input_cotangents_equal_loops() {
    for_all(|case, dtype| {
        let (weight, block) = (case.kernel(1, dtype), case.result_block(2, dtype));
        let (w_, block_) = (values(&weight), values(&block));
        let (image, result, _) = case.counts();
        let mut expected = vec![0.0; case.batch * case.vectors * image];
        for (x_bar, y_bar) in expected.chunks_mut(image).zip(block_.chunks(result)) {
            products(case, |out, k, from| x_bar[from] += w_[k] * y_bar[out]);
        }
        let bound = case.bound(result, dtype);
        for path in [input_cotangent, plain::input_cotangent] {
            let x_bar = path(&weight, &block, case.input, case.window).unwrap();
            assert_eq!(x_bar.dims(), case.image_block(0, dtype).dims());
            assert_close(&format!("{case:?} {dtype:?}"), &x_bar, &expected, bound);
        }
    });
}

#[test]
fn kernel_and_bias_cotangents_equal_loops_and_are_added() {
    for_all(|case, dtype| {
        let (x, block) = (case.images(1, dtype), case.result_block(2, dtype));
        let (x_, block_) = (values(&x), values(&block));
        let (image, result, kernel) = case.counts();
        let pixels = result / case.channels.1;
        for path in [accumulate_cotangent, plain::accumulate_cotangent] {
            let weight_sum = case.kernel_block(3, dtype);
            let bias_sum = uniform((case.vectors, case.channels.1), 4, dtype);
            let (mut weights, mut biases) = (values(&weight_sum), values(&bias_sum));
            for (at, y_bar) in block_.chunks(result).enumerate() {
                let (b, v) = (at / case.vectors, at % case.vectors);
                let (x, sum) = (&x_[b * image..], &mut weights[v * kernel..]);
                products(case, |out, k, from| sum[k] += y_bar[out] * x[from]);
                for (o, plane) in y_bar.chunks(pixels).enumerate() {
                    biases[v * case.channels.1 + o] += plane.iter().sum::<f64>();
                }
            }
            path(&x, &block, &weight_sum, Some(&bias_sum), case.window).unwrap();
            let bound = case.bound(case.batch * pixels, dtype);
            let what = format!("{case:?} {dtype:?}");
            assert_close(&what, &weight_sum, &weights, bound);
            assert_close(&what, &bias_sum, &biases, bound);
            let alone = weight_sum.zeros_like().unwrap();
            path(&x, &block, &alone, None, case.window).unwrap();
            let start = values(&case.kernel_block(3, dtype));
            let expected: Vec<_> = weights.iter().zip(start).map(|(w, s)| w - s).collect();
            assert_close(&what, &alone, &expected, bound);
        }
    });
}

#[test]
fn second_order_kernel_terms_equal_loops_and_are_added() {
    for_all(|case, dtype| {
        let (primal, dx) = (case.results(1, dtype), case.image_block(2, dtype));
        let (primal_, dx_) = (values(&primal), values(&dx));
        let (image, result, kernel) = case.counts();
        for path in [accumulate_second_order, plain::accumulate_second_order] {
            let weight_sum = case.kernel_block(3, dtype);
            let mut expected = values(&weight_sum);
            for (at, dx) in dx_.chunks(image).enumerate() {
                let (b, v) = (at / case.vectors, at % case.vectors);
                let (y_bar, sum) = (&primal_[b * result..], &mut expected[v * kernel..]);
                products(case, |out, k, from| sum[k] += y_bar[out] * dx[from]);
            }
            path(&primal, &dx, &weight_sum, case.window).unwrap();
            let bound = case.bound(case.batch * result / case.channels.1, dtype);
            assert_close(
                &format!("{case:?} {dtype:?}"),
                &weight_sum,
                &expected,
                bound,
            );
        }
    });
}

#[test]
fn second_order_input_terms_equal_loops_and_are_added() {
    for_all(|case, dtype| {
        let (primal, dweight) = (case.results(1, dtype), case.kernel_block(2, dtype));
        let (primal_, dw_) = (values(&primal), values(&dweight));
        let (image, result, kernel) = case.counts();
        for path in [add_second_order, plain::add_second_order] {
            let input_sum = case.image_block(3, dtype);
            let mut expected = values(&input_sum);
            for (at, sum) in expected.chunks_mut(image).enumerate() {
                let (b, v) = (at / case.vectors, at % case.vectors);
                let (y_bar, dw) = (&primal_[b * result..], &dw_[v * kernel..]);
                products(case, |out, k, from| sum[from] += dw[k] * y_bar[out]);
            }
            path(&primal, &dweight, &input_sum, case.window).unwrap();
            let bound = case.bound(result, dtype);
            assert_close(&format!("{case:?} {dtype:?}"), &input_sum, &expected, bound);
        }
    });
}
