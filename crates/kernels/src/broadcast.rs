//! Tensors whose axes of one element are repeated, as in NumPy, and the sum of two of them.
//!
//! ```text
//! sum(i) += a(i) · b(i)        for every index i of the repeated shape
//! ```
//!
//! An operand, and the sum as well, is taken at 0 along its axes of one element: so one pass repeats an operand, and adds
//! up a cotangent along the axes along which its value was repeated.

use candle_core::{Result, Tensor, bail};

use crate::elementwise::{add, update_with};
use crate::real::{Real, dispatch, elements, on_cpu};
use crate::vectorised::{add_to, reduce, terms};

/// The shape of both, aligned at the last axis, where every axis is equal or of one element.
#[must_use]
pub fn broadcast_shape(left: &[usize], right: &[usize]) -> Option<Vec<usize>> {
    let rank = left.len().max(right.len());
    let axes = padded(0, left, rank)
        .into_iter()
        .zip(padded(0, right, rank));
    axes.map(|pair| match pair {
        (left, right) if left == right || right == 1 => Some(left),
        (1, right) => Some(right),
        _ => None,
    })
    .collect()
}

/// Every vector of `block` (B, V, ...) repeated to `shape`, that of one example; [`gathered`] is the transpose.
///
/// # Errors
/// A shape to which the block is not repeated, or a device error.
pub fn repeated(block: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let rank = shape.len() + 2;
    if block.rank() > rank {
        bail!(
            "expected a block to be repeated to {shape:?}, got {:?}",
            block.shape()
        );
    }
    let dims = [&block.dims()[..2], shape].concat();
    block
        .reshape(padded(2, block.dims(), rank))?
        .broadcast_as(dims)?
        .contiguous()
}

/// x̄ (B, V, `shape`) of a value of `shape` that was repeated, of `cotangent` ȳ (B, V, ...).
///
/// # Errors
/// A shape that is not repeated to that of the cotangent, or a device error.
pub fn gathered(cotangent: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let dims = [&cotangent.dims()[..2], shape].concat();
    let own = padded(2, &dims, cotangent.rank());
    expect_repeated("a value", &own, cotangent.dims())?;
    if !on_cpu(cotangent) {
        return reduced(cotangent, &own)?.reshape(dims);
    }
    let sum = Tensor::zeros(dims, cotangent.dtype(), cotangent.device())?;
    if sum.elem_count() > 0 {
        dispatch!(cotangent.dtype(), gather(cotangent, &own, &sum))?;
    }
    Ok(sum)
}

/// y = a + b, (B, ...), of values that are repeated.
///
/// # Errors
/// Shapes that do not fit, or a device error.
pub fn sum(left: &Tensor, right: &Tensor) -> Result<Tensor> {
    let shape = broadcast_shape(&left.dims()[1..], &right.dims()[1..]);
    let Some(shape) = shape else {
        bail!(
            "expected shapes that are repeated to one, got {:?} and {:?}",
            left.shape(),
            right.shape()
        );
    };
    let [left, right] =
        [left, right].map(|value| repeated(&value.unsqueeze(1)?, &shape)?.squeeze(1));
    add(&left?, &right?)
}

/// Sums of `tensor` along the axes that have one element in `dims`, which keeps them.
pub(crate) fn reduced(tensor: &Tensor, dims: &[usize]) -> Result<Tensor> {
    let axes = tensor.dims().iter().zip(dims).enumerate();
    let axes = axes.filter(|(_, (full, own))| full != own);
    let axes: Vec<usize> = axes.map(|(axis, _)| axis).collect();
    if axes.is_empty() {
        return Ok(tensor.clone());
    }
    tensor.sum_keepdim(axes)
}

fn gather<T: Real>(cotangent: &Tensor, own: &[usize], sum: &Tensor) -> Result<()> {
    let (values, full) = (elements::<T>(cotangent)?, cotangent.dims());
    let (values, ones) = (values.slice()?, vec![1; full.len()]);
    update_with(sum, &[cotangent], |sum: &mut [T]| {
        add_products(full, (sum, own), (values, full), (&[T::ONE], &ones))
    })
}

/// `dims` with axes of one element put behind the first `leading` ones, `rank` in all.
pub(crate) fn padded(leading: usize, dims: &[usize], rank: usize) -> Vec<usize> {
    let missing = vec![1; rank.saturating_sub(dims.len())];
    [&dims[..leading], &missing, &dims[leading..]].concat()
}

/// Fails unless `own` is repeated to `full`.
pub(crate) fn expect_repeated(name: &str, own: &[usize], full: &[usize]) -> Result<()> {
    let mut axes = own.iter().zip(full);
    if own.len() != full.len() || !axes.all(|(own, full)| own == full || *own == 1) {
        bail!("{name}: expected a shape that is repeated to {full:?}, got {own:?}");
    }
    Ok(())
}

/// Steps in a row-major tensor of `dims` along the axes of a repeated shape: none along axes of one element.
fn steps(dims: &[usize]) -> Vec<usize> {
    let mut steps = vec![0; dims.len()];
    let mut stride = 1;
    for (step, &length) in steps.iter_mut().zip(dims).rev() {
        if length > 1 {
            *step = stride;
        }
        stride *= length;
    }
    steps
}

/// Calls `work` with the places of N row-major tensors of `dims` at every index of `shape`, to which they are repeated.
pub(crate) fn each_place<const N: usize>(
    shape: &[usize],
    dims: [&[usize]; N],
    work: &mut impl FnMut([usize; N]) -> Result<()>,
) -> Result<()> {
    let steps = dims.map(steps);
    walk(shape, steps.each_ref().map(Vec::as_slice), [0; N], work)
}

fn walk<const N: usize>(
    shape: &[usize],
    steps: [&[usize]; N],
    places: [usize; N],
    work: &mut impl FnMut([usize; N]) -> Result<()>,
) -> Result<()> {
    let Some((&length, rest)) = shape.split_first() else {
        return work(places);
    };
    for index in 0..length {
        let moved = std::array::from_fn(|k| places[k] + index * steps[k][0]);
        walk(rest, steps.map(|steps| &steps[1..]), moved, work)?;
    }
    Ok(())
}

/// Neighbouring axes made one where every tensor has both whole or neither.
fn merged<const N: usize>(shape: &[usize], dims: [&[usize]; N]) -> (Vec<usize>, [Vec<usize>; N]) {
    let (mut full, mut all) = (Vec::<usize>::new(), [const { Vec::<usize>::new() }; N]);
    for (axis, &length) in shape.iter().enumerate() {
        let own = dims.map(|dims| dims[axis]);
        let fits = |(before, (dims, own)): (usize, (&Vec<usize>, usize))| {
            let whole = dims.last() == Some(&before) && own == length;
            whole || dims.last() == Some(&1) && own == 1
        };
        let before = full.last().copied();
        let alike =
            before.is_some_and(|before| all.iter().zip(own).all(|pair| fits((before, pair))));
        if !alike {
            full.push(1);
            all.iter_mut().for_each(|dims| dims.push(1));
        }
        let grow = |dims: &mut Vec<usize>, own| {
            if let Some(last) = dims.last_mut() {
                *last *= own;
            }
        };
        grow(&mut full, length);
        all.iter_mut()
            .zip(own)
            .for_each(|(dims, own)| grow(dims, own));
    }
    (full, all)
}

/// sum += a ⊙ b at every index of `shape`, each with its own extents, of one element where it is repeated or adds up.
pub(crate) fn add_products<T: Real>(
    shape: &[usize],
    (sum, sum_dims): (&mut [T], &[usize]),
    (a, a_dims): (&[T], &[usize]),
    (b, b_dims): (&[T], &[usize]),
) -> Result<()> {
    if shape.contains(&0) {
        return Ok(());
    }
    let (shape, dims) = merged(shape, [sum_dims, a_dims, b_dims]);
    let Some((&length, outer)) = shape.split_last() else {
        return Ok(());
    };
    let steps = dims.map(|dims| steps(&dims));
    let last = outer.len();
    let along = steps.each_ref().map(|steps| steps[last]);
    let outer_steps = steps.each_ref().map(|steps| &steps[..last]);
    walk(outer, outer_steps, [0; 3], &mut |[s, i, j]: [usize; 3]| {
        let run = |from: usize, step: usize| from..from + (length - 1) * step + 1;
        let (sum, a, b) = (
            &mut sum[run(s, along[0])],
            &a[run(i, along[1])],
            &b[run(j, along[2])],
        );
        let (first, second) = (a[0], b[0]);
        match along {
            [0, 0, 0] => sum[0] += first * second,
            [0, 0, _] => sum[0] += first * T::from_f64(reduce(b, b, T::ZERO, terms::value)[0]),
            [0, _, 0] => sum[0] += second * T::from_f64(reduce(a, a, T::ZERO, terms::value)[0]),
            [0, ..] => sum[0] += T::from_f64(reduce(a, b, T::ZERO, terms::product)[0]),
            [_, 0, 0] => add_to(sum, std::iter::repeat(first * second)),
            [_, 0, _] => add_to(sum, b.iter().map(move |&b| first * b)),
            [_, _, 0] => add_to(sum, a.iter().map(move |&a| a * second)),
            _ => add_to(sum, a.iter().zip(b).map(|(&a, &b)| a * b)),
        }
        Ok(())
    })
}
