//! Shapes and tensors that the passes refuse.

use candle_core::{DType, Result, Tensor};

use super::super::{batch, forward, frozen, moments};
use super::{Operands, Sizes};
use crate::seeded::{uniform, values};

const SIZES: Sizes = Sizes {
    batch: 3,
    vectors: 2,
    channels: 4,
    height: 2,
    width: 5,
};

/// Operands in the order x, mean, r, gamma, cotangent or dx (a block), dgamma or a sum (V, C), ȳ of
/// the primal sweep.
type Function = fn(&[Tensor; 7]) -> Result<()>;

/// The places of the operands that each function takes.
const FUNCTIONS: [(&str, &[usize], Function); 10] = [
    ("forward", &[0, 1, 2, 3], |[x, mean, r, gamma, ..]| {
        forward(x, mean, r, gamma, gamma).map(drop)
    }),
    (
        "frozen tangent",
        &[0, 1, 2, 3, 4, 5],
        |[x, mean, r, gamma, block, sum, _]| {
            frozen::tangent(x, mean, r, gamma, Some(block), sum, sum).map(drop)
        },
    ),
    (
        "frozen input cotangent",
        &[2, 3, 4],
        |[_, _, r, gamma, block, ..]| frozen::input_cotangent(r, gamma, block).map(drop),
    ),
    (
        "parameters' cotangent",
        &[0, 1, 2, 4, 5],
        |[x, mean, r, _, block, sum, _]| {
            frozen::accumulate_cotangent(x, mean, r, block, sum, &sum.copy()?)
        },
    ),
    (
        "frozen parameters' second order",
        &[2, 4, 5, 6],
        |[_, _, r, _, block, sum, primal]| frozen::accumulate_second_order(r, primal, block, sum),
    ),
    (
        "frozen input's second order",
        &[2, 4, 5, 6],
        |[_, _, r, _, block, sum, primal]| frozen::add_second_order(r, primal, sum, block),
    ),
    (
        "batch tangent",
        &[0, 1, 2, 3, 4, 5],
        |[x, mean, r, gamma, block, sum, _]| {
            batch::tangent(x, mean, r, gamma, Some(block), sum, sum).map(drop)
        },
    ),
    (
        "batch tangent of parameters alone",
        &[0, 1, 2, 3, 5],
        |[x, mean, r, gamma, _, sum, _]| {
            let dbeta = uniform((2, 4), 1, sum.dtype());
            batch::tangent(x, mean, r, gamma, None, sum, &dbeta).map(drop)
        },
    ),
    (
        "batch input cotangent",
        &[0, 1, 2, 3, 4],
        |[x, mean, r, gamma, block, ..]| batch::input_cotangent(x, mean, r, gamma, block).map(drop),
    ),
    (
        "batch second order",
        &[0, 1, 2, 3, 4, 5, 6],
        |[x, mean, r, gamma, block, sum, primal]| {
            let (gamma_sum, input_sum) = (sum.copy()?, block.copy()?);
            batch::add_second_order(
                x,
                mean,
                r,
                gamma,
                primal,
                Some(block),
                sum,
                &gamma_sum,
                Some(&input_sum),
            )
        },
    ),
];

/// The axes of the operands.
const AXES: [&str; 7] = ["BCHW", "C", "C", "C", "BVCHW", "VC", "BCHW"];

fn operands(dtype: DType) -> [Tensor; 7] {
    let all = Operands::frozen(SIZES, dtype);
    [
        all.x, all.mean, all.r, all.gamma, all.dx, all.dgamma, all.primal,
    ]
}

#[test]
fn an_operand_that_does_not_fit_is_an_error() {
    for (name, places, function) in FUNCTIONS {
        function(&operands(DType::F64)).unwrap();
        for &place in places {
            let fitting = operands(DType::F64)[place].dims().to_vec();
            for axis in 0..fitting.len() {
                let name_of_axis = &AXES[place][axis..=axis];
                let those_with = places
                    .iter()
                    .filter(|&&other| AXES[other].contains(name_of_axis));
                // Nothing holds the length of an axis that no other operand has.
                if those_with.count() == 1 {
                    continue;
                }
                for length in [fitting[axis] - 1, fitting[axis] + 1] {
                    let (mut operands, mut shape) = (operands(DType::F64), fitting.clone());
                    shape[axis] = length;
                    operands[place] = uniform(shape.as_slice(), 1, DType::F64);
                    assert!(function(&operands).is_err(), "{name}: {place} {shape:?}");
                }
            }
        }
    }
}

#[test]
fn an_operand_of_another_rank_or_number_type_is_an_error() {
    for (name, places, function) in FUNCTIONS {
        for &place in places {
            let mut with_axis = operands(DType::F64);
            with_axis[place] = with_axis[place].unsqueeze(0).unwrap();
            assert!(function(&with_axis).is_err(), "{name}: {place}");
        }
        let half = operands(DType::F64).map(|operand| operand.to_dtype(DType::F16).unwrap());
        assert!(function(&half).is_err(), "{name}");
    }
}

#[test]
fn a_sum_that_shares_its_storage_with_an_operand_is_an_error_and_unchanged() {
    let [x, mean, r, gamma, dx, dgamma, primal] = operands(DType::F64);
    let gamma_sum = dgamma.copy().unwrap();
    let before = values(&dx);
    let sums = |input_sum: &Tensor| {
        batch::add_second_order(
            &x,
            &mean,
            &r,
            &gamma,
            &primal,
            Some(&dx),
            &dgamma,
            &gamma_sum,
            Some(input_sum),
        )
    };
    assert!(sums(&dx).is_err());
    assert_eq!(values(&dx), before);
    let one_vector = uniform((3, 1, 4, 2, 5), 1, DType::F64);
    let view = one_vector.squeeze(1).unwrap();
    let weight = dgamma.narrow(0, 0, 1).unwrap();
    assert!(frozen::add_second_order(&r, &view, &weight, &one_vector).is_err());
}

#[test]
fn moments_of_nothing_are_an_error() {
    for shape in [[0, 2, 3, 3], [2, 2, 0, 3]] {
        let x = Tensor::zeros(&shape, DType::F64, &candle_core::Device::Cpu).unwrap();
        assert!(moments(&x).is_err(), "{shape:?}");
    }
    assert!(moments(&uniform((2, 3, 4), 1, DType::F64)).is_err());
}
