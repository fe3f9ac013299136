//! Both paths against loops over every product of the definition, in float64.

mod case;
mod refusals;
mod rounding;

use case::{for_all, products};

use super::{
    accumulate_cotangent, accumulate_second_order, add_second_order, forward, input_cotangent,
    tangent,
};
use crate::seeded::{assert_close, uniform, values};

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
            let y = forward(&x, &weight, bias, case.window).unwrap();
            assert_eq!(y.dims(), case.results(0, dtype).dims());
            assert_close(&format!("{case:?} {dtype:?}"), &y, &expected, bound);
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
            let dy = tangent(&x, &weight, dx, &dweight, dbias, case.window).unwrap();
            assert_eq!(dy.dims(), case.result_block(0, dtype).dims());
            assert_close(&format!("{case:?} {dtype:?}"), &dy, &expected, bound);
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
        let x_bar = input_cotangent(&weight, &block, case.input, case.window).unwrap();
        assert_eq!(x_bar.dims(), case.image_block(0, dtype).dims());
        assert_close(&format!("{case:?} {dtype:?}"), &x_bar, &expected, bound);
    });
}

#[test]
fn kernel_and_bias_cotangents_equal_loops_and_are_added() {
    for_all(|case, dtype| {
        let (x, block) = (case.images(1, dtype), case.result_block(2, dtype));
        let (x_, block_) = (values(&x), values(&block));
        let (image, result, kernel) = case.counts();
        let pixels = result / case.channels.1;
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
        accumulate_cotangent(&x, &block, &weight_sum, Some(&bias_sum), case.window).unwrap();
        let bound = case.bound(case.batch * pixels, dtype);
        let what = format!("{case:?} {dtype:?}");
        assert_close(&what, &weight_sum, &weights, bound);
        assert_close(&what, &bias_sum, &biases, bound);
        let alone = weight_sum.zeros_like().unwrap();
        accumulate_cotangent(&x, &block, &alone, None, case.window).unwrap();
        let start = values(&case.kernel_block(3, dtype));
        let expected: Vec<_> = weights.iter().zip(start).map(|(w, s)| w - s).collect();
        assert_close(&what, &alone, &expected, bound);
    });
}

#[test]
fn second_order_kernel_terms_equal_loops_and_are_added() {
    for_all(|case, dtype| {
        let (primal, dx) = (case.results(1, dtype), case.image_block(2, dtype));
        let (primal_, dx_) = (values(&primal), values(&dx));
        let (image, result, kernel) = case.counts();
        let weight_sum = case.kernel_block(3, dtype);
        let mut expected = values(&weight_sum);
        for (at, dx) in dx_.chunks(image).enumerate() {
            let (b, v) = (at / case.vectors, at % case.vectors);
            let (y_bar, sum) = (&primal_[b * result..], &mut expected[v * kernel..]);
            products(case, |out, k, from| sum[k] += y_bar[out] * dx[from]);
        }
        accumulate_second_order(&primal, &dx, &weight_sum, case.window).unwrap();
        let bound = case.bound(case.batch * result / case.channels.1, dtype);
        assert_close(
            &format!("{case:?} {dtype:?}"),
            &weight_sum,
            &expected,
            bound,
        );
    });
}

#[test]
fn second_order_input_terms_equal_loops_and_are_added() {
    for_all(|case, dtype| {
        let (primal, dweight) = (case.results(1, dtype), case.kernel_block(2, dtype));
        let (primal_, dw_) = (values(&primal), values(&dweight));
        let (image, result, kernel) = case.counts();
        let input_sum = case.image_block(3, dtype);
        let mut expected = values(&input_sum);
        for (at, sum) in expected.chunks_mut(image).enumerate() {
            let (b, v) = (at / case.vectors, at % case.vectors);
            let (y_bar, dw) = (&primal_[b * result..], &dw_[v * kernel..]);
            products(case, |out, k, from| sum[from] += dw[k] * y_bar[out]);
        }
        add_second_order(&primal, &dweight, &input_sum, case.window).unwrap();
        let bound = case.bound(result, dtype);
        assert_close(&format!("{case:?} {dtype:?}"), &input_sum, &expected, bound);
    });
}
