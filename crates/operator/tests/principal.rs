//! Principal submatrices against the entries at their indices.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use flatness_operator::{Error, FromFn, LinearOperator, Principal, from_fn};

const DIM: usize = 7;
const VECTORS: [[f64; 3]; 2] = [[1.0, -2.0, 3.0], [0.0, 5.0, -1.0]];

/// A symmetric matrix of whole numbers without structure: every sum is exact.
fn entry(row: usize, column: usize) -> f64 {
    let (low, high) = (row.min(column), row.max(column));
    ((7 * low + 5 * high * high + 3 * low * high) % 11) as f64 - 5.0
}

fn whole(dtype: DType) -> FromFn<impl Fn(&Tensor) -> candle_core::Result<Tensor>> {
    let entries = (0..DIM * DIM).map(|index| entry(index / DIM, index % DIM));
    let matrix = Tensor::from_vec(entries.collect::<Vec<f64>>(), (DIM, DIM), &Device::Cpu);
    let matrix = matrix.unwrap().to_dtype(dtype).unwrap();
    from_fn(DIM, dtype, &Device::Cpu, move |vectors: &Tensor| {
        vectors.matmul(&matrix)
    })
}

fn rows(tensor: &Tensor) -> Vec<Vec<f64>> {
    let tensor = tensor.to_dtype(DType::F64).unwrap();
    tensor.to_vec2::<f64>().unwrap()
}

#[test]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "a group is a list of ranges"
)]
fn a_principal_submatrix_has_the_entries_at_its_indices() {
    let groups: [&[Range<usize>]; 5] = [&[0..7], &[0..1], &[6..7], &[2..5], &[0..2, 2..3, 5..7]];
    for dtype in [DType::F32, DType::F64] {
        for ranges in groups {
            let indices: Vec<usize> = ranges.iter().cloned().flatten().collect();
            let operator = Principal::new(whole(dtype), ranges).unwrap();
            assert_eq!((operator.dim(), operator.dtype()), (indices.len(), dtype));
            let row = |&row| indices.iter().map(|&column| entry(row, column)).collect();
            let expected: Vec<Vec<f64>> = indices.iter().map(row).collect();
            let units = Tensor::eye(indices.len(), dtype, &Device::Cpu).unwrap();
            let product = operator.apply_block(&units).unwrap();
            assert_eq!(rows(&product), expected, "{ranges:?}");
            let wrong = Tensor::zeros((1, indices.len() + 1), dtype, &Device::Cpu).unwrap();
            assert!(operator.apply_block(&wrong).is_err());
        }
    }
}

#[test]
fn embedding_puts_zeros_elsewhere_and_extracting_undoes_it() {
    let ranges = [1..3, 4..5];
    let principal = Principal::new(whole(DType::F64), &ranges).unwrap();
    let vectors = Tensor::new(&VECTORS, &Device::Cpu).unwrap();
    let embedded = principal.embed(&vectors).unwrap();
    let expected = [
        [0.0, 1.0, -2.0, 0.0, 3.0, 0.0, 0.0],
        [0.0, 0.0, 5.0, 0.0, -1.0, 0.0, 0.0],
    ];
    assert_eq!(rows(&embedded), expected);
    assert_eq!(rows(&principal.extract(&embedded).unwrap()), VECTORS);
    // Those of the other space are refused.
    assert!(principal.embed(&embedded).is_err());
    assert!(principal.extract(&vectors).is_err());
}

#[test]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "a group is a list of ranges"
)]
#[expect(clippy::reversed_empty_ranges, reason = "one of those to be refused")]
fn ranges_that_do_not_fit_are_errors() {
    let cases: [(&[Range<usize>], &str); 7] = [
        (&[], "got none"),
        (&[2..2], "got 2..2"),
        (&[3..2], "got 3..2"),
        (&[0..8], "got 0..8"),
        (&[7..8], "got 7..8"),
        (&[0..3, 2..4], "got 2..4"),
        (&[4..5, 1..2], "got 1..2"),
    ];
    for (ranges, named) in cases {
        let error = Principal::new(whole(DType::F64), ranges).err().unwrap();
        assert!(matches!(error, Error::Ranges { dim: 7, .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
}
