//! Products and differences against plain loops in double precision.

use candle_core::{DType, Tensor};

use super::{PIECE, RUN, inner_products, subtract_combinations};
use crate::seeded::{NUMBER_TYPES, uniform, values};

/// Rows, vectors and their length: tiles with and without ends, pieces with and without ends.
const SHAPES: [(usize, usize, usize); 6] = [
    (1, 1, 1),
    (1, 4, 16),
    (2, 5, 16 + 3),
    (3, 9, PIECE + 1),
    (5, 2, RUN * PIECE),
    (2, 4, RUN * PIECE + 16 + 1),
];

#[test]
fn inner_products_are_those_of_loops() {
    for (height, count, dim) in SHAPES {
        for (dtype, bound) in NUMBER_TYPES {
            let rows = uniform((height, dim), 1, dtype);
            let vectors = uniform((count, dim), 2, dtype);
            let got = inner_products(&rows, &vectors).unwrap();
            let (rows, vectors) = (values(&rows), values(&vectors));
            let mut expected = Vec::new();
            for row in rows.chunks(dim) {
                for vector in vectors.chunks(dim) {
                    expected.push(row.iter().zip(vector).map(|(a, b)| a * b).sum::<f64>());
                }
            }
            assert_eq!(got.len(), expected.len());
            // Rounding grows no faster than the root of the length.
            let bound = bound * (dim as f64).sqrt();
            for (got, expected) in got.iter().zip(&expected) {
                let error = (got - expected).abs();
                assert!(error <= bound, "{height} {count} {dim} {dtype:?}");
            }
        }
    }
}

#[test]
fn combinations_are_taken_away_in_place() {
    for (height, count, dim) in SHAPES {
        for (dtype, bound) in NUMBER_TYPES {
            let rows = uniform((height, dim), 1, dtype).copy().unwrap();
            let vectors = uniform((count, dim), 2, dtype);
            let coefficients = values(&uniform((height, count), 3, DType::F64));
            let mut expected = values(&rows);
            for (row, coefficients) in expected.chunks_mut(dim).zip(coefficients.chunks(count)) {
                for (vector, coefficient) in values(&vectors).chunks(dim).zip(coefficients) {
                    for (value, entry) in row.iter_mut().zip(vector) {
                        *value -= coefficient * entry;
                    }
                }
            }
            subtract_combinations(&rows, &coefficients, &vectors).unwrap();
            crate::seeded::assert_close("the rows left", &rows, &expected, bound);
        }
    }
}

#[test]
fn operands_that_do_not_fit_are_refused() {
    let [rows, vectors] = [(2, 5), (3, 5)].map(|shape| uniform(shape, 1, DType::F64));
    let short = vectors.narrow(1, 0, 4).unwrap();
    assert!(inner_products(&rows, &short).is_err());
    assert!(subtract_combinations(&rows, &[0.0; 6], &short).is_err());
    assert!(subtract_combinations(&rows, &[0.0; 5], &vectors).is_err());
    let both: Tensor = uniform((5, 5), 3, DType::F64);
    let (rows, vectors) = (both.narrow(0, 0, 2).unwrap(), both.narrow(0, 2, 3).unwrap());
    assert!(subtract_combinations(&rows, &[0.0; 6], &vectors).is_err());
}
