//! Both paths against loops over every product, in float64.

use candle_core::{DType, Tensor};

use super::{Pairing, Side};
use crate::real::with_candle_path;
use crate::seeded::{NUMBER_TYPES, assert_close, uniform, values};

const BATCH: usize = 2;
const VECTORS: usize = 3;

/// Shapes of one example of a, b and y, and the places of the factors and the result of every product.
const PRODUCTS: [[&[usize]; 3]; 8] = [
    [&[5], &[5], &[5]],
    [&[2, 3, 4], &[2, 3, 4], &[2, 3, 4]],
    [&[2, 3, 4], &[4], &[2, 3, 4]],
    [&[3, 1], &[2, 3, 4], &[2, 3, 4]],
    [&[2, 1, 4], &[1, 3, 1], &[2, 3, 4]],
    [&[1], &[2, 2], &[2, 2]],
    [&[1, 1], &[1, 1], &[1, 1]],
    [&[2, 1, 1], &[2, 3, 35], &[2, 3, 35]],
];
const MATRICES: [[&[usize]; 3]; 6] = [
    [&[2, 3], &[3, 4], &[2, 4]],
    [&[1, 1], &[1, 1], &[1, 1]],
    [&[2, 5, 3], &[2, 3, 4], &[2, 5, 4]],
    [&[5, 3], &[2, 3, 4], &[2, 5, 4]],
    [&[2, 1, 5, 3], &[3, 3, 4], &[2, 3, 5, 4]],
    [&[2, 3, 1, 9], &[2, 1, 9, 1], &[2, 3, 1, 1]],
];

/// Place in a row-major tensor of `dims` of the element at `index` of a shape to which it is repeated.
fn place(dims: &[usize], index: &[usize]) -> usize {
    let own = &index[index.len() - dims.len()..];
    let steps = dims.iter().zip(own);
    steps.fold(0, |place, (&length, &at)| {
        place * length + if length == 1 { 0 } else { at }
    })
}

fn index(dims: &[usize], mut place: usize) -> Vec<usize> {
    let mut index: Vec<usize> = dims
        .iter()
        .rev()
        .map(|&length| {
            let at = place % length;
            place /= length;
            at
        })
        .collect();
    index.reverse();
    index
}

/// Places of a, b and y of every product.
fn products(pairing: Pairing, [a, b, y]: [&[usize]; 3]) -> Vec<[usize; 3]> {
    let results = 0..y.iter().product();
    let each = results.flat_map(|result| {
        let at = index(y, result);
        match pairing {
            Pairing::Product => vec![[place(a, &at), place(b, &at), result]],
            Pairing::MatMul => {
                let (matrix, inner) = (at.len() - 2, a[a.len() - 1]);
                let with = |row: usize, column: usize| [&at[..matrix], &[row, column]].concat();
                let (row, column) = (at[matrix], at[matrix + 1]);
                // `place` takes axes of one element at 0, here as it must.
                let of = |k| [place(a, &with(row, k)), place(b, &with(k, column)), result];
                (0..inner).map(of).collect()
            }
        }
    });
    each.collect()
}

/// A tensor of examples, or of their vectors.
struct Part<'a> {
    values: &'a [f64],
    vectors: usize,
}

impl<'a> Part<'a> {
    fn of(&self, example: usize, vector: usize) -> &'a [f64] {
        let count = self.values.len() / (BATCH * self.vectors);
        let vector = if self.vectors == 1 { 0 } else { vector };
        &self.values[(example * self.vectors + vector) * count..][..count]
    }
}

/// Adds the products of two of a, b and y, numbers 0 to 2 of `products`, to the third, `to`, (B, V, ...).
fn add(
    products: &[[usize; 3]],
    sum: &mut [f64],
    to: usize,
    left: (usize, Part<'_>),
    right: (usize, Part<'_>),
) {
    let vectors = if sum.is_empty() {
        1
    } else {
        left.1.vectors.max(right.1.vectors)
    };
    let count = sum.len() / (BATCH * vectors);
    for (row, sum) in sum.chunks_mut(count).enumerate() {
        let (example, vector) = (row / vectors, row % vectors);
        let (a, b) = (left.1.of(example, vector), right.1.of(example, vector));
        for places in products {
            sum[places[to]] += a[places[left.0]] * b[places[right.0]];
        }
    }
}

#[test]
fn every_pass_equals_loops_over_every_product() {
    let cases = PRODUCTS
        .map(|shapes| (Pairing::Product, shapes))
        .into_iter();
    for (pairing, shapes) in cases.chain(MATRICES.map(|shapes| (Pairing::MatMul, shapes))) {
        assert_eq!(
            pairing.result_shape(shapes[0], shapes[1]).as_deref(),
            Some(shapes[2])
        );
        let all = products(pairing, shapes);
        for (dtype, tolerance) in NUMBER_TYPES {
            let primal = |k: usize, seed| uniform([&[BATCH], shapes[k]].concat(), seed, dtype);
            let block =
                |k: usize, seed| uniform([&[BATCH, VECTORS], shapes[k]].concat(), seed, dtype);
            let [a, b, y_bar] = [primal(0, 1), primal(1, 2), primal(2, 3)];
            let [da, db, cotangent] = [block(0, 4), block(1, 5), block(2, 6)];
            let [a_, b_, y_bar_, da_, db_, cotangent_] =
                [&a, &b, &y_bar, &da, &db, &cotangent].map(values);
            let (one, many) = (
                |values| Part { values, vectors: 1 },
                |values| Part {
                    values,
                    vectors: VECTORS,
                },
            );
            let what = format!("{pairing:?} {shapes:?} {dtype:?}");
            let zeros = |tensor: &Tensor| vec![0.0; tensor.elem_count()];

            let check = || {
                let mut expected = zeros(&y_bar);
                add(&all, &mut expected, 2, (0, one(&a_)), (1, one(&b_)));
                let y = pairing.evaluate(&a, &b).unwrap();
                assert_eq!(y.dims(), y_bar.dims());
                assert_close(&what, &y, &expected, tolerance);

                for tangents in [[Some(&da), Some(&db)], [Some(&da), None], [None, Some(&db)]] {
                    let mut expected = zeros(&cotangent);
                    if tangents[0].is_some() {
                        add(&all, &mut expected, 2, (0, many(&da_)), (1, one(&b_)));
                    }
                    if tangents[1].is_some() {
                        add(&all, &mut expected, 2, (0, one(&a_)), (1, many(&db_)));
                    }
                    let dy = pairing.tangent([&a, &b], tangents).unwrap();
                    assert_eq!(dy.dims(), cotangent.dims());
                    assert_close(&what, &dy, &expected, tolerance);
                }

                let sides = [
                    (Side::Left, &da, (1, &b, &b_), (&db, &db_)),
                    (Side::Right, &db, (0, &a, &a_), (&da, &da_)),
                ];
                for (to, (side, own, (number, other, other_), (dother, dother_))) in
                    sides.into_iter().enumerate()
                {
                    let mut expected = zeros(own);
                    add(
                        &all,
                        &mut expected,
                        to,
                        (2, many(&cotangent_)),
                        (number, one(other_)),
                    );
                    let got = pairing
                        .input_cotangent(side, other, &cotangent, shapes[to])
                        .unwrap();
                    assert_eq!(got.dims(), own.dims());
                    assert_close(&what, &got, &expected, tolerance);

                    let sum = block(to, 7);
                    let mut expected = values(&sum);
                    add(
                        &all,
                        &mut expected,
                        to,
                        (2, one(&y_bar_)),
                        (number, many(dother_)),
                    );
                    pairing
                        .add_second_order(side, dother, &y_bar, &sum)
                        .unwrap();
                    assert_close(&what, &sum, &expected, tolerance);
                }
            };
            check();
            with_candle_path(check);
        }
    }
}

#[test]
fn values_that_do_not_fit_are_errors() {
    for (pairing, a, b) in [
        (Pairing::Product, &[2, 3][..], &[2][..]),
        (Pairing::Product, &[2, 3], &[3, 2]),
        (Pairing::MatMul, &[3], &[3]),
        (Pairing::MatMul, &[3], &[3, 2]),
        (Pairing::MatMul, &[2, 3], &[2, 3]),
        (Pairing::MatMul, &[2, 4, 3], &[3, 3, 4]),
    ] {
        assert_eq!(pairing.result_shape(a, b), None);
        let [left, right] = [a, b].map(|own| uniform([&[2], own].concat(), 1, DType::F64));
        let check = || assert!(pairing.evaluate(&left, &right).is_err(), "{a:?} {b:?}");
        check();
        with_candle_path(check);
    }
}
