//! The second-order terms on CPU slices, in one pass over the groups.

use std::cell::RefCell;
use std::ops::Range;

use candle_core::{Result, Tensor};

use super::super::{Point, Sizes};
use super::{Spread, means, multiply, summed};
use crate::elementwise::update_with;
use crate::parallel::{each_part, parts};
use crate::real::{Elements, Real, elements, tensor};
use crate::vectorised::{add_to, vectorised};

/// Σ ȳ x̂̇, (V, P · run) in float64, where the input has a tangent; adds the rest to `input_sum`.
pub(in crate::layer_norm) fn add_second_order<T: Real>(
    sizes: Sizes,
    at: Point<'_>,
    [gamma, dgamma]: [Option<&Tensor>; 2],
    cotangent: &Tensor,
    dx: Option<&Tensor>,
    input_sum: Option<&Tensor>,
) -> Result<Option<Tensor>> {
    let (values, r) = (elements::<T>(at.normalised)?, elements::<T>(at.r)?);
    let (cotangents, tangents) = (
        elements::<T>(cotangent)?,
        dx.map(elements::<T>).transpose()?,
    );
    let rule = SecondOrder {
        sizes,
        normalised: values.slice()?,
        r: r.slice()?,
        cotangents: cotangents.slice()?,
        tangents: tangents.as_ref().map(Elements::slice).transpose()?,
        gamma: Spread::new(sizes, gamma, T::ONE)?,
        dgamma: Spread::new(sizes, dgamma, T::ZERO)?,
    };
    let count = sizes.vectors * sizes.period();
    let sums = match input_sum {
        None => summed(sizes, count, |examples, sums| {
            rule.run(examples, sums, None)
        })?,
        Some(input_sum) => {
            let mut sources = vec![at.normalised, at.r, cotangent];
            sources.extend(dx);
            let total = RefCell::new(vec![0.0; count]);
            update_with(input_sum, &sources, |x_bar: &mut [T]| {
                let mut rest = x_bar;
                let mut pieces = Vec::new();
                for part in parts(sizes.examples) {
                    let length = part.len() * sizes.vectors * sizes.lines() * sizes.width;
                    let (piece, behind) = rest.split_at_mut(length);
                    rest = behind;
                    pieces.push((part, piece));
                }
                let sums = each_part(pieces, |part, x_bar| {
                    let mut sums = vec![0.0; count];
                    rule.run(part, &mut sums, Some(x_bar))?;
                    Ok(sums)
                })?;
                for part in sums {
                    add_to(&mut total.borrow_mut(), part.into_iter());
                }
                Ok(())
            })?;
            total.into_inner()
        }
    };
    let shape = (sizes.vectors, sizes.period());
    let sums = dx.map(|dx| tensor::<f64, _>(sums, shape, dx));
    sums.transpose()
}

/// The operands of the second order.
struct SecondOrder<'a, T> {
    sizes: Sizes,
    normalised: &'a [T],
    r: &'a [T],
    cotangents: &'a [T],
    tangents: Option<&'a [T]>,
    gamma: Spread<'a, T>,
    dgamma: Spread<'a, T>,
}

impl<T: Real> SecondOrder<'_, T> {
    /// Adds the terms of `examples`: to the `sums` of γ, and to `x_bar`, the elements of x̄ of these examples.
    fn run(
        &self,
        examples: Range<usize>,
        sums: &mut [f64],
        mut x_bar: Option<&mut [T]>,
    ) -> Result<()> {
        let sizes = self.sizes;
        let (row, first) = (sizes.vectors * sizes.lines(), examples.start);
        let [mut u, mut moved, mut turned] = [const { Vec::new() }; 3];
        for scratch in [&mut u, &mut moved, &mut turned] {
            scratch.resize(sizes.width, T::ZERO);
        }
        for number in first * row..examples.end * row {
            let (primal, vector, start) = sizes.place(number);
            let (x, y_bar) = (
                sizes.line(self.normalised, primal),
                sizes.line(self.cotangents, primal),
            );
            let r = self.r[primal];
            multiply(&mut turned, self.dgamma.at(sizes, vector, start)?, y_bar);
            let mut target = x_bar.as_mut().map(|x_bar| {
                let start = (number - first * row) * sizes.width;
                &mut x_bar[start..][..sizes.width]
            });
            if let Some(target) = &mut target {
                let [e, q] = means(x, &turned);
                let terms = x.iter().zip(&turned);
                add_to(target, terms.map(move |(&x, &b)| r * (b - e - x * q)));
            }
            let Some(tangents) = self.tangents else {
                continue;
            };
            let dx = sizes.line(tangents, number);
            let [n, p] = means(x, dx);
            let places = moved.iter_mut().zip(x.iter().zip(dx));
            vectorised(move || places.for_each(|(moved, (&x, &dx))| *moved = r * (dx - n - x * p)));
            let sum = &mut sums[vector * sizes.period() + start..][..sizes.width];
            let products = y_bar.iter().zip(&moved);
            add_to(
                sum,
                products.map(|(&y_bar, &moved)| (y_bar * moved).to_f64()),
            );
            if let Some(target) = &mut target {
                multiply(&mut u, self.gamma.at(sizes, 0, start)?, y_bar);
                let [e, q] = means(x, &u);
                let [_, k] = means(&moved, &u);
                let terms = x.iter().zip(&u).zip(&moved);
                add_to(
                    target,
                    terms.map(move |((&x, &u), &moved)| {
                        -(r * (p * (r * (u - e - x * q)) + q * moved + k * x))
                    }),
                );
            }
        }
        Ok(())
    }
}
