//! Kernels of images: normalisation, convolution, pooling.

use candle_core::Tensor;
use flatness_kernels::batch_norm::{self, batch, frozen};
use flatness_kernels::conv2d::{self, Window};
use flatness_kernels::pool::{self, Pooling};
use flatness_testkit::gaussian;

use crate::comparison::Comparison;

pub(crate) fn normalizations(comparison: &mut Comparison, (b, v): (usize, usize)) {
    let channels = 3;
    let x = gaussian((b, channels, 4, 5), 1);
    let (mean, r) = (
        gaussian(channels, 2),
        gaussian(channels, 3).exp().expect("a positive tensor"),
    );
    let (gamma, beta) = (gaussian(channels, 4), gaussian(channels, 5));
    let dx = gaussian((b, v, channels, 4, 5), 6);
    let (dgamma, dbeta) = (gaussian((v, channels), 7), gaussian((v, channels), 8));
    let primal = gaussian((b, channels, 4, 5), 9);
    let cotangent = gaussian((b, v, channels, 4, 5), 10);
    comparison.check("batch_norm::moments", std::slice::from_ref(&x), |t| {
        let moments = batch_norm::moments(&t[0])?;
        Ok(vec![moments.mean, moments.variance])
    });
    let at = [x, mean, r, gamma];
    let with = |others: &[&Tensor]| -> Vec<Tensor> {
        at.iter().chain(others.iter().copied()).cloned().collect()
    };
    comparison.check("batch_norm::forward", &with(&[&beta]), |t| {
        Ok(vec![batch_norm::forward(
            &t[0], &t[1], &t[2], &t[3], &t[4],
        )?])
    });
    let tangents = with(&[&dx, &dgamma, &dbeta]);
    comparison.check("frozen::tangent", &tangents, |t| {
        let tangent = |dx| frozen::tangent(&t[0], &t[1], &t[2], &t[3], dx, &t[5], &t[6]);
        Ok(vec![tangent(Some(&t[4]))?, tangent(None)?])
    });
    comparison.check("batch::tangent", &tangents, |t| {
        let tangent = |dx| batch::tangent(&t[0], &t[1], &t[2], &t[3], dx, &t[5], &t[6]);
        Ok(vec![tangent(Some(&t[4]))?, tangent(None)?])
    });
    comparison.check("frozen::input_cotangent", &with(&[&cotangent]), |t| {
        Ok(vec![frozen::input_cotangent(&t[2], &t[3], &t[4])?])
    });
    comparison.check("batch::input_cotangent", &with(&[&cotangent]), |t| {
        Ok(vec![batch::input_cotangent(
            &t[0], &t[1], &t[2], &t[3], &t[4],
        )?])
    });
    comparison.check_sums(
        "frozen::accumulate_cotangent",
        &with(&[&cotangent, &dgamma, &dbeta]),
        2,
        |t| frozen::accumulate_cotangent(&t[0], &t[1], &t[2], &t[4], &t[5], &t[6]),
    );
    comparison.check_sums(
        "frozen::accumulate_second_order",
        &with(&[&primal, &dx, &dgamma]),
        1,
        |t| frozen::accumulate_second_order(&t[2], &t[4], &t[5], &t[6]),
    );
    comparison.check_sums(
        "frozen::add_second_order",
        &with(&[&primal, &dgamma, &cotangent]),
        1,
        |t| frozen::add_second_order(&t[2], &t[4], &t[5], &t[6]),
    );
    comparison.check_sums(
        "batch::add_second_order",
        &with(&[&primal, &dx, &dgamma, &dbeta, &cotangent]),
        2,
        |t| {
            let (dx, input_sum) = (Some(&t[5]), Some(&t[8]));
            let [x, mean, r, gamma, primal] = [&t[0], &t[1], &t[2], &t[3], &t[4]];
            batch::add_second_order(x, mean, r, gamma, primal, dx, &t[6], &t[7], input_sum)
        },
    );
}

/// (kernel, stride, padding), (I, O) and (H, W).
type Convolution = ([usize; 3], [usize; 2], [usize; 2]);

/// The forms that the CPU path treats differently.
const CONVOLUTIONS: [Convolution; 6] = [
    ([3, 1, 1], [2, 3], [6, 5]),
    ([3, 2, 1], [3, 4], [7, 6]),
    ([1, 1, 0], [5, 4], [4, 4]),
    ([1, 2, 0], [4, 3], [6, 6]),
    ([5, 1, 2], [2, 2], [7, 8]),
    ([3, 1, 1], [16, 16], [8, 8]),
];

pub(crate) fn convolutions(comparison: &mut Comparison, (b, v): (usize, usize)) {
    for ([kernel, stride, padding], [inputs, outputs], [height, width]) in CONVOLUTIONS {
        let window = Window { stride, padding };
        let what = |pass: &str| format!("conv2d::{pass} {kernel} {window:?}");
        let side = |pixels| window.output(pixels, kernel).expect("a kernel that fits");
        let (out_height, out_width) = (side(height), side(width));
        let x = gaussian((b, inputs, height, width), 1);
        let weight = gaussian((outputs, inputs, kernel, kernel), 2);
        let bias = gaussian(outputs, 3);
        let dx = gaussian((b, v, inputs, height, width), 4);
        let dweight = gaussian((v, outputs, inputs, kernel, kernel), 5);
        let dbias = gaussian((v, outputs), 6);
        let primal = gaussian((b, outputs, out_height, out_width), 7);
        let cotangent = gaussian((b, v, outputs, out_height, out_width), 8);
        let operands = [x.clone(), weight.clone(), bias];
        comparison.check(&what("forward"), &operands, |t| {
            Ok(vec![
                conv2d::forward(&t[0], &t[1], Some(&t[2]), window)?,
                conv2d::forward(&t[0], &t[1], None, window)?,
            ])
        });
        let operands = [
            x.clone(),
            weight.clone(),
            dx.clone(),
            dweight.clone(),
            dbias.clone(),
        ];
        comparison.check(&what("tangent"), &operands, |t| {
            Ok(vec![
                conv2d::tangent(&t[0], &t[1], Some(&t[2]), &t[3], Some(&t[4]), window)?,
                conv2d::tangent(&t[0], &t[1], None, &t[3], None, window)?,
            ])
        });
        let operands = [weight, cotangent.clone()];
        comparison.check(&what("input_cotangent"), &operands, |t| {
            let input = (height, width);
            Ok(vec![conv2d::input_cotangent(&t[0], &t[1], input, window)?])
        });
        let operands = [x, cotangent, dweight.clone(), dbias];
        comparison.check_sums(&what("accumulate_cotangent"), &operands, 2, |t| {
            conv2d::accumulate_cotangent(&t[0], &t[1], &t[2], Some(&t[3]), window)
        });
        let operands = [primal.clone(), dx.clone(), dweight.clone()];
        comparison.check_sums(&what("accumulate_second_order"), &operands, 1, |t| {
            conv2d::accumulate_second_order(&t[0], &t[1], &t[2], window)
        });
        let operands = [primal, dweight, dx];
        comparison.check_sums(&what("add_second_order"), &operands, 1, |t| {
            conv2d::add_second_order(&t[0], &t[1], &t[2], window)
        });
    }
}

pub(crate) fn pools(comparison: &mut Comparison, (b, v): (usize, usize)) {
    let (channels, plane) = (3, (6, 7));
    let x = gaussian((b, channels, plane.0, plane.1), 1);
    let block = gaussian((b, v, channels, plane.0, plane.1), 2);
    for (kernel, stride) in [(2, 2), (3, 2), (2, 1)] {
        let pooling = Pooling { kernel, stride };
        let what = |pass: &str| format!("pool::{pass} {pooling:?}");
        let side = |entries| pooling.output(entries).expect("a window that fits");
        let pooled = gaussian((b, v, channels, side(plane.0), side(plane.1)), 3);
        let operands = [x.clone(), block.clone(), pooled];
        comparison.check(&what("max_forward"), &operands, |t| {
            let (y, argmax) = pool::max_forward(&t[0], pooling)?;
            Ok(vec![y, argmax])
        });
        comparison.check(&what("max_gather"), &operands, |t| {
            let (_, argmax) = pool::max_forward(&t[0], pooling)?;
            Ok(vec![pool::max_gather(&argmax, &t[1])?])
        });
        comparison.check(&what("max_scatter"), &operands, |t| {
            let (_, argmax) = pool::max_forward(&t[0], pooling)?;
            Ok(vec![pool::max_scatter(&argmax, &t[2], plane)?])
        });
        comparison.check(&what("average"), &operands, |t| {
            Ok(vec![
                pool::average(&t[0], pooling)?,
                pool::average(&t[1], pooling)?,
            ])
        });
        comparison.check(&what("average_transposed"), &operands, |t| {
            Ok(vec![pool::average_transposed(&t[2], plane, pooling)?])
        });
    }
    let operands = [x, block, gaussian((b, v, channels), 4)];
    comparison.check("pool::global_average", &operands, |t| {
        Ok(vec![
            pool::global_average(&t[0])?,
            pool::global_average(&t[1])?,
        ])
    });
    comparison.check("pool::global_average_transposed", &operands, |t| {
        Ok(vec![pool::global_average_transposed(&t[2], plane)?])
    });
}
