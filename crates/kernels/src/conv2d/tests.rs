//! Both paths against loops over every product of the definition, and the refusals of windows.

mod case;
mod rounding;

use candle_core::{D, DType, Result, Tensor};
use case::{CASES, bound, definition};

use super::{
    Window, accumulate_cotangent, accumulate_second_order, add_second_order, forward,
    input_cotangent, tangent,
};
use crate::bilinear::Passes;
use crate::seeded::{assert_close, uniform, values};
use crate::{with_candle_path, with_threads};

/// Up to the rounding of one addition of numbers below a hundred.
fn check_bias(with: &Tensor, without: &Tensor, bias: &Tensor) -> Result<()> {
    let biased = without.broadcast_add(&bias.unsqueeze(D::Minus1)?.unsqueeze(D::Minus1)?)?;
    assert_close("bias", with, &values(&biased), bound(100, with.dtype()));
    Ok(())
}

#[test]
fn every_pass_equals_loops_over_every_product() {
    for case in CASES {
        let (definition, [.., input, _, (stride, padding)]) = (definition(case), case);
        let window = Window { stride, padding };
        // Those with a bias; without it they are less by the bias alone.
        let passes = Passes {
            forward: &|x, weight, bias| {
                let y = forward(x, weight, Some(bias), window)?;
                check_bias(&y, &forward(x, weight, None, window)?, bias)?;
                Ok(y)
            },
            tangent: &|x, weight, dx, dweight, dbias| {
                let dy = tangent(x, weight, dx, dweight, Some(dbias), window)?;
                let alone = tangent(x, weight, dx, dweight, None, window)?;
                check_bias(&dy, &alone, dbias)?;
                Ok(dy)
            },
            input_cotangent: &|weight, y_bar| input_cotangent(weight, y_bar, input, window),
            accumulate_cotangent: &|x, y_bar, [weights, biases]| {
                let alone = weights.copy()?;
                accumulate_cotangent(x, y_bar, &alone, None, window)?;
                accumulate_cotangent(x, y_bar, weights, Some(biases), window)?;
                assert_eq!(values(&alone), values(weights));
                Ok(())
            },
            accumulate_second_order: &|y_bar, dx, sum| {
                accumulate_second_order(y_bar, dx, sum, window)
            },
            add_second_order: &|y_bar, dweight, sum| add_second_order(y_bar, dweight, sum, window),
        };
        let check = |dtype| definition.check(dtype, |terms| bound(terms, dtype), &passes);
        for dtype in [DType::F64, DType::F32] {
            with_candle_path(|| check(dtype));
            check(dtype);
            with_threads(3, || check(dtype));
        }
    }
}

#[test]
fn no_inputs_leave_the_bias() {
    let bias = uniform(5, 3, DType::F64);
    let [x, weight] = [(1, 0, 1, 1), (5, 0, 1, 1)].map(|shape| uniform(shape, 1, DType::F64));
    let (stride, padding) = (1, 0);
    let y = forward(&x, &weight, Some(&bias), Window { stride, padding });
    assert_eq!(values(&y.unwrap()), values(&bias));
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

#[test]
fn kernels_that_no_window_holds_are_errors() {
    let x = uniform((2, 4, 7, 6), 1, DType::F64);
    for (shape, stride, fits) in [
        ((5, 4, 3, 2), 2, true),
        ((5, 4, 10, 2), 2, false),
        ((5, 4, 3, 9), 2, false),
        ((5, 4, 0, 2), 2, false),
        ((5, 4, 3, 2), 0, false),
    ] {
        let (weight, padding) = (uniform(shape, 2, DType::F64), 1);
        let y = forward(&x, &weight, None, Window { stride, padding });
        assert_eq!(y.is_ok(), fits, "{shape:?}, {stride}");
    }
}
