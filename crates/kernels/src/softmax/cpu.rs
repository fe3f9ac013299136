//! Softmax on CPU slices, line by line.

use candle_core::{Result, Tensor};

use crate::collect::collect;
use crate::elementwise::update_with;
use crate::lines::Lines;
use crate::parallel::fill_parts;
use crate::real::{Real, elements, tensor};
use crate::vectorised::{add_to, reduce, terms};

/// The largest of `line`; a number that is not one where the line has such.
fn largest<T: Real>(line: &[T]) -> T {
    let larger = |a: T, &b: &T| if b <= a { a } else { b };
    line[1..].iter().fold(line[0], larger)
}

fn inner<T: Real>(a: &[T], b: &[T]) -> T {
    T::from_f64(reduce(a, b, T::ZERO, terms::product)[0])
}

fn sum<T: Real>(line: &[T]) -> T {
    T::from_f64(reduce(line, line, T::ZERO, terms::value)[0])
}

/// What `work` makes of the lines of `x`, each of the line and room for as many numbers.
fn of_lines<T: Real>(x: &Tensor, work: impl Fn(&[T], &mut [T]) + Sync) -> Result<Tensor> {
    let lines = Lines::along_last_axis(x, 1)?;
    let values = elements::<T>(x)?;
    let values = values.slice()?;
    let mut results = vec![T::ZERO; values.len()];
    fill_parts(&mut results, lines.all(), |numbers, results| {
        for (number, result) in numbers.zip(results.chunks_exact_mut(lines.width)) {
            work(lines.line(values, number), result);
        }
        Ok(())
    })?;
    tensor(results, x.shape(), x)
}

pub(super) fn forward<T: Real>(x: &Tensor) -> Result<Tensor> {
    of_lines(x, |line: &[T], y| {
        let largest = largest(line);
        for (y, &x) in y.iter_mut().zip(line) {
            *y = (x - largest).exp();
        }
        let total = sum(y);
        y.iter_mut().for_each(|y| *y /= total);
    })
}

pub(super) fn log_forward<T: Real>(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let y = of_lines(x, |line: &[T], y| {
        let largest = largest(line);
        let total: f64 = line.iter().map(|&x| (x - largest).to_f64().exp()).sum();
        let normalizer = T::from_f64(total.ln());
        for (y, &x) in y.iter_mut().zip(line) {
            *y = (x - largest) - normalizer;
        }
    })?;
    let p = of_lines(&y, |line: &[T], p| {
        p.iter_mut().zip(line).for_each(|(p, &y)| *p = y.exp());
    })?;
    Ok((y, p))
}

/// What `function` makes of each element of `block` and of y where it belongs, and of a number that `common` makes of
/// their lines.
fn block_pass<T: Real>(
    y: &Tensor,
    block: &Tensor,
    common: impl Fn(&[T], &[T]) -> T + Sync,
    function: impl Fn(T, T, T) -> T + Copy + Sync,
) -> Result<Tensor> {
    let lines = Lines::along_last_axis(y, block.dim(1)?)?;
    let (primals, blocks) = (elements::<T>(y)?, elements::<T>(block)?);
    let (primals, blocks) = (primals.slice()?, blocks.slice()?);
    let results = collect(lines.all(), lines.width, |numbers, spare| {
        for number in numbers {
            let y = lines.line(primals, lines.primal(number));
            let b = lines.line(blocks, number);
            let common = common(y, b);
            spare.extend(y.iter().zip(b).map(move |(&y, &b)| function(y, b, common)));
        }
        Ok(())
    })?;
    tensor(results, block.shape(), block)
}

pub(super) fn product<T: Real>(y: &Tensor, block: &Tensor) -> Result<Tensor> {
    block_pass(y, block, inner::<T>, |y, b, mean| y * (b - mean))
}

pub(super) fn log_tangent<T: Real>(p: &Tensor, dx: &Tensor) -> Result<Tensor> {
    block_pass(p, dx, inner::<T>, |_, dx, mean| dx - mean)
}

pub(super) fn log_input_cotangent<T: Real>(p: &Tensor, cotangent: &Tensor) -> Result<Tensor> {
    block_pass(
        p,
        cotangent,
        |_, y_bar: &[T]| sum(y_bar),
        |p, y_bar, sum| y_bar - p * sum,
    )
}

/// Calls `work` with the lines of y, ȳ, ẋ and of the sum x̄ where they belong together.
fn add_lines<T: Real>(
    [y, cotangent, dx]: [&Tensor; 3],
    input_sum: &Tensor,
    work: impl Fn([&[T]; 3], &mut [T]) + Sync,
) -> Result<()> {
    let lines = Lines::along_last_axis(y, dx.dim(1)?)?;
    let (primals, cotangents, tangents) = (
        elements::<T>(y)?,
        elements::<T>(cotangent)?,
        elements::<T>(dx)?,
    );
    let (primals, cotangents, tangents) =
        (primals.slice()?, cotangents.slice()?, tangents.slice()?);
    update_with(input_sum, &[y, cotangent, dx], |sums: &mut [T]| {
        fill_parts(sums, lines.all(), |numbers, sums| {
            for (number, sum) in numbers.zip(sums.chunks_exact_mut(lines.width)) {
                let primal = lines.primal(number);
                let [y, y_bar] = [primals, cotangents].map(|all| lines.line(all, primal));
                work([y, y_bar, lines.line(tangents, number)], sum);
            }
            Ok(())
        })
    })
}

pub(super) fn add_second_order<T: Real>(
    y: &Tensor,
    cotangent: &Tensor,
    dx: &Tensor,
    input_sum: &Tensor,
) -> Result<()> {
    add_lines(
        [y, cotangent, dx],
        input_sum,
        |[y, y_bar, dx]: [&[T]; 3], sum| {
            let (mean, mean_bar) = (inner(y, dx), inner(y, y_bar));
            let of = move |(&y, &y_bar): (&T, &T)| y * (y_bar - mean_bar);
            let g: Vec<T> = y.iter().zip(y_bar).map(of).collect();
            let [_, k] = reduce(dx, &g, mean, terms::centred_product);
            let (k, terms) = (T::from_f64(k), g.iter().zip(y).zip(dx));
            add_to(
                sum,
                terms.map(move |((&g, &y), &dx)| g * (dx - mean) - k * y),
            );
        },
    )
}

pub(super) fn log_add_second_order<T: Real>(
    p: &Tensor,
    cotangent: &Tensor,
    dx: &Tensor,
    input_sum: &Tensor,
) -> Result<()> {
    add_lines(
        [p, cotangent, dx],
        input_sum,
        |[p, y_bar, dx]: [&[T]; 3], x_bar| {
            let (mean, total) = (inner(p, dx), sum(y_bar));
            add_to(
                x_bar,
                p.iter()
                    .zip(dx)
                    .map(move |(&p, &dx)| -(p * (dx - mean) * total)),
            );
        },
    )
}
