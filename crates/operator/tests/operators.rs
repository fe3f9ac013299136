//! Operators against plain loops over the entries (no tensor operation in the oracle), and every
//! error they can give.

use candle_core::{DType, Device, Tensor};
use flatness_operator::{Congruence, Error, FromFn, LinearOperator, Principal, from_fn};

/// Small whole numbers: every sum and product below is exact in both element types, so that tests
/// may ask for equality.
const MATRIX: [[f64; 3]; 3] = [[2.0, -1.0, 4.0], [-1.0, 3.0, 0.0], [4.0, 0.0, -5.0]];
const DIAGONAL: [f64; 3] = [0.5, -2.0, 4.0];
const VECTORS: [[f64; 3]; 2] = [[1.0, -2.0, 3.0], [0.0, 5.0, -1.0]];

fn tensor<Array: candle_core::NdArray>(array: Array, dtype: DType) -> Tensor {
    let tensor = Tensor::new(array, &Device::Cpu).unwrap();
    tensor.to_dtype(dtype).unwrap()
}

/// The matrix itself.
fn matrix(dtype: DType) -> FromFn<impl Fn(&Tensor) -> candle_core::Result<Tensor>> {
    let rows = tensor(&MATRIX, dtype);
    from_fn(3, dtype, &Device::Cpu, move |vectors: &Tensor| {
        vectors.matmul(&rows)
    })
}

fn check_operator(name: &str, operator: &dyn LinearOperator, entry: impl Fn(usize, usize) -> f64) {
    assert_eq!(operator.dim(), 3, "{name}");
    assert!(operator.device().is_cpu(), "{name}");
    let vectors = tensor(&VECTORS, operator.dtype());
    let of_row = |vector: &[f64; 3], i| (0..3).map(|j| entry(i, j) * vector[j]).sum::<f64>();
    let expected = VECTORS.map(|vector| [0, 1, 2].map(|i| of_row(&vector, i)));
    let block = operator.apply_block(&vectors).unwrap();
    assert_eq!(block.dtype(), operator.dtype(), "{name}");
    let rows = block
        .to_dtype(DType::F64)
        .unwrap()
        .to_vec2::<f64>()
        .unwrap();
    assert_eq!(rows, expected, "{name}");
    for (row, expected) in expected.iter().enumerate() {
        let product = operator.apply(&vectors.get(row).unwrap()).unwrap();
        let product = product.to_dtype(DType::F64).unwrap();
        assert_eq!(product.to_vec1::<f64>().unwrap(), *expected, "{name}");
    }
    for shape in [vec![2, 4], vec![0, 3], vec![3]] {
        let wrong = Tensor::zeros(shape.as_slice(), operator.dtype(), &Device::Cpu).unwrap();
        match operator.apply_block(&wrong) {
            Err(Error::ShapeMismatch { got, .. }) => assert_eq!(got, shape, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    let matrix_as_vector = Tensor::zeros((1, 3), operator.dtype(), &Device::Cpu).unwrap();
    let error = operator.apply(&matrix_as_vector);
    assert!(
        matches!(error, Err(Error::ShapeMismatch { .. })),
        "{name}: {error:?}"
    );
    let error = operator.apply_block(&vectors.to_dtype(DType::U8).unwrap());
    assert!(
        matches!(error, Err(Error::DTypeMismatch { got: DType::U8, .. })),
        "{name}"
    );
}

#[test]
fn products_agree_with_loops_over_the_entries() {
    for dtype in [DType::F32, DType::F64] {
        let a = matrix(dtype);
        check_operator("closure", &a, |i, j| MATRIX[i][j]);
        check_operator("reference", &&a, |i, j| MATRIX[i][j]);
        let congruence = Congruence::new(&a, &tensor(&DIAGONAL, dtype)).unwrap();
        let entry = |i: usize, j: usize| DIAGONAL[i] * MATRIX[i][j] * DIAGONAL[j];
        check_operator("congruence", &congruence, entry);
    }
}

#[test]
fn combinations_nest_and_keep_the_scale_of_what_cancels() {
    /// The matrix, of terms a hundred times as large as it.
    struct Difference<Operator>(Operator);

    impl<Operator: LinearOperator> LinearOperator for Difference<Operator> {
        flatness_operator::space_of!(0);

        fn scale(&self) -> f64 {
            100.0
        }

        fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, Error> {
            self.0.apply_block(vectors)
        }
    }

    let diagonal = tensor(&DIAGONAL, DType::F64);
    let congruence = || Congruence::new(Difference(matrix(DType::F64)), &diagonal).unwrap();
    // The largest entry of D is 4.
    assert_eq!(congruence().scale(), 1600.0);
    let nested = Congruence::new(congruence(), &diagonal).unwrap();
    let squares = DIAGONAL.map(|entry| entry * entry);
    check_operator("D D A D D", &nested, |i, j| {
        squares[i] * MATRIX[i][j] * squares[j]
    });
    let whole = 0..3;
    let principal = Principal::new(Difference(matrix(DType::F64)), &[whole]).unwrap();
    assert_eq!((&&principal).scale(), 100.0);
    assert_eq!(matrix(DType::F64).scale(), 0.0);
}

#[test]
fn operators_that_do_not_fit_are_not_combined() {
    let a = matrix(DType::F64);
    let error = Congruence::new(&a, &tensor(&[1.0_f64], DType::F64)).err();
    assert!(
        matches!(error, Some(Error::ShapeMismatch { .. })),
        "{error:?}"
    );
    let error = Congruence::new(&a, &tensor(&DIAGONAL, DType::F32)).err();
    assert!(
        matches!(error, Some(Error::DTypeMismatch { .. })),
        "{error:?}"
    );
}

/// What an implementer outside this crate fails with.
#[derive(Debug, thiserror::Error)]
#[error("batch 3 of 7 holds no example; drop it from the data set")]
struct EmptyBatch;

#[test]
fn an_implementers_error_passes_through_combinations_unchanged() {
    let failing = from_fn(3, DType::F64, &Device::Cpu, |_| {
        Err(Error::from_source(EmptyBatch))
    });
    let diagonal = tensor(&DIAGONAL, DType::F64);
    let error = Congruence::new(failing, &diagonal)
        .unwrap()
        .apply(&diagonal);
    let error = error.unwrap_err();
    assert_eq!(error.to_string(), EmptyBatch.to_string());
    match error {
        Error::Source(source) => assert!(source.downcast_ref::<EmptyBatch>().is_some()),
        other => panic!("{other}"),
    }
}
