//! Both paths against loops over every product.

use candle_core::{DType, Tensor};

use super::{
    Order, Weight, accumulate_cotangent, accumulate_second_order, add_second_order, forward,
    input_cotangent, tangent,
};
use crate::bilinear::{Definition, Passes};
use crate::real::with_candle_path;
use crate::seeded::{NUMBER_TYPES, assert_close, uniform, values};

/// One example and many, one to three vectors; without positions, with one and with several; thin, wide and square
/// maps, none a multiple of a SIMD width: B, V, I and O, and the axes between.
const SIZES: [([usize; 4], &[usize]); 10] = [
    ([1, 1, 1, 1], &[]),
    ([1, 3, 7, 2], &[]),
    ([5, 1, 17, 1], &[]),
    ([4, 2, 1, 9], &[]),
    ([3, 3, 13, 13], &[]),
    ([33, 2, 65, 10], &[]),
    ([3, 2, 5, 4], &[1]),
    ([3, 1, 5, 4], &[6]),
    ([2, 3, 4, 5], &[7]),
    ([2, 2, 9, 3], &[2, 3]),
];

#[test]
fn every_pass_equals_loops_over_every_product() {
    for ([batch, vectors, inputs, outputs], between) in SIZES {
        for order in [Order::OutputsFirst, Order::InputsFirst] {
            let positions: usize = between.iter().product();
            let places = (0..positions).flat_map(|t| (0..outputs).map(move |o| (t, o)));
            let places = places.flat_map(|(t, o)| (0..inputs).map(move |k| (t, o, k)));
            let products = places.map(|(t, o, k)| {
                let weight = match order {
                    Order::OutputsFirst => o * inputs + k,
                    Order::InputsFirst => k * outputs + o,
                };
                [t * outputs + o, weight, t * inputs + k].map(|place| place as u32)
            });
            let definition = Definition {
                batch,
                vectors,
                input: [between, &[inputs]].concat(),
                result: [between, &[outputs]].concat(),
                kernel: order.shape(outputs, inputs).to_vec(),
                outputs: between.len(),
                products: products.collect(),
            };
            let passes = Passes {
                forward: &|x, w, b| forward(x, Weight { tensor: w, order }, Some(b)),
                tangent: &|x, w, dx, dw, db| {
                    tangent(x, Weight { tensor: w, order }, dx, dw, Some(db))
                },
                input_cotangent: &|w, y_bar| input_cotangent(Weight { tensor: w, order }, y_bar),
                accumulate_cotangent: &|x, y_bar, sums| {
                    accumulate_cotangent(x, y_bar, order, sums[0], Some(sums[1]))
                },
                accumulate_second_order: &|y_bar, dx, sum| {
                    accumulate_second_order(y_bar, dx, order, sum)
                },
                add_second_order: &|y_bar, dw, sum| add_second_order(y_bar, dw, order, sum),
            };
            for (dtype, tolerance) in NUMBER_TYPES {
                let check = || definition.check(dtype, |_| tolerance, &passes);
                check();
                with_candle_path(check);
            }
        }
    }
}

#[test]
fn no_bias_is_a_bias_of_zero() {
    let x = uniform((2, 3, 5), 1, DType::F64);
    let (tensor, order) = (&uniform((4, 5), 2, DType::F64), Order::OutputsFirst);
    let dx = uniform((2, 2, 3, 5), 3, DType::F64);
    let dweight = uniform((2, 4, 5), 4, DType::F64);
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F64, x.device()).unwrap();
    let close = |with: &Tensor, without: &Tensor| {
        assert_close("no bias", without, &values(with), 1e-14);
    };
    let weight = Weight { tensor, order };
    let compare = || {
        let [with, without] =
            [Some(zeros(&[4])), None].map(|bias| forward(&x, weight, bias.as_ref()).unwrap());
        close(&with, &without);
        let [with, without] = [Some(zeros(&[2, 4])), None]
            .map(|bias| tangent(&x, weight, Some(&dx), &dweight, bias.as_ref()).unwrap());
        close(&with, &without);
        let sums = [Some(zeros(&[2, 4])), None].map(|bias| {
            let sum = zeros(&[2, 4, 5]);
            accumulate_cotangent(&x, &with, order, &sum, bias.as_ref()).unwrap();
            sum
        });
        close(&sums[0], &sums[1]);
    };
    compare();
    with_candle_path(compare);
}

#[test]
fn no_inputs_leave_the_bias() {
    let bias = uniform(5, 3, DType::F64);
    let [x, weight] = [(2, 0), (5, 0)].map(|shape| uniform(shape, 1, DType::F64));
    let (tensor, order) = (&weight, Order::OutputsFirst);
    let y = forward(&x, Weight { tensor, order }, Some(&bias)).unwrap();
    assert_eq!(values(&y), [values(&bias), values(&bias)].concat());
}
