//! Elementwise functions and the products with their derivatives, from f, f' and f'' alone.
//!
//! ```text
//! y = f(x)        ẏ = f' ⊙ ẋ        x̄ = f' ⊙ ȳ        second order   x̄ += ȳ ⊙ f'' ⊙ ẋ
//! ```
//!
//! f' and f'' are computed once, with y: products with many blocks at one point are then
//! multiplications, whatever the function is.

pub(crate) mod launched;

use candle_core::{Result, Tensor};

use crate::collect::collect;
use crate::elementwise::{add_in_place, update_with};
use crate::launch::launcher;
use crate::number::{Number, Text, Whole};
use crate::parallel::{fill_parts, map_parts};
use crate::real::{Real, dispatch, elements, expect_shape, on_cpu, tensor};
use crate::vectorised::add_to;

/// A function of one variable, to be applied to every element.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use flatness_kernels::{Function, Number, evaluate};
///
/// struct Cube;
///
/// impl Function for Cube {
///     fn derivatives<N: Number>(&self, x: &N) -> [N; 3] {
///         let square = x.squared();
///         [square.times(x), square.affine(3.0, 0.0), x.affine(6.0, 0.0)]
///     }
/// }
///
/// let x = Tensor::new(&[2f64], &Device::Cpu)?;
/// let (y, derivatives) = evaluate(&Cube, &x)?;
/// let numbers = [&y, &derivatives[0], &derivatives[1]].map(|tensor| tensor.to_vec1::<f64>());
/// let [y, first, second] = numbers;
/// assert_eq!([y?, first?, second?], [[8.0], [12.0], [12.0]]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub trait Function: Sync {
    /// f, f' and f'' at x.
    fn derivatives<N: Number>(&self, x: &N) -> [N; 3];

    /// Whether f'' is zero wherever there is one, so that nothing of it is kept.
    fn is_piecewise_linear(&self) -> bool {
        false
    }
}

/// y = f(x), and f'(x) with, unless f is piecewise linear, f''(x), each in the shape of `x`.
///
/// # Errors
/// A number type other than f32 and f64, a tensor that is not contiguous, or a device error.
pub fn evaluate<F: Function>(function: &F, x: &Tensor) -> Result<(Tensor, Vec<Tensor>)> {
    if on_cpu(x) {
        return dispatch!(x.dtype(), evaluate_on_slices(function, x));
    }
    if let Some(launcher) = launcher(x) {
        let [y, first, second] = function.derivatives(&Text::new("x"));
        let mut results = vec![("y", &y), ("first", &first)];
        if !function.is_piecewise_linear() {
            results.push(("second", &second));
        }
        let mut results = launched::evaluate(&*launcher, x, &results)?;
        let y = results.remove(0);
        return Ok((y, results));
    }
    let [y, first, second] = function.derivatives(&Whole::new(x));
    let mut derivatives = vec![first.tensor()?];
    if !function.is_piecewise_linear() {
        derivatives.push(second.tensor()?);
    }
    Ok((y.tensor()?, derivatives))
}

fn evaluate_on_slices<T: Real + Number>(
    function: &impl Function,
    x: &Tensor,
) -> Result<(Tensor, Vec<Tensor>)> {
    if function.is_piecewise_linear() {
        let [y, first] = [0, 1].map(|order| map::<T>(x, |x| function.derivatives(&x)[order]));
        return Ok((y?, vec![first?]));
    }
    let values = elements::<T>(x)?;
    let values = values.slice()?;
    // In one pass, since the three have their exponentials in common.
    let parts = map_parts(values.len(), |part| {
        let mut results = [const { Vec::new() }; 3];
        for results in &mut results {
            *results = Vec::with_capacity(part.len());
        }
        for x in &values[part] {
            for (results, result) in results.iter_mut().zip(function.derivatives(x)) {
                results.push(result);
            }
        }
        Ok(results)
    })?;
    let whole = parts.into_iter().reduce(|mut front, back| {
        for (front, back) in front.iter_mut().zip(back) {
            front.extend(back);
        }
        front
    });
    let [y, first, second] = whole
        .unwrap_or_default()
        .map(|whole| tensor(whole, x.shape(), x));
    Ok((y?, vec![first?, second?]))
}

/// `function` of every element.
pub(crate) fn map<T: Real>(x: &Tensor, function: impl Fn(T) -> T + Sync) -> Result<Tensor> {
    let values = elements::<T>(x)?;
    let values = values.slice()?;
    let mapped = collect(values.len(), 1, |part, spare| {
        spare.extend(values[part].iter().map(|&x| function(x)));
        Ok(())
    })?;
    tensor(mapped, x.shape(), x)
}

/// f' ⊙ b for every vector of `block` b (B, V, ...), with `slope` f' (B, ...).
///
/// # Errors
/// Shapes that do not fit, tensors that are not contiguous, or a device error.
pub fn slope_product(slope: &Tensor, block: &Tensor) -> Result<Tensor> {
    expect_block(slope, block)?;
    if on_cpu(slope) {
        return dispatch!(slope.dtype(), slope_product_on_slices(slope, block));
    }
    match launcher(slope) {
        Some(launcher) => launched::slope_product(&*launcher, launched::KEPT, slope, block),
        None => block.broadcast_mul(&slope.unsqueeze(1)?),
    }
}

fn slope_product_on_slices<T: Real>(slope: &Tensor, block: &Tensor) -> Result<Tensor> {
    product(slope, block, |slope, x: T| x * slope)
}

/// sum += ȳ ⊙ f'' ⊙ ẋ for every vector of `block` ẋ (B, V, ...) in place, with `curvature` f'' and the
/// primal `cotangent` ȳ, (B, ...).
///
/// # Errors
/// As [`slope_product`], and a sum that shares the storage of an operand.
pub fn add_curvature_product(
    curvature: &Tensor,
    cotangent: &Tensor,
    block: &Tensor,
    sum: &Tensor,
) -> Result<()> {
    expect_block(curvature, block)?;
    expect_shape("cotangent", cotangent, curvature.dims())?;
    expect_shape("sum", sum, block.dims())?;
    if on_cpu(sum) {
        return dispatch!(
            sum.dtype(),
            add_curvature_product_on_slices(curvature, cotangent, block, sum)
        );
    }
    if let Some(launcher) = launcher(sum) {
        let kept = [curvature, cotangent];
        return launched::add_curvature_product(&*launcher, launched::KEPT, kept, block, sum);
    }
    let factors = (cotangent * curvature)?.unsqueeze(1)?;
    add_in_place(sum, &block.broadcast_mul(&factors)?)
}

fn add_curvature_product_on_slices<T: Real>(
    curvature: &Tensor,
    cotangent: &Tensor,
    block: &Tensor,
    sum: &Tensor,
) -> Result<()> {
    add_product(curvature, cotangent, block, sum, |curvature: T| curvature)
}

/// Fails unless `block` is (B, V, ...) of `kept` (B, ...).
pub(crate) fn expect_block(kept: &Tensor, block: &Tensor) -> Result<()> {
    let (examples, vectors) = (kept.dim(0)?, block.dim(1)?);
    let expected = [&[examples, vectors], &kept.dims()[1..]].concat();
    expect_shape("block", block, &expected)
}

/// `function` of the elements of `kept` and of those of each vector of `block`, in one pass.
pub(crate) fn product<T: Real>(
    kept: &Tensor,
    block: &Tensor,
    function: impl Fn(T, T) -> T + Sync,
) -> Result<Tensor> {
    let (kept_values, block_values) = (elements::<T>(kept)?, elements::<T>(block)?);
    let (kept_values, block_values) = (kept_values.slice()?, block_values.slice()?);
    let (examples, vectors) = (kept.dim(0)?, block.dim(1)?);
    let (rows, width) = (examples * vectors, kept_values.len() / examples.max(1));
    let products = collect(rows, width, |rows, spare| {
        for row in rows {
            let kept = &kept_values[row / vectors * width..][..width];
            let pairs = kept.iter().zip(&block_values[row * width..][..width]);
            spare.extend(pairs.map(|(&kept, &x)| function(kept, x)));
        }
        Ok(())
    })?;
    tensor(products, block.shape(), block)
}

/// sum += ẋ (ȳ f''), with f'' the `function` of what is `kept`, in one pass.
pub(crate) fn add_product<T: Real>(
    kept: &Tensor,
    cotangent: &Tensor,
    block: &Tensor,
    sum: &Tensor,
    function: impl Fn(T) -> T + Copy + Sync,
) -> Result<()> {
    let [kept_values, cotangents, blocks] = [kept, cotangent, block].map(elements::<T>);
    let (kept_values, cotangents, blocks) = (kept_values?, cotangents?, blocks?);
    let (kept_values, cotangents, blocks) =
        (kept_values.slice()?, cotangents.slice()?, blocks.slice()?);
    let (examples, vectors) = (kept.dim(0)?, block.dim(1)?);
    let (rows, width) = (examples * vectors, kept_values.len() / examples.max(1));
    update_with(sum, &[kept, cotangent, block], |sum: &mut [T]| {
        fill_parts(sum, rows, |rows, sum| {
            for (row, sum) in rows.zip(sum.chunks_exact_mut(width.max(1))) {
                let start = row / vectors * width;
                let primal = kept_values[start..][..width]
                    .iter()
                    .zip(&cotangents[start..][..width]);
                let terms = primal.zip(&blocks[row * width..][..width]);
                add_to(
                    sum,
                    terms.map(move |((&kept, &y_bar), &x)| x * (y_bar * function(kept))),
                );
            }
            Ok(())
        })
    })
}
