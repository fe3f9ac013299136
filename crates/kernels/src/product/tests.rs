//! Strided products against triple loops, and extents that reach beyond their slices.

use super::{Extent, accumulate, product};

/// Small integers, whose products and sums are exact.
fn integers(count: usize) -> Vec<f64> {
    (0..count).map(|i| ((7 * i) % 11) as f64 - 5.0).collect()
}

fn element((elements, extent): (&[f64], Extent), row: usize, column: usize) -> f64 {
    elements[extent.start + row * extent.row_stride + column * extent.column_stride]
}

#[test]
fn products_of_strided_matrices_are_exact_on_integers() {
    for (rows, inner, columns) in [(1, 1, 1), (3, 1, 4), (1, 9, 1), (5, 7, 3), (17, 33, 9)] {
        let cases = [
            (
                Extent::row_major(rows, inner),
                Extent::row_major(inner, columns),
            ),
            (
                Extent::row_major(inner, rows).transposed(),
                Extent::row_major(columns, inner).transposed(),
            ),
            (
                Extent::inner(rows, 3, inner, 2),
                Extent::outer(inner, columns, 2),
            ),
        ];
        for (left_extent, right_extent) in cases {
            let elements = integers(3 * (rows + columns) * inner);
            let (left, right) = ((&elements[..], left_extent), (&elements[..], right_extent));
            let expected: Vec<f64> = (0..rows * columns)
                .map(|at| {
                    (0..inner)
                        .map(|k| element(left, at / columns, k) * element(right, k, at % columns))
                        .sum()
                })
                .collect();
            assert_eq!(product(left, right).unwrap(), expected);

            // The middle of three stacked matrices: its neighbours must stay as they are.
            let mut sum = vec![1.0; 3 * rows * columns];
            accumulate(&mut sum, Extent::outer(rows, columns, 1), left, right).unwrap();
            let (before, rest) = sum.split_at(rows * columns);
            let (middle, after) = rest.split_at(rows * columns);
            assert!(
                before
                    .iter()
                    .chain(after)
                    .all(|&untouched| untouched == 1.0)
            );
            assert!(middle.iter().zip(&expected).all(|(sum, e)| *sum == e + 1.0));
        }
    }
}

#[test]
fn an_empty_inner_axis_gives_zeros() {
    let nothing: (&[f64], Extent) = (&[], Extent::row_major(2, 0));
    assert_eq!(
        product(nothing, (&[], Extent::row_major(0, 3))).unwrap(),
        [0.0; 6]
    );
}

#[test]
fn extents_beyond_their_slices_and_matrices_that_do_not_conform_are_errors() {
    let elements = integers(12);
    let three_by_four = Extent::row_major(3, 4);
    let four_by_three = Extent::row_major(4, 3);
    let operand = |length: usize, extent| (&elements[..length], extent);
    assert!(product(operand(12, three_by_four), operand(12, four_by_three)).is_ok());
    assert!(product(operand(11, three_by_four), operand(12, four_by_three)).is_err());
    assert!(product(operand(12, three_by_four), operand(11, four_by_three)).is_err());
    assert!(product(operand(12, three_by_four), operand(12, three_by_four)).is_err());
    assert!(
        product(
            operand(12, Extent::outer(3, 4, 1)),
            operand(12, four_by_three)
        )
        .is_err()
    );
    let mut sum = vec![0.0; 9];
    let (left, right) = (operand(12, three_by_four), operand(12, four_by_three));
    assert!(accumulate(&mut sum, Extent::row_major(3, 3), left, right).is_ok());
    assert!(accumulate(&mut sum, Extent::row_major(9, 1), left, right).is_err());
    assert!(accumulate(&mut sum, Extent::outer(3, 3, 1), left, right).is_err());
}
