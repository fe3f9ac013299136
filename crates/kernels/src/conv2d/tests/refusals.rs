//! Operands that do not fit are errors.

use candle_core::{DType, Device, Result, Tensor};

use crate::conv2d::{
    Window, accumulate_cotangent, accumulate_second_order, add_second_order, forward,
    input_cotangent, tangent,
};
use crate::seeded::{uniform, values};

const WINDOW: Window = Window {
    stride: 2,
    padding: 1,
};

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F64, &Device::Cpu).unwrap()
}

/// The first of `results` is right, every other differs from it in one axis.
#[track_caller]
fn check(results: Vec<Result<()>>) {
    for (row, result) in results.into_iter().enumerate() {
        assert_eq!(result.is_ok(), row == 0, "row {row}: {result:?}");
    }
}

// B = 2, V = 3, I = 4, O = 5, H = 7, W = 6, kh = 3, kw = 2, so H' = 4 and W' = 4.

#[test]
fn forward_refuses_shapes_that_do_not_fit() {
    let case = |x: &[usize], weight: &[usize], bias: &[usize], window: Window| {
        forward(&zeros(x), &zeros(weight), Some(&zeros(bias)), window).map(drop)
    };
    let (x, weight) = ([2, 4, 7, 6], [5, 4, 3, 2]);
    check(vec![
        case(&x, &weight, &[5], WINDOW),
        case(&x, &weight, &[4], WINDOW),
        case(&x, &[5, 3, 3, 2], &[5], WINDOW),
        case(&x, &[5, 4, 6], &[5], WINDOW),
        case(&x[1..], &weight, &[5], WINDOW),
        case(&x, &[5, 4, 10, 2], &[5], WINDOW),
        case(&x, &[5, 4, 3, 9], &[5], WINDOW),
        case(
            &x,
            &weight,
            &[5],
            Window {
                stride: 0,
                ..WINDOW
            },
        ),
        case(&x, &[5, 4, 0, 2], &[5], WINDOW),
    ]);
}

#[test]
fn tangent_refuses_shapes_that_do_not_fit() {
    let case = |weight: &[usize], dx: &[usize], dweight: &[usize], dbias: &[usize]| {
        let [x, weight, dx, dweight, dbias] =
            [&[2, 4, 7, 6], weight, dx, dweight, dbias].map(zeros);
        tangent(&x, &weight, Some(&dx), &dweight, Some(&dbias), WINDOW).map(drop)
    };
    let (weight, dx, dweight) = ([5, 4, 3, 2], [2, 3, 4, 7, 6], [3, 5, 4, 3, 2]);
    check(vec![
        case(&weight, &dx, &dweight, &[3, 5]),
        case(&[6, 4, 3, 2], &dx, &dweight, &[3, 5]),
        case(&weight, &[3, 2, 4, 7, 6], &dweight, &[3, 5]),
        case(&weight, &[2, 3, 4, 6, 7], &dweight, &[3, 5]),
        case(&weight, &dx, &[3, 5, 4, 2, 3], &[3, 5]),
        case(&weight, &dx, &[2, 5, 4, 3, 2], &[3, 5]),
        case(&weight, &dx, &dweight, &[5, 3]),
    ]);
}

#[test]
fn cotangent_passes_refuse_shapes_that_do_not_fit() {
    let case = |weight: &[usize], block: &[usize], input: (usize, usize)| {
        input_cotangent(&zeros(weight), &zeros(block), input, WINDOW).map(drop)
    };
    let (weight, block) = ([5, 4, 3, 2], [2, 3, 5, 4, 4]);
    check(vec![
        case(&weight, &block, (7, 6)),
        case(&weight, &block, (9, 6)),
        case(&weight, &block, (7, 9)),
        case(&weight, &[2, 3, 4, 4, 4], (7, 6)),
        case(&weight, &[6, 5, 4, 4], (7, 6)),
    ]);
    let case = |x: &[usize], block: &[usize], sum: &[usize], bias: &[usize]| {
        let [x, block, sum, bias] = [x, block, sum, bias].map(zeros);
        accumulate_cotangent(&x, &block, &sum, Some(&bias), WINDOW)
    };
    let (x, sum) = ([2, 4, 7, 6], [3, 5, 4, 3, 2]);
    check(vec![
        case(&x, &block, &sum, &[3, 5]),
        case(&[1, 4, 7, 6], &block, &sum, &[3, 5]),
        case(&[2, 3, 7, 6], &block, &sum, &[3, 5]),
        case(&[2, 4, 6, 7], &block, &sum, &[3, 5]),
        case(&x, &[2, 1, 5, 4, 4], &sum, &[3, 5]),
        case(&x, &block, &[3, 5, 4, 2, 3], &[3, 5]),
        case(&x, &block, &sum, &[5, 3]),
    ]);
}

#[test]
fn second_order_passes_refuse_shapes_that_do_not_fit() {
    let (primal, dx, dweight) = ([2, 5, 4, 4], [2, 3, 4, 7, 6], [3, 5, 4, 3, 2]);
    type Pass = fn(&Tensor, &Tensor, &Tensor, Window) -> Result<()>;
    let case = |pass: Pass, primal: &[usize], from: &[usize], sum: &[usize]| {
        pass(&zeros(primal), &zeros(from), &zeros(sum), WINDOW)
    };
    check(vec![
        case(accumulate_second_order, &primal, &dx, &dweight),
        case(accumulate_second_order, &[3, 5, 4, 4], &dx, &dweight),
        case(accumulate_second_order, &[2, 4, 4, 4], &dx, &dweight),
        case(accumulate_second_order, &primal, &[2, 2, 4, 7, 6], &dweight),
        case(accumulate_second_order, &primal, &dx, &[3, 5, 4, 2, 3]),
    ]);
    check(vec![
        case(add_second_order, &primal, &dweight, &dx),
        case(add_second_order, &[3, 5, 4, 4], &dweight, &dx),
        case(add_second_order, &[2, 4, 4, 4], &dweight, &dx),
        case(add_second_order, &primal, &[2, 5, 4, 3, 2], &dx),
        case(add_second_order, &primal, &dweight, &[2, 3, 4, 9, 6]),
    ]);
}

#[test]
fn number_types_and_layouts_that_do_not_fit_are_errors() {
    let x = uniform((2, 4, 6, 6), 1, DType::F64);
    let weight = uniform((5, 4, 3, 3), 2, DType::F64);
    let single = weight.to_dtype(DType::F32).unwrap();
    assert!(forward(&x, &single, None, WINDOW).is_err());
    let half = x.to_dtype(DType::F16).unwrap();
    assert!(forward(&half, &weight, None, WINDOW).is_err());
    let flipped = x.transpose(2, 3).unwrap();
    assert!(forward(&flipped, &weight, None, WINDOW).is_err());
}

#[test]
fn empty_batches_blocks_and_channels_are_no_panic() {
    let (weight, bias) = (
        uniform((5, 4, 3, 2), 2, DType::F64),
        uniform(5, 3, DType::F64),
    );
    let y = forward(&zeros(&[0, 4, 7, 6]), &weight, Some(&bias), WINDOW).unwrap();
    assert_eq!(y.dims(), [0, 5, 4, 4]);
    let (x, block) = (zeros(&[2, 4, 7, 6]), zeros(&[2, 0, 5, 4, 4]));
    let (sum, bias_sum) = (zeros(&[0, 5, 4, 3, 2]), zeros(&[0, 5]));
    accumulate_cotangent(&x, &block, &sum, Some(&bias_sum), WINDOW).unwrap();
    let x_bar = input_cotangent(&weight, &block, (7, 6), WINDOW).unwrap();
    assert_eq!(x_bar.dims(), [2, 0, 4, 7, 6]);
    let no_inputs = forward(
        &zeros(&[1, 0, 1, 1]),
        &zeros(&[5, 0, 1, 1]),
        Some(&bias),
        Window {
            stride: 1,
            padding: 0,
        },
    );
    assert_eq!(values(&no_inputs.unwrap()), values(&bias));
}

#[test]
fn an_axis_has_as_many_outputs_as_places_of_the_kernel() {
    let window = |stride, padding| Window { stride, padding };
    for (window, input, kernel, expected) in [
        (window(1, 0), 5, 3, Some(3)),
        (window(1, 1), 5, 3, Some(5)),
        (window(2, 1), 5, 3, Some(3)),
        (window(2, 1), 6, 3, Some(3)),
        (window(3, 0), 2, 3, None),
        (window(0, 1), 5, 3, None),
        (window(1, 1), 0, 2, Some(1)),
    ] {
        assert_eq!(window.output(input, kernel), expected, "{window:?} {input}");
    }
}
