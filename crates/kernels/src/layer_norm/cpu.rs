//! The passes on CPU slices, group by group, each of which stays in the level-1 cache.

mod second_order;

use std::ops::Range;

use candle_core::{Result, Tensor};

use super::{Point, Sizes};
use crate::collect::collect;
use crate::parallel::map_parts;
use crate::real::{Elements, Real, elements, tensor};
use crate::vectorised::{add_to, mean_and_deviations, reduce, terms, vectorised};
pub(super) use second_order::add_second_order;

/// Of x (B, L, W).
pub(super) fn normalise<T: Real>(x: &Tensor, epsilon: f64) -> Result<(Tensor, Tensor)> {
    let (examples, lines, width) = x.dims3()?;
    let values = elements::<T>(x)?;
    let values = values.slice()?;
    let line = |number: usize| &values[number * width..][..width];
    let parts = map_parts(examples * lines, |numbers| {
        let moments = numbers.map(|number| {
            let (mean, deviations) = mean_and_deviations(line(number));
            (mean, (deviations / width as f64 + epsilon).sqrt().recip())
        });
        Ok(moments.collect::<Vec<(f64, f64)>>())
    })?;
    let moments = parts.concat();
    let normalised = collect(examples * lines, width, |numbers, spare| {
        for number in numbers {
            let (mean, r) = moments[number];
            let (mean, r) = (T::from_f64(mean), T::from_f64(r));
            spare.extend(line(number).iter().map(move |&x| (x - mean) * r));
        }
        Ok(())
    })?;
    let r = moments.iter().map(|&(_, r)| T::from_f64(r)).collect();
    Ok((
        tensor::<T, _>(normalised, x.shape(), x)?,
        tensor::<T, _>(r, (examples, lines), x)?,
    ))
}

impl Sizes {
    /// Lines of a block, of an example behind each other.
    fn all(self) -> usize {
        self.examples * self.vectors * self.lines()
    }

    /// Line `number` of a block: that of x̂ it belongs to, its vector, and where its parameters begin.
    fn place(self, number: usize) -> (usize, usize, usize) {
        let (line, row) = (number % self.lines(), number / self.lines());
        let (example, vector) = (row / self.vectors, row % self.vectors);
        (
            example * self.lines() + line,
            vector,
            line % self.groups * self.width,
        )
    }

    fn line<T>(self, elements: &[T], number: usize) -> &[T] {
        &elements[number * self.width..][..self.width]
    }
}

/// A parameter or its tangents, locked for reading; `value` everywhere if there is none.
struct Spread<'a, T> {
    locked: Option<Elements<'a, T>>,
    missing: Vec<T>,
}

impl<'a, T: Real> Spread<'a, T> {
    fn new(sizes: Sizes, parameter: Option<&'a Tensor>, value: T) -> Result<Self> {
        Ok(Self {
            locked: parameter.map(elements::<T>).transpose()?,
            missing: vec![value; sizes.width],
        })
    }

    /// The `sizes.width` elements from `start` on of vector `vector`.
    fn at(&self, sizes: Sizes, vector: usize, start: usize) -> Result<&[T]> {
        match &self.locked {
            Some(locked) => Ok(&locked.slice()?[vector * sizes.period() + start..][..sizes.width]),
            None => Ok(&self.missing),
        }
    }
}

/// slope x̂ + shift, (B, V, M, G, W), of `[slope, shift]` (V, P).
pub(super) fn scaled<T: Real>(
    sizes: Sizes,
    normalised: &Tensor,
    parameters: [Option<&Tensor>; 2],
) -> Result<Tensor> {
    let values = elements::<T>(normalised)?;
    let values = values.slice()?;
    let [slopes, shifts] = parameters.map(|parameter| Spread::new(sizes, parameter, T::ZERO));
    let (slopes, shifts) = (slopes?, shifts?);
    let results = collect(sizes.all(), sizes.width, |numbers, spare| {
        for number in numbers {
            let (primal, vector, start) = sizes.place(number);
            let slopes = slopes.at(sizes, vector, start)?.iter();
            let both = slopes.zip(shifts.at(sizes, vector, start)?);
            let x = sizes.line(values, primal).iter();
            spare.extend(x.zip(both).map(|(&x, (&slope, &shift))| slope * x + shift));
        }
        Ok(())
    })?;
    tensor(results, (sizes.all(), sizes.width), normalised)
}

/// mean b and mean(b x̂).
fn means<T: Real>(normalised: &[T], b: &[T]) -> [T; 2] {
    let sums = reduce(normalised, b, T::ZERO, terms::centred_product);
    sums.map(|sum| T::from_f64(sum / b.len() as f64))
}

pub(super) fn tangent<T: Real>(
    sizes: Sizes,
    at: Point<'_>,
    gamma: Option<&Tensor>,
    dx: &Tensor,
    parameters: [Option<&Tensor>; 2],
) -> Result<Tensor> {
    let (values, r, tangents) = (
        elements::<T>(at.normalised)?,
        elements::<T>(at.r)?,
        elements::<T>(dx)?,
    );
    let (values, r, tangents) = (values.slice()?, r.slice()?, tangents.slice()?);
    let gamma = Spread::new(sizes, gamma, T::ONE)?;
    let [slopes, shifts] = parameters.map(|parameter| Spread::new(sizes, parameter, T::ZERO));
    let (slopes, shifts) = (slopes?, shifts?);
    let results = collect(sizes.all(), sizes.width, |numbers, spare| {
        for number in numbers {
            let (primal, vector, start) = sizes.place(number);
            let (x, dx) = (sizes.line(values, primal), sizes.line(tangents, number));
            let ([n, p], r) = (means(x, dx), r[primal]);
            let own = slopes.at(sizes, vector, start)?.iter();
            let own = own.zip(shifts.at(sizes, vector, start)?);
            let own = own.zip(gamma.at(sizes, 0, start)?);
            let elements = x.iter().zip(dx).zip(own);
            spare.extend(
                elements.map(move |((&x, &dx), ((&slope, &shift), &gamma))| {
                    gamma * (r * (dx - n - x * p)) + (slope * x + shift)
                }),
            );
        }
        Ok(())
    })?;
    tensor(results, (sizes.all(), sizes.width), dx)
}

pub(super) fn input_cotangent<T: Real>(
    sizes: Sizes,
    at: Point<'_>,
    gamma: Option<&Tensor>,
    cotangent: &Tensor,
) -> Result<Tensor> {
    let (values, r) = (elements::<T>(at.normalised)?, elements::<T>(at.r)?);
    let (values, r, cotangents) = (values.slice()?, r.slice()?, elements::<T>(cotangent)?);
    let (cotangents, gamma) = (cotangents.slice()?, Spread::new(sizes, gamma, T::ONE)?);
    let results = collect(sizes.all(), sizes.width, |numbers, spare| {
        let mut scaled = vec![T::ZERO; sizes.width];
        for number in numbers {
            let (primal, _, start) = sizes.place(number);
            let (x, y_bar) = (sizes.line(values, primal), sizes.line(cotangents, number));
            multiply(&mut scaled, gamma.at(sizes, 0, start)?, y_bar);
            let ([e, q], r) = (means(x, &scaled), r[primal]);
            let elements = x.iter().zip(&scaled);
            spare.extend(elements.map(move |(&x, &u)| r * (u - e - x * q)));
        }
        Ok(())
    })?;
    tensor(results, (sizes.all(), sizes.width), cotangent)
}

/// product = a ⊙ b.
fn multiply<T: Real>(product: &mut [T], a: &[T], b: &[T]) {
    let places = product.iter_mut().zip(a.iter().zip(b));
    vectorised(|| places.for_each(|(product, (&a, &b))| *product = a * b));
}

/// The sums of `count` parameters in float64 that `add` makes of the examples, in the order of the parts.
fn summed(
    sizes: Sizes,
    count: usize,
    add: impl Fn(Range<usize>, &mut [f64]) -> Result<()> + Sync,
) -> Result<Vec<f64>> {
    let parts = map_parts(sizes.examples, |examples| {
        let mut sums = vec![0.0; count];
        add(examples, &mut sums)?;
        Ok(sums)
    })?;
    let mut parts = parts.into_iter();
    let mut sums = parts.next().unwrap_or_else(|| vec![0.0; count]);
    for part in parts {
        add_to(&mut sums, part.into_iter());
    }
    Ok(sums)
}

/// Σ ȳ x̂ and Σ ȳ, (V, P · run) each, in float64.
pub(super) fn parameter_sums<T: Real>(
    sizes: Sizes,
    normalised: &Tensor,
    cotangent: &Tensor,
) -> Result<[Tensor; 2]> {
    let (values, cotangents) = (elements::<T>(normalised)?, elements::<T>(cotangent)?);
    let (values, cotangents) = (values.slice()?, cotangents.slice()?);
    let count = sizes.vectors * sizes.period();
    let sums = summed(sizes, 2 * count, |examples, sums| {
        let (slopes, shifts) = sums.split_at_mut(count);
        let row = sizes.vectors * sizes.lines();
        for number in examples.start * row..examples.end * row {
            let (primal, vector, start) = sizes.place(number);
            let (x, y_bar) = (sizes.line(values, primal), sizes.line(cotangents, number));
            let range = vector * sizes.period() + start..;
            let products = x.iter().zip(y_bar).map(|(&x, &y_bar)| (x * y_bar).to_f64());
            add_to(&mut slopes[range.clone()][..sizes.width], products);
            add_to(
                &mut shifts[range][..sizes.width],
                y_bar.iter().map(|y_bar| y_bar.to_f64()),
            );
        }
        Ok(())
    })?;
    let shape = (sizes.vectors, sizes.period());
    let half = |range: Range<usize>| tensor::<f64, _>(sums[range].to_vec(), shape, normalised);
    Ok([half(0..count)?, half(count..2 * count)?])
}
