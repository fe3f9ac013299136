//! Operators against plain loops over the entries (no tensor operation in the oracle), and every
//! error they can give.

use candle_core::{DType, Device, Tensor};
use flatness_operator::{Congruence, Dense, Error, LinearOperator, Principal, Shifted, from_fn};

/// Small whole numbers: every sum and product below is exact in both element types, so that tests
/// may ask for equality.
const MATRIX: [[f64; 3]; 3] = [[2.0, -1.0, 4.0], [-1.0, 3.0, 0.0], [4.0, 0.0, -5.0]];
const DIAGONAL: [f64; 3] = [0.5, -2.0, 4.0];
const VECTORS: [[f64; 3]; 2] = [[1.0, -2.0, 3.0], [0.0, 5.0, -1.0]];

fn tensor<Array: candle_core::NdArray>(array: Array, dtype: DType) -> Tensor {
    let tensor = Tensor::new(array, &Device::Cpu).unwrap();
    tensor.to_dtype(dtype).unwrap()
}

fn dense(matrix: [[f64; 3]; 3], dtype: DType) -> Dense {
    Dense::new(&tensor(&matrix, dtype)).unwrap()
}

/// The rows of V times the symmetric matrix, by definition.
fn products_by_loops(matrix: [[f64; 3]; 3]) -> Vec<Vec<f64>> {
    VECTORS
        .iter()
        .map(|vector| {
            matrix
                .iter()
                .map(|row| row.iter().zip(vector).map(|(a, v)| a * v).sum())
                .collect()
        })
        .collect()
}

fn entrywise(entry: impl Fn(usize, usize) -> f64) -> [[f64; 3]; 3] {
    std::array::from_fn(|row| std::array::from_fn(|column| entry(row, column)))
}

fn check_operator(name: &str, operator: &dyn LinearOperator, matrix: [[f64; 3]; 3]) {
    assert_eq!(operator.dim(), 3, "{name}");
    assert!(operator.device().is_cpu(), "{name}");
    let vectors = tensor(&VECTORS, operator.dtype());
    let expected = products_by_loops(matrix);
    let block = operator.apply_block(&vectors).unwrap();
    assert_eq!(block.dtype(), operator.dtype(), "{name}");
    let block = block.to_dtype(DType::F64).unwrap();
    assert_eq!(block.to_vec2::<f64>().unwrap(), expected, "{name}");
    for (row, expected) in expected.iter().enumerate() {
        let product = operator.apply(&vectors.get(row).unwrap()).unwrap();
        let product = product.to_dtype(DType::F64).unwrap();
        assert_eq!(product.to_vec1::<f64>().unwrap(), *expected, "{name}");
    }
    for wrong in [
        Tensor::zeros((2, 4), operator.dtype(), &Device::Cpu).unwrap(),
        Tensor::zeros((0, 3), operator.dtype(), &Device::Cpu).unwrap(),
        Tensor::zeros(3, operator.dtype(), &Device::Cpu).unwrap(),
    ] {
        let got = wrong.dims().to_vec();
        let error = operator.apply_block(&wrong).unwrap_err();
        assert!(
            matches!(&error, Error::ShapeMismatch { got: shape, .. } if *shape == got),
            "{name}: {error}"
        );
    }
    let matrix_as_vector = Tensor::zeros((1, 3), operator.dtype(), &Device::Cpu).unwrap();
    let error = operator.apply(&matrix_as_vector).unwrap_err();
    assert!(
        matches!(error, Error::ShapeMismatch { .. }),
        "{name}: {error}"
    );
    let error = operator.apply_block(&vectors.to_dtype(DType::U8).unwrap());
    assert!(
        matches!(error, Err(Error::DTypeMismatch { got: DType::U8, .. })),
        "{name}"
    );
}

#[test]
fn products_agree_with_loops_over_the_entries() {
    let diagonal_product =
        |row: usize, column: usize| DIAGONAL[row] * MATRIX[row][column] * DIAGONAL[column];
    for dtype in [DType::F32, DType::F64] {
        let a = dense(MATRIX, dtype);
        let diagonal = tensor(&DIAGONAL, dtype);
        let rows = tensor(&MATRIX, dtype);
        let closure = from_fn(3, dtype, &Device::Cpu, |vectors| vectors.matmul(&rows));
        let shifted =
            entrywise(|row, column| MATRIX[row][column] + if row == column { 0.25 } else { 0.0 });
        let boxed: Box<dyn LinearOperator> = Box::new(a.clone());
        check_operator("dense", &a, MATRIX);
        check_operator("reference", &&a, MATRIX);
        check_operator("box", &boxed, MATRIX);
        check_operator("closure", &closure, MATRIX);
        check_operator("shifted", &Shifted::new(&a, 0.25).unwrap(), shifted);
        check_operator(
            "congruence",
            &Congruence::new(&a, &diagonal).unwrap(),
            entrywise(diagonal_product),
        );
    }
}

#[test]
fn combinations_nest_and_keep_the_scale_of_what_cancels() {
    /// The same matrix, of terms a hundred times as large as it.
    struct Difference(Dense);

    impl LinearOperator for Difference {
        fn dim(&self) -> usize {
            self.0.dim()
        }

        fn dtype(&self) -> DType {
            self.0.dtype()
        }

        fn device(&self) -> &Device {
            self.0.device()
        }

        fn scale(&self) -> f64 {
            100.0
        }

        fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, Error> {
            self.0.apply_block(vectors)
        }
    }

    let diagonal = tensor(&DIAGONAL, DType::F64);
    let difference = || Difference(dense(MATRIX, DType::F64));
    let nested = Shifted::new(Congruence::new(difference(), &diagonal).unwrap(), -1.0).unwrap();
    let expected = entrywise(|row, column| {
        let one = if row == column { 1.0 } else { 0.0 };
        DIAGONAL[row] * MATRIX[row][column] * DIAGONAL[column] - one
    });
    check_operator("D A D - I", &nested, expected);
    // The largest entry of D is 4.
    assert_eq!(nested.scale(), 1600.0);
    let boxed: Box<dyn LinearOperator> = Box::new(difference());
    let whole = 0..3;
    let principal = Principal::new(&boxed, &[whole]).unwrap();
    assert_eq!(Shifted::new(principal, 1.0).unwrap().scale(), 100.0);
    assert_eq!(dense(MATRIX, DType::F64).scale(), 0.0);
    let shifted = Shifted::new(dense(MATRIX, DType::F64), -7.0).unwrap();
    assert_eq!(shifted.scale(), 7.0);
}

#[test]
fn an_asymmetric_matrix_is_refused_with_its_worst_entry() {
    let mut matrix = MATRIX;
    matrix[0][1] = -1.25;
    matrix[2][1] = 0.75;
    let error = Dense::new(&tensor(&matrix, DType::F64)).unwrap_err();
    match error {
        Error::NotSymmetric {
            row,
            column,
            upper,
            lower,
            ..
        } => {
            assert_eq!((row, column), (1, 2));
            assert_eq!((upper, lower), (0.0, 0.75));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn asymmetry_is_judged_relative_to_the_largest_entry() {
    // Around the bound 8 √3 ε max|a| = 8 · 1.732 · 2.2e-16 · 5 = 1.54e-14.
    for (difference, accepted) in [(1e-14, true), (3e-14, false)] {
        let mut matrix = MATRIX;
        matrix[0][1] += difference;
        let result = Dense::new(&tensor(&matrix, DType::F64));
        assert_eq!(result.is_ok(), accepted, "{difference:e}");
    }
}

#[test]
fn symmetry_is_tested_beyond_the_first_strip() {
    let dim = 300;
    for (row, column) in [(10, 290), (280, 299), (299, 280), (290, 10)] {
        let mut entries = vec![0.0_f64; dim * dim];
        entries[row * dim + column] = 1.0;
        let matrix = Tensor::from_vec(entries, (dim, dim), &Device::Cpu).unwrap();
        let expected = (row.min(column), row.max(column));
        match Dense::new(&matrix).unwrap_err() {
            Error::NotSymmetric { row, column, .. } => assert_eq!((row, column), expected),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_matrix_that_is_no_operator_is_refused() {
    let vector = tensor(&DIAGONAL, DType::F64);
    let empty = Tensor::zeros((0, 0), DType::F64, &Device::Cpu).unwrap();
    let oblong = tensor(&VECTORS, DType::F64);
    for wrong in [vector, empty, oblong] {
        let error = Dense::new(&wrong).unwrap_err();
        assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
    }
    let integers = tensor(&MATRIX, DType::I64);
    let error = Dense::new(&integers).unwrap_err();
    assert!(
        matches!(
            error,
            Error::UnsupportedDType {
                got: DType::I64,
                ..
            }
        ),
        "{error}"
    );
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for (row, column) in [(0, 1), (1, 0), (2, 2)] {
            let mut matrix = MATRIX;
            matrix[row][column] = value;
            match Dense::new(&tensor(&matrix, DType::F64)).unwrap_err() {
                Error::NonFiniteEntry {
                    row: r, column: c, ..
                } => {
                    assert_eq!((r, c), (row, column));
                }
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn operators_that_do_not_fit_are_not_combined() {
    let a = dense(MATRIX, DType::F64);
    let error = Congruence::new(&a, &tensor(&[1.0_f64], DType::F64)).unwrap_err();
    assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
    let error = Congruence::new(&a, &tensor(&DIAGONAL, DType::F32)).unwrap_err();
    assert!(matches!(error, Error::DTypeMismatch { .. }), "{error}");
    for value in [f64::NAN, f64::INFINITY] {
        let error = Shifted::new(&a, value).unwrap_err();
        assert!(matches!(error, Error::NonFiniteShift { .. }), "{error}");
    }
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
    let operator = Shifted::new(failing, 1.0).unwrap();
    let error = operator.apply(&tensor(&DIAGONAL, DType::F64)).unwrap_err();
    assert_eq!(error.to_string(), EmptyBatch.to_string());
    match error {
        Error::Source(source) => assert!(source.downcast_ref::<EmptyBatch>().is_some()),
        other => panic!("{other}"),
    }
}
