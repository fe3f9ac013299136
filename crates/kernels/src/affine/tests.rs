//! Both paths against loops over every product.

use candle_core::DType;

use super::{
    accumulate_cotangent, accumulate_second_order, add_second_order, forward, input_cotangent,
    tangent,
};
use crate::bilinear::{Definition, Passes};
use crate::real::with_candle_path;
use crate::seeded::{NUMBER_TYPES, uniform, values};

/// One example and many, one to three vectors; thin, wide and square maps, none a multiple of a SIMD
/// width: B, V, I and O.
const SIZES: [[usize; 4]; 6] = [
    [1, 1, 1, 1],
    [1, 3, 7, 2],
    [5, 1, 17, 1],
    [4, 2, 1, 9],
    [3, 3, 13, 13],
    [33, 2, 65, 10],
];

#[test]
fn every_pass_equals_loops_over_every_product() {
    for [batch, vectors, inputs, outputs] in SIZES {
        let places = (0..outputs).flat_map(|o| (0..inputs).map(move |k| [o, o * inputs + k, k]));
        let definition = Definition {
            batch,
            vectors,
            input: vec![inputs],
            result: vec![outputs],
            kernel: vec![outputs, inputs],
            products: places
                .map(|places| places.map(|place| place as u32))
                .collect(),
        };
        let passes = Passes {
            forward: &forward,
            tangent: &tangent,
            input_cotangent: &input_cotangent,
            accumulate_cotangent: &|x, y_bar, sums| {
                accumulate_cotangent(x, y_bar, sums[0], sums[1])
            },
            accumulate_second_order: &accumulate_second_order,
            add_second_order: &add_second_order,
        };
        for (dtype, tolerance) in NUMBER_TYPES {
            let check = || definition.check(dtype, |_| tolerance, &passes);
            check();
            with_candle_path(check);
        }
    }
}

#[test]
fn no_inputs_leave_the_bias() {
    let bias = uniform(5, 3, DType::F64);
    let [x, weight] = [(2, 0), (5, 0)].map(|shape| uniform(shape, 1, DType::F64));
    let y = forward(&x, &weight, &bias).unwrap();
    assert_eq!(values(&y), [values(&bias), values(&bias)].concat());
}
