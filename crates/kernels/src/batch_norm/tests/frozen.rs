//! Constant statistics: every pass against its formula.

use super::super::frozen::{
    accumulate_cotangent, accumulate_second_order, add_second_order, input_cotangent, tangent,
};
use super::formulas::inner;
use super::{Operands, for_all};
use crate::seeded::{assert_close, uniform, values};

#[test]
fn tangents_equal_their_formula() {
    for_all(Operands::frozen, |operands, _, tolerance| {
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
                let normal = channel.normalised(&sizes.entries(&x_, 0, c));
                let from_input = sizes
                    .entries(&dx_, v, c)
                    .into_iter()
                    .map(|dx| input.map_or(0.0, |_| g[c] * channel.r * dx));
                let terms = normal.iter().zip(from_input);
                terms
                    .map(|(normal, term)| term + dg[number] * normal + db[number])
                    .collect()
            });
            let dy = tangent(x, mean, r, gamma, input, dgamma, dbeta).unwrap();
            assert_eq!(dy.dims5().unwrap(), sizes.block());
            assert_close(&format!("{sizes:?}"), &dy, &expected, tolerance);
        }
    });
}

#[test]
fn cotangents_equal_their_formulas_and_are_added() {
    for_all(Operands::frozen, |operands, dtype, tolerance| {
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
        let what = format!("{sizes:?}");
        let expected = sizes.assembled(sizes.vectors, |v, c| {
            let scale = g[c] * operands.channel(c).r;
            let entries = sizes.entries(&ybar, v, c).into_iter();
            entries.map(|ybar| scale * ybar).collect()
        });
        let x_bar = input_cotangent(r, gamma, block).unwrap();
        assert_close(&what, &x_bar, &expected, tolerance);

        let sums = [11, 12].map(|seed| uniform((sizes.vectors, sizes.channels), seed, dtype));
        let [gamma_start, beta_start] = sums.each_ref().map(values);
        accumulate_cotangent(x, mean, r, block, &sums[0], &sums[1]).unwrap();
        let gamma_expected = sizes.numbers(|v, c| {
            let normal = operands.channel(c).normalised(&sizes.entries(&x_, 0, c));
            gamma_start[v * sizes.channels + c] + inner(&normal, &sizes.entries(&ybar, v, c))
        });
        let beta_expected = sizes.numbers(|v, c| {
            beta_start[v * sizes.channels + c] + sizes.entries(&ybar, v, c).iter().sum::<f64>()
        });
        assert_close(&what, &sums[0], &gamma_expected, tolerance);
        assert_close(&what, &sums[1], &beta_expected, tolerance);
    });
}

#[test]
fn second_order_terms_equal_their_formulas_and_are_added() {
    for_all(Operands::frozen, |operands, dtype, tolerance| {
        let Operands {
            sizes,
            dx,
            dgamma,
            primal,
            r,
            ..
        } = operands;
        let [dx_, dg, ybar] = [dx, dgamma, primal].map(values);
        let what = format!("{sizes:?}");
        let gamma_sum = uniform((sizes.vectors, sizes.channels), 11, dtype);
        let start = values(&gamma_sum);
        accumulate_second_order(r, primal, dx, &gamma_sum).unwrap();
        let expected = sizes.numbers(|v, c| {
            let products = inner(&sizes.entries(&ybar, 0, c), &sizes.entries(&dx_, v, c));
            start[v * sizes.channels + c] + operands.channel(c).r * products
        });
        assert_close(&what, &gamma_sum, &expected, tolerance);

        let input_sum = uniform(sizes.block(), 12, dtype);
        let start = values(&input_sum);
        add_second_order(r, primal, dgamma, &input_sum).unwrap();
        let expected = sizes.assembled(sizes.vectors, |v, c| {
            let weight = operands.channel(c).r * dg[v * sizes.channels + c];
            let terms = sizes.entries(&ybar, 0, c);
            let start = sizes.entries(&start, v, c).into_iter();
            start
                .zip(terms)
                .map(|(start, ybar)| start + weight * ybar)
                .collect()
        });
        assert_close(&what, &input_sum, &expected, tolerance);
    });
}
