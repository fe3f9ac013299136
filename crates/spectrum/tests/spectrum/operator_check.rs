//! The check of an operator before it is measured: what passes, and who is named.

use std::cell::Cell;

use candle_core::{DType, Tensor};
use flatness_operator::{Counted, LinearOperator};
use flatness_spectrum::{Error, check_operator};

use crate::matrices::{Custom, Diagonal, Matrix, cases, tensor};

#[test]
fn symmetric_operators_pass_at_the_cost_told() {
    let zero = Matrix::new("zero", vec![0.0; 20]);
    let one = Matrix::new("one by one", vec![-7.0]);
    for case in cases().into_iter().chain([zero, one]) {
        for dtype in [DType::F32, DType::F64] {
            let operator = Counted::new(case.operator(dtype));
            let check = check_operator(&operator, 1).unwrap();
            assert_eq!(check.products as u64, operator.products(), "{}", case.name);
            let rounding = if dtype == DType::F32 { 1e-4 } else { 1e-12 };
            assert!(check.asymmetry <= rounding, "{}", case.name);
            assert!(check.block_difference <= rounding, "{}", case.name);
        }
    }
}

fn refused(operator: &dyn LinearOperator) -> Error {
    check_operator(operator, 1).unwrap_err()
}

#[test]
fn the_culprit_is_named() {
    let diagonal = Diagonal::new((1..=30).map(f64::from).collect(), DType::F64);
    let calls = Cell::new(0.0);
    let drifting = Custom {
        dim: 30,
        dtype: DType::F64,
        apply: |block: &Tensor| {
            calls.set(calls.get() + 1e-9);
            block
                .broadcast_mul(&diagonal.0)?
                .affine(1.0 + calls.get(), 0.0)
        },
    };
    let error = refused(&drifting);
    assert!(
        matches!(error, Error::NotDeterministic { rows: 1, difference, .. } if difference > 0.0),
        "{error}"
    );
    let summing = Custom {
        dim: 30,
        dtype: DType::F64,
        apply: |block: &Tensor| {
            block
                .broadcast_mul(&diagonal.0)?
                .broadcast_add(&block.mean_keepdim(0)?)
        },
    };
    let error = refused(&summing);
    assert!(matches!(error, Error::BlockDependent { .. }), "{error}");
    let case = Matrix::new("indefinite", (0..30).map(|i| f64::from(i) - 10.0).collect());
    let mut entries = case.entries.clone();
    entries[(3, 17)] += 1.0;
    let transposed = tensor(&entries.transpose());
    let skewed = Custom {
        dim: 30,
        dtype: DType::F64,
        apply: |block: &Tensor| block.matmul(&transposed),
    };
    let error = refused(&skewed);
    assert!(matches!(error, Error::Asymmetric { .. }), "{error}");
    let poisoned = Diagonal::new(vec![f64::NAN; 3], DType::F64);
    let error = refused(&poisoned);
    assert!(
        matches!(
            error,
            Error::NonFiniteProduct {
                probe: 0,
                product: 0
            }
        ),
        "{error}"
    );
}
