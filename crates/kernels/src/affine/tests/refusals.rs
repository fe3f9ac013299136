//! Operands that do not fit are errors: the products of slices would not notice all of them.

use candle_core::{DType, Device, Result, Tensor};

use crate::affine::{
    accumulate_cotangent, accumulate_second_order, add_second_order, forward, input_cotangent,
    tangent,
};
use crate::seeded::{uniform, values};

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F64, &Device::Cpu).unwrap();
    // B = 2, V = 3, I = 4, O = 5: the first row of each group is right, every other differs in one
    // axis.
    let case = |weight: &[usize], bias: &[usize]| {
        forward(&zeros(&[2, 4]), &zeros(weight), &zeros(bias)).map(drop)
    };
    check(vec![
        case(&[5, 4], &[5]),
        case(&[5, 3], &[5]),
        case(&[5, 8], &[5]),
        case(&[5, 4], &[4]),
        case(&[5, 4], &[10]),
        case(&[20], &[5]),
    ]);
    let case = |weight: &[usize], dx: &[usize], dweight: &[usize], dbias: &[usize]| {
        let [weight, dx, dweight, dbias] = [weight, dx, dweight, dbias].map(zeros);
        tangent(&zeros(&[2, 4]), &weight, Some(&dx), &dweight, &dbias).map(drop)
    };
    check(vec![
        case(&[5, 4], &[2, 3, 4], &[3, 5, 4], &[3, 5]),
        case(&[6, 4], &[2, 3, 4], &[3, 5, 4], &[3, 5]),
        case(&[5, 4], &[3, 2, 4], &[3, 5, 4], &[3, 5]),
        case(&[5, 4], &[2, 4, 4], &[3, 5, 4], &[3, 5]),
        case(&[5, 4], &[2, 3, 4], &[3, 5, 8], &[3, 5]),
        case(&[5, 4], &[2, 3, 4], &[2, 5, 4], &[3, 5]),
        case(&[5, 4], &[2, 3, 4], &[3, 5, 4], &[5, 3]),
        case(&[5, 4], &[2, 3, 4], &[3, 5, 4], &[6, 5]),
    ]);
    let case = |weight: &[usize], block: &[usize]| {
        input_cotangent(&zeros(weight), &zeros(block)).map(drop)
    };
    check(vec![
        case(&[5, 4], &[2, 3, 5]),
        case(&[6, 4], &[2, 3, 5]),
        case(&[4, 4], &[2, 3, 5]),
        case(&[5, 4], &[6, 5]),
    ]);
    let case = |x: &[usize], block: &[usize], weight_sum: &[usize], bias_sum: &[usize]| {
        let [x, block, weight_sum, bias_sum] = [x, block, weight_sum, bias_sum].map(zeros);
        accumulate_cotangent(&x, &block, &weight_sum, &bias_sum)
    };
    check(vec![
        case(&[2, 4], &[2, 3, 5], &[3, 5, 4], &[3, 5]),
        case(&[3, 4], &[2, 3, 5], &[3, 5, 4], &[3, 5]),
        case(&[2, 4], &[2, 1, 5], &[3, 5, 4], &[3, 5]),
        case(&[2, 4], &[2, 3, 5], &[6, 5, 4], &[3, 5]),
        case(&[2, 4], &[2, 3, 5], &[3, 5, 4], &[1, 5]),
        case(&[2, 4], &[2, 3, 5], &[3, 5, 4], &[6, 5]),
    ]);
    let case = |primal: &[usize], dx: &[usize], sum: &[usize]| {
        accumulate_second_order(&zeros(primal), &zeros(dx), &zeros(sum))
    };
    check(vec![
        case(&[2, 5], &[2, 3, 4], &[3, 5, 4]),
        case(&[3, 5], &[2, 3, 4], &[3, 5, 4]),
        case(&[2, 5], &[2, 2, 4], &[3, 5, 4]),
        case(&[2, 5], &[2, 3, 4], &[3, 6, 4]),
    ]);
    let case = |primal: &[usize], dweight: &[usize], sum: &[usize]| {
        add_second_order(&zeros(primal), &zeros(dweight), &zeros(sum))
    };
    check(vec![
        case(&[2, 5], &[3, 5, 4], &[2, 3, 4]),
        case(&[2, 6], &[3, 5, 4], &[2, 3, 4]),
        case(&[2, 5], &[2, 5, 4], &[2, 3, 4]),
        case(&[2, 5], &[3, 5, 4], &[3, 2, 4]),
        case(&[2, 5], &[3, 5, 4], &[2, 4, 4]),
    ]);

    #[track_caller]
    fn check(results: Vec<Result<()>>) {
        for (row, result) in results.into_iter().enumerate() {
            assert_eq!(result.is_ok(), row == 0, "row {row}: {result:?}");
        }
    }
}

#[test]
fn number_types_and_layouts_that_do_not_fit_are_errors() {
    let x = uniform((2, 4), 1, DType::F64);
    let weight = uniform((5, 4), 2, DType::F64);
    let bias = uniform(5, 3, DType::F64);
    let single = bias.to_dtype(DType::F32).unwrap();
    assert!(forward(&x, &weight, &single).is_err());
    let half = x.to_dtype(DType::F16).unwrap();
    assert!(forward(&half, &weight, &bias).is_err());
    let transposed = uniform((4, 5), 2, DType::F64).t().unwrap();
    assert!(forward(&x, &transposed, &bias).is_err());
}

#[test]
fn empty_batches_and_blocks_are_no_panic() {
    let empty = |shape: &[usize]| Tensor::zeros(shape, DType::F64, &Device::Cpu).unwrap();
    let (weight, bias) = (uniform((5, 4), 2, DType::F64), uniform(5, 3, DType::F64));
    let y = forward(&empty(&[0, 4]), &weight, &bias).unwrap();
    assert_eq!(y.dims(), [0, 5]);
    let (weight_sum, bias_sum) = (empty(&[0, 5, 4]), empty(&[0, 5]));
    accumulate_cotangent(&empty(&[2, 4]), &empty(&[2, 0, 5]), &weight_sum, &bias_sum).unwrap();
    let no_inputs = forward(&empty(&[2, 0]), &empty(&[5, 0]), &bias).unwrap();
    assert_eq!(values(&no_inputs), [values(&bias), values(&bias)].concat());
}
