//! Both paths against differences of the definition, in float64.

use candle_core::{DType, Tensor};

use super::{
    Point, accumulate_cotangent, add_second_order, forward, input_cotangent, normalise, tangent,
};
use crate::real::with_candle_path;
use crate::seeded::{assert_close, uniform, values};

const EPSILON: f64 = 1e-2;
const BATCH: usize = 2;
const VECTORS: usize = 3;

/// Both number types with the error of nested differences, and with the rounding of sums of dozens of terms.
const NUMBER_TYPES: [(DType, f64); 2] = [(DType::F64, 1e-6), (DType::F32, 2e-4)];

/// An example's shape, elements of a group, parameters, and neighbours that share one.
const CASES: [(&[usize], usize, usize, usize); 7] = [
    // Layer normalisation over one axis, two axes, and more elements than the lanes of a sum.
    (&[5], 5, 5, 1),
    (&[3, 4], 4, 4, 1),
    (&[2, 3, 2], 6, 6, 1),
    (&[2, 35], 35, 35, 1),
    // Group and instance normalisation, and groups of channels without further axes.
    (&[4, 3, 2], 12, 4, 6),
    (&[3, 4], 4, 3, 4),
    (&[6], 3, 6, 1),
];

/// y of one example from its definition.
fn definition(x: &[f64], gamma: &[f64], beta: &[f64], width: usize, run: usize) -> Vec<f64> {
    let (mut y, period) = (Vec::new(), gamma.len() * run);
    for group in x.chunks(width) {
        let mean = group.iter().sum::<f64>() / width as f64;
        let variance = group.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
        for x in group {
            let place = y.len() % period / run;
            y.push(gamma[place] * (x - mean) / (variance + EPSILON).sqrt() + beta[place]);
        }
    }
    y
}

/// Of order four.
fn difference(f: impl Fn(f64) -> f64) -> f64 {
    let h = 2e-3;
    (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h)
}

fn moved(a: &[f64], t: f64, b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + t * b).collect()
}

fn unit(length: usize, place: usize) -> Vec<f64> {
    (0..length).map(|index| f64::from(index == place)).collect()
}

fn part(elements: &[f64], index: usize, length: usize) -> &[f64] {
    &elements[index * length..][..length]
}

#[test]
fn every_pass_equals_differences_of_the_definition() {
    for (shape, width, count, run) in CASES {
        for (dtype, tolerance) in NUMBER_TYPES {
            let shaped = |before: &[usize], seed| uniform([before, shape].concat(), seed, dtype);
            let (x, primal) = (shaped(&[BATCH], 1), shaped(&[BATCH], 2));
            let (dx, block) = (shaped(&[BATCH, VECTORS], 3), shaped(&[BATCH, VECTORS], 4));
            let (gamma, beta) = (uniform(count, 5, dtype), uniform(count, 6, dtype));
            let (dgamma, dbeta) = (
                uniform((VECTORS, count), 7, dtype),
                uniform((VECTORS, count), 8, dtype),
            );
            let [x_, primal_, dx_, block_, gamma_, beta_, dgamma_, dbeta_] =
                [&x, &primal, &dx, &block, &gamma, &beta, &dgamma, &dbeta].map(values);
            let size: usize = shape.iter().product();
            let y = |b: usize, x: &[f64], gamma: &[f64]| {
                assert_eq!(x.len(), size, "example {b}");
                definition(x, gamma, &beta_, width, run)
            };
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let each =
                || (0..BATCH).flat_map(|b| (0..VECTORS).map(move |v| (b, v, b * VECTORS + v)));

            let expected_y: Vec<f64> = (0..BATCH)
                .flat_map(|b| y(b, part(&x_, b, size), &gamma_))
                .collect();
            let (mut dy, mut dy_alone, mut x_bar, mut second) = (vec![], vec![], vec![], vec![]);
            let mut second_alone = vec![];
            let mut gamma_bar = vec![0.0; VECTORS * count];
            let (mut beta_bar, mut gamma_second) = (gamma_bar.clone(), gamma_bar.clone());
            for (b, v, index) in each() {
                let (x, y_bar) = (part(&x_, b, size), part(&primal_, b, size));
                let (dx, cotangent) = (part(&dx_, index, size), part(&block_, index, size));
                let (dgamma, dbeta) = (part(&dgamma_, v, count), part(&dbeta_, v, count));
                for k in 0..size {
                    let place = k % (count * run) / run;
                    let along = |t: f64| y(b, &moved(x, t, dx), &moved(&gamma_, t, dgamma))[k];
                    dy.push(difference(along) + dbeta[place]);
                    dy_alone.push(
                        difference(|t| y(b, x, &moved(&gamma_, t, dgamma))[k]) + dbeta[place],
                    );
                    let e = unit(size, k);
                    x_bar.push(difference(|t| {
                        dot(cotangent, &y(b, &moved(x, t, &e), &gamma_))
                    }));
                    second.push(difference(|s| {
                        let x = moved(x, s, &e);
                        difference(|t| {
                            dot(y_bar, &y(b, &moved(&x, t, dx), &moved(&gamma_, t, dgamma)))
                        })
                    }));
                    second_alone.push(difference(|s| {
                        let x = moved(x, s, &e);
                        difference(|t| dot(y_bar, &y(b, &x, &moved(&gamma_, t, dgamma))))
                    }));
                    beta_bar[v * count + place] += cotangent[k];
                }
                for place in 0..count {
                    let e = unit(count, place);
                    gamma_bar[v * count + place] +=
                        difference(|t| dot(cotangent, &y(b, x, &moved(&gamma_, t, &e))));
                    gamma_second[v * count + place] += difference(|s| {
                        let gamma = moved(&gamma_, s, &e);
                        difference(|t| dot(y_bar, &y(b, &moved(x, t, dx), &gamma)))
                    });
                }
            }

            let what = format!("{shape:?} {width} {count} {run} {dtype:?}");
            let check = || {
                let (normalised, r) = normalise(&x, width, EPSILON).unwrap();
                let at = Point {
                    normalised: &normalised,
                    r: &r,
                    gamma: Some(&gamma),
                    run,
                };
                assert_close(
                    &what,
                    &forward(at, Some(&beta)).unwrap(),
                    &expected_y,
                    tolerance,
                );
                let got = tangent(at, Some(&dx), Some(&dgamma), Some(&dbeta)).unwrap();
                assert_eq!(got.dims(), dx.dims());
                assert_close(&what, &got, &dy, tolerance);
                let got = tangent(at, None, Some(&dgamma), Some(&dbeta)).unwrap();
                assert_close(&what, &got, &dy_alone, tolerance);
                assert_close(
                    &what,
                    &input_cotangent(at, &block).unwrap(),
                    &x_bar,
                    tolerance,
                );

                let sum = |seed| uniform((VECTORS, count), seed, dtype);
                let added = |to: &Tensor, terms: &[f64]| moved(&values(to), 1.0, terms);
                let (gammas, betas) = (sum(9), sum(10));
                let (gammas_, betas_) = (added(&gammas, &gamma_bar), added(&betas, &beta_bar));
                accumulate_cotangent(at, &block, &gammas, Some(&betas)).unwrap();
                assert_close(&what, &gammas, &gammas_, tolerance);
                assert_close(&what, &betas, &betas_, tolerance);

                let inputs = || shaped(&[BATCH, VECTORS], 11);
                for input_sum in [None, Some(inputs())] {
                    let gammas = sum(12);
                    let expected = added(&gammas, &gamma_second);
                    let into = (Some(&gammas), input_sum.as_ref());
                    add_second_order(at, &primal, Some(&dx), Some(&dgamma), into.0, into.1)
                        .unwrap();
                    assert_close(&what, &gammas, &expected, tolerance);
                    if let Some(sum) = input_sum {
                        assert_close(&what, &sum, &added(&inputs(), &second), tolerance);
                    }
                }
                let (gammas, input_sum) = (sum(12), inputs());
                let into = (Some(&gammas), Some(&input_sum));
                add_second_order(at, &primal, None, Some(&dgamma), into.0, into.1).unwrap();
                assert_close(&what, &gammas, &values(&sum(12)), 0.0);
                assert_close(
                    &what,
                    &input_sum,
                    &added(&inputs(), &second_alone),
                    tolerance,
                );
            };
            check();
            with_candle_path(check);
        }
    }
}

/// As with γ = 1 and β = 0.
#[test]
fn without_parameters_the_result_is_the_normalised_input() {
    let (x, block) = (
        uniform((2, 3, 4), 1, DType::F64),
        uniform((2, 2, 3, 4), 2, DType::F64),
    );
    let ones = uniform(4, 3, DType::F64).ones_like().unwrap();
    let zeros = Tensor::zeros((2, 4), DType::F64, x.device()).unwrap();
    let check = || {
        let (normalised, r) = normalise(&x, 4, EPSILON).unwrap();
        let at = |gamma| Point {
            normalised: &normalised,
            r: &r,
            gamma,
            run: 1,
        };
        let (none, one) = (at(None), at(Some(&ones)));
        let close =
            |got: &Tensor, expected: &Tensor| assert_close("x̂", got, &values(expected), 1e-15);
        close(&forward(none, None).unwrap(), &normalised);
        let tangents = tangent(none, Some(&block), None, None).unwrap();
        close(
            &tangents,
            &tangent(one, Some(&block), Some(&zeros), Some(&zeros)).unwrap(),
        );
        close(&input_cotangent(none, &block).unwrap(), &tangents);
        let sums = [block.copy().unwrap(), block.copy().unwrap()];
        add_second_order(none, &x, Some(&block), None, None, Some(&sums[0])).unwrap();
        add_second_order(one, &x, Some(&block), Some(&zeros), None, Some(&sums[1])).unwrap();
        close(&sums[0], &sums[1]);
    };
    check();
    with_candle_path(check);
}

#[test]
fn groups_and_parameters_that_do_not_fit_are_errors() {
    let x = uniform((2, 3, 4), 1, DType::F64);
    for width in [0, 5, 7, 24] {
        assert!(normalise(&x, width, EPSILON).is_err(), "{width}");
    }
    let (normalised, r) = normalise(&x, 4, EPSILON).unwrap();
    for (count, run) in [(0, 1), (3, 1), (4, 2), (8, 1), (24, 1), (4, 0)] {
        let gamma = uniform(count, 2, DType::F64);
        let at = Point {
            normalised: &normalised,
            r: &r,
            gamma: Some(&gamma),
            run,
        };
        assert!(forward(at, None).is_err(), "{count} {run}");
    }
}
