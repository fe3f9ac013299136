//! Batch statistics: every pass against its formula, and the formulas against central differences.

use super::super::batch::{add_second_order, input_cotangent, tangent};
use super::formulas::{Channel, inner};
use super::{EPSILON, Operands, SIZES, for_all};
use crate::seeded::{assert_close, uniform, values};
use candle_core::DType;

#[test]
fn tangents_equal_their_formula() {
    for_all(Operands::batch, |operands, _, tolerance| {
        let Operands {
            sizes,
            x,
            gamma,
            dx,
            dgamma,
            dbeta,
            mean,
            r,
            ..
        } = operands;
        let [x_, g, dx_, dg, db] = [x, gamma, dx, dgamma, dbeta].map(values);
        for input in [None, Some(dx)] {
            let expected = sizes.assembled(sizes.vectors, |v, c| {
                let (channel, number) = (operands.channel(c), v * sizes.channels + c);
                let x = sizes.entries(&x_, 0, c);
                let dnormal = match input {
                    Some(_) => channel.normalised_tangent(&x, &sizes.entries(&dx_, v, c)).0,
                    None => vec![0.0; x.len()],
                };
                let pairs = dnormal.iter().zip(channel.normalised(&x));
                pairs
                    .map(|(dnormal, normal)| g[c] * dnormal + dg[number] * normal + db[number])
                    .collect()
            });
            let dy = tangent(x, mean, r, gamma, input, dgamma, dbeta).unwrap();
            assert_eq!(dy.dims5().unwrap(), sizes.block());
            assert_close(&format!("{sizes:?}"), &dy, &expected, tolerance);
        }
    });
}

#[test]
fn input_cotangents_equal_their_formula() {
    for_all(Operands::batch, |operands, _, tolerance| {
        let Operands {
            sizes,
            x,
            gamma,
            block,
            mean,
            r,
            ..
        } = operands;
        let [x_, g, ybar] = [x, gamma, block].map(values);
        let expected = sizes.assembled(sizes.vectors, |v, c| {
            let (x, ybar) = (sizes.entries(&x_, 0, c), sizes.entries(&ybar, v, c));
            operands.channel(c).input_cotangent(&x, g[c], &ybar)
        });
        let x_bar = input_cotangent(x, mean, r, gamma, block).unwrap();
        assert_close(&format!("{sizes:?}"), &x_bar, &expected, tolerance);
    });
}

#[test]
fn second_order_terms_equal_their_formulas_and_are_added() {
    for_all(Operands::batch, |operands, dtype, tolerance| {
        let Operands {
            sizes,
            x,
            gamma,
            dx,
            dgamma,
            primal,
            mean,
            r,
            ..
        } = operands;
        let [x_, g, dx_, dg, ybar] = [x, gamma, dx, dgamma, primal].map(values);
        let zeros = vec![0.0; dx_.len()];
        for (input, dx_) in [(None, &zeros), (Some(dx), &dx_)] {
            let gamma_start = uniform((sizes.vectors, sizes.channels), 11, dtype);
            let gamma_expected = sizes.numbers(|v, c| {
                let (x, dx) = (sizes.entries(&x_, 0, c), sizes.entries(dx_, v, c));
                let dnormal = operands.channel(c).normalised_tangent(&x, &dx).0;
                let start = values(&gamma_start)[v * sizes.channels + c];
                start + inner(&sizes.entries(&ybar, 0, c), &dnormal)
            });
            let input_sum = uniform(sizes.block(), 12, dtype);
            let start = values(&input_sum);
            let input_expected = sizes.assembled(sizes.vectors, |v, c| {
                let terms = operands.channel(c).input_cotangent_tangent(
                    &sizes.entries(&x_, 0, c),
                    g[c],
                    &sizes.entries(&ybar, 0, c),
                    &sizes.entries(dx_, v, c),
                    dg[v * sizes.channels + c],
                );
                let start = sizes.entries(&start, v, c).into_iter();
                start.zip(terms).map(|(start, term)| start + term).collect()
            });
            for sum in [None, Some(&input_sum)] {
                let gamma_sum = gamma_start.copy().unwrap();
                add_second_order(x, mean, r, gamma, primal, input, dgamma, &gamma_sum, sum)
                    .unwrap();
                assert_close(
                    &format!("{sizes:?}"),
                    &gamma_sum,
                    &gamma_expected,
                    tolerance,
                );
            }
            assert_close(
                &format!("{sizes:?}"),
                &input_sum,
                &input_expected,
                tolerance,
            );
        }
    });
}

/// Half the distance of a central difference: its error is of the order of the square, the rounding
/// of values of order one divided by it.
const STEP: f64 = 1e-5;

/// (f(STEP) - f(-STEP)) / (2 STEP) for every element.
fn difference(function: impl Fn(f64) -> Vec<f64>) -> Vec<f64> {
    let (after, before) = (function(STEP), function(-STEP));
    let pairs = after.iter().zip(&before);
    pairs
        .map(|(after, before)| (after - before) / (2.0 * STEP))
        .collect()
}

#[track_caller]
fn assert_near(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-7, "{got} and {expected}");
    }
}

#[test]
fn formulas_equal_central_differences() {
    for sizes in SIZES {
        let operands = Operands::batch(sizes, DType::F64);
        let Operands {
            x,
            gamma,
            dx,
            dgamma,
            primal,
            ..
        } = &operands;
        let [x, g, dx, dg, ybar] = [x, gamma, dx, dgamma, primal].map(values);
        for c in 0..sizes.channels {
            let (x, dx) = (sizes.entries(&x, 0, c), sizes.entries(&dx, 0, c));
            let ybar = sizes.entries(&ybar, 0, c);
            let moved = |step: f64| -> (Vec<f64>, Channel) {
                let pairs = x.iter().zip(&dx);
                let x: Vec<f64> = pairs.map(|(x, dx)| x + step * dx).collect();
                let channel = Channel::of(&x, EPSILON);
                (x, channel)
            };
            let channel = Channel::of(&x, EPSILON);
            let (dnormal, dr_over_r) = channel.normalised_tangent(&x, &dx);
            let normal = difference(|step| {
                let (x, channel) = moved(step);
                channel.normalised(&x)
            });
            assert_near(&normal, &dnormal);
            let r = difference(|step| vec![moved(step).1.r]);
            assert_near(&r, &[dr_over_r * channel.r]);

            // <ȳ, γ x̂̇> = <x̄, ẋ>: the cotangent is the transpose of the tangent.
            let x_bar = channel.input_cotangent(&x, g[c], &ybar);
            assert_near(&[g[c] * inner(&ybar, &dnormal)], &[inner(&x_bar, &dx)]);

            let x_bar = difference(|step| {
                let (x, channel) = moved(step);
                channel.input_cotangent(&x, g[c] + step * dg[c], &ybar)
            });
            let tangent = channel.input_cotangent_tangent(&x, g[c], &ybar, &dx, dg[c]);
            assert_near(&x_bar, &tangent);
        }
    }
}
