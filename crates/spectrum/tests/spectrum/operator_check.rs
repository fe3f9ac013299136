//! The check of an operator before it is measured: what passes, and who is named.

use std::cell::Cell;

use candle_core::{DType, Device, Tensor};
use flatness_operator::{LinearOperator, from_fn};
use flatness_spectrum::{Error, Probe, Verified};

use crate::matrices::{Matrix, cases, custom, vector};

/// The operator, which counts the vectors that it multiplies.
fn counting<'a>(
    operator: &'a dyn LinearOperator,
    made: &'a Cell<usize>,
) -> impl LinearOperator + 'a {
    let (dim, device) = (operator.dim(), operator.device());
    from_fn(dim, operator.dtype(), device, move |block| {
        made.set(made.get() + block.dim(0)?);
        operator.apply_block(block)
    })
}

/// What the first product of each width costs beside itself: the whole block again, then one row.
#[test]
fn verified_products_are_the_products_and_cost_one_or_two_more() {
    let zero = Matrix::new("zero", vec![0.0; 20]);
    let one = Matrix::new("one by one", vec![-7.0]);
    let orders = [
        vec![(1, 1), (1, 1), (3, 2), (2, 2), (3, 2)],
        vec![(2, 2), (2, 2), (1, 3), (3, 3)],
    ];
    for case in cases().into_iter().chain([zero, one]) {
        let dtypes = [DType::F32, DType::F64].into_iter();
        for (dtype, order) in dtypes.flat_map(|dtype| orders.iter().map(move |one| (dtype, one))) {
            let (operator, all) = (case.operator(dtype), Cell::new(0));
            let verified = Verified::new(counting(&operator, &all));
            let mut made = 0;
            for &(width, extra) in order {
                let block = Probe::Gaussian.rows(&operator, 0..width, 5).unwrap();
                let product = verified.apply_block(&block).unwrap();
                made += width;
                assert_eq!(all.get(), made + extra, "{}", case.name);
                let plain = operator.apply_block(&block).unwrap();
                let rows = |tensor: &Tensor| tensor.to_dtype(DType::F64)?.to_vec2::<f64>();
                assert_eq!(rows(&product).unwrap(), rows(&plain).unwrap());
            }
        }
    }
}

/// Products at the level of rounding differ in all their digits from one width to the next.
#[test]
fn a_vector_that_vanishes_is_not_a_culprit() {
    let made = Cell::new(0);
    let projection = custom(3, DType::F64, |block: &Tensor| {
        made.set(made.get() + block.dim(0)?);
        let noise = 1e-16 * block.dim(0)? as f64;
        let kept = Tensor::new(&[1.0, 1.0, 0.0], block.device())?;
        block.broadcast_mul(&kept)?.affine(1.0, noise)
    });
    let verified = Verified::new(&projection);
    let first = Tensor::new(&[[1.0, 2.0, 3.0]], &Device::Cpu).unwrap();
    verified.apply_block(&first).unwrap();
    let vanishing = Tensor::new(&[[0.0, 0.0, 1.0]; 2], &Device::Cpu).unwrap();
    verified.apply_block(&vanishing).unwrap();
    // One and two, and one of either for a check.
    assert_eq!(made.get(), 3 + 2);
}

/// The error of products of random blocks of so many rows.
fn refused_on_the_way(operator: &dyn LinearOperator, widths: [usize; 2]) -> Error {
    let verified = Verified::new(operator);
    let products = widths.map(|rows| {
        let block = Probe::Gaussian.rows(operator, 0..rows, 1).unwrap();
        verified.apply_block(&block)
    });
    let first = products.into_iter().find_map(Result::err);
    let Some(flatness_operator::Error::Source(error)) = first else {
        panic!("no source: {first:?}");
    };
    *error.downcast().unwrap()
}

#[test]
fn the_culprit_is_named() {
    let ramp: Vec<f64> = (1..=30).map(f64::from).collect();
    let ramp = vector(&ramp, DType::F64);
    let calls = Cell::new(0.0);
    let drifting = custom(30, DType::F64, |block: &Tensor| {
        calls.set(calls.get() + 1e-9);
        (block.broadcast_mul(&ramp)?).affine(1.0 + calls.get(), 0.0)
    });
    match refused_on_the_way(&drifting, [1, 2]) {
        Error::NotDeterministic {
            rows: 1,
            difference,
            ..
        } => assert!(difference > 0.0),
        error => panic!("{error}"),
    }
    let summing = custom(30, DType::F64, |block: &Tensor| {
        (block.broadcast_mul(&ramp)?).broadcast_add(&block.mean_keepdim(0)?)
    });
    let error = refused_on_the_way(&summing, [1, 2]);
    assert!(matches!(error, Error::BlockDependent { .. }), "{error}");
    let (_, skewed) = Matrix::by("indefinite", 30, |i| i - 10.0).skewed(0.5);
    let error = refused_on_the_way(&skewed, [2, 2]);
    assert!(matches!(error, Error::Asymmetric { .. }), "{error}");
}
