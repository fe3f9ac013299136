//! The check of an operator before it is measured: what passes, and who is named.

use std::cell::Cell;

use candle_core::{DType, Device, Tensor};
use flatness_operator::{Dense, LinearOperator, from_fn};
use flatness_spectrum::{Budget, Error, Probe, Verified};

use crate::matrices::{Diagonal, Matrix, cases, custom, tensor};

/// The operator, which counts the vectors that it multiplies.
fn counting<'a>(operator: &'a Dense, made: &'a Cell<usize>) -> impl LinearOperator + 'a {
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
        for (dtype, order) in [DType::F32, DType::F64]
            .into_iter()
            .flat_map(|dtype| orders.iter().map(move |order| (dtype, order)))
        {
            let (operator, all) = (case.operator(dtype), Cell::new(0));
            let verified = Verified::new(counting(&operator, &all), Budget::UNLIMITED);
            let mut made = 0;
            for &(width, extra) in order {
                let block = Probe::Gaussian.rows(&operator, 0..width, 5).unwrap();
                let product = verified.apply_block(&block).unwrap();
                made += width;
                assert_eq!(verified.extra_products(), extra, "{}", case.name);
                assert_eq!(all.get(), made + extra);
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
    let projection = custom(3, DType::F64, |block: &Tensor| {
        let noise = 1e-16 * block.dim(0)? as f64;
        let kept = Tensor::new(&[1.0, 1.0, 0.0], block.device())?;
        block.broadcast_mul(&kept)?.affine(1.0, noise)
    });
    let verified = Verified::new(&projection, Budget::UNLIMITED);
    let first = Tensor::new(&[[1.0, 2.0, 3.0]], &Device::Cpu).unwrap();
    verified.apply_block(&first).unwrap();
    let vanishing = Tensor::new(&[[0.0, 0.0, 1.0]; 2], &Device::Cpu).unwrap();
    verified.apply_block(&vanishing).unwrap();
    assert_eq!(verified.extra_products(), 2);
}

/// The error of products of random blocks of so many rows.
fn refused_on_the_way(operator: &dyn LinearOperator, widths: [usize; 2]) -> Error {
    let verified = Verified::new(operator, Budget::UNLIMITED);
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
    let diagonal = Diagonal::new((1..=30).map(f64::from).collect(), DType::F64);
    let calls = Cell::new(0.0);
    let drifting = custom(30, DType::F64, |block: &Tensor| {
        calls.set(calls.get() + 1e-9);
        block
            .broadcast_mul(&diagonal.0)?
            .affine(1.0 + calls.get(), 0.0)
    });
    let error = refused_on_the_way(&drifting, [1, 2]);
    assert!(
        matches!(error, Error::NotDeterministic { rows: 1, difference, .. } if difference > 0.0),
        "{error}"
    );
    let summing = custom(30, DType::F64, |block: &Tensor| {
        block
            .broadcast_mul(&diagonal.0)?
            .broadcast_add(&block.mean_keepdim(0)?)
    });
    let error = refused_on_the_way(&summing, [1, 2]);
    assert!(matches!(error, Error::BlockDependent { .. }), "{error}");
    let case = Matrix::new("indefinite", (0..30).map(|i| f64::from(i) - 10.0).collect());
    let mut entries = case.entries.clone();
    entries[(3, 17)] += 1.0;
    let transposed = tensor(&entries.transpose());
    let skewed = custom(30, DType::F64, |block: &Tensor| block.matmul(&transposed));
    let error = refused_on_the_way(&skewed, [2, 2]);
    assert!(matches!(error, Error::Asymmetric { .. }), "{error}");
}
