//! Pooling on CPU slices, plane by plane.

use candle_core::{Result, Tensor, bail};
use pulp::NullaryFnOnce;

use super::Pooling;
use crate::collect::collect;
use crate::parallel::fill_parts;
use crate::real::{Real, elements, tensor};
use crate::vectorised::{add_to, reduce, terms, vectorised};

pub(super) fn max_forward<T: Real>(
    x: &Tensor,
    pooling: Pooling,
    (height, width): (usize, usize),
) -> Result<(Tensor, Tensor)> {
    let (images, channels, input_height, input_width) = x.dims4()?;
    let (planes, area) = (images * channels, input_height * input_width);
    let values = elements::<T>(x)?;
    let values = values.slice()?;
    let argmax = collect(planes, height * width, |planes, spare| {
        let mut places = vec![0; width];
        for plane in planes {
            let plane = &values[plane * area..][..area];
            for row in 0..height {
                let start = row * pooling.stride * input_width;
                if pooling == PAIRS {
                    vectorised(Pairs {
                        places: &mut places,
                        upper: &plane[start..][..2 * width],
                        lower: &plane[start + input_width..][..2 * width],
                        start: start as u32,
                        width: input_width as u32,
                    });
                } else {
                    for (window, place) in places.iter_mut().enumerate() {
                        let start = start + window * pooling.stride;
                        *place = largest(plane, start, input_width, pooling.kernel) as u32;
                    }
                }
                spare.extend(places.iter().copied());
            }
        }
        Ok(())
    })?;
    let shape = (images, channels, height, width);
    let argmax = Tensor::from_vec(argmax, shape, x.device())?;
    let y = max_gather::<T>(&argmax, &x.unsqueeze(1)?)?.squeeze(1)?;
    Ok((y, argmax))
}

/// Where the largest entry stands in the window that begins at `start`.
fn largest<T: Real>(plane: &[T], start: usize, width: usize, kernel: usize) -> usize {
    let (mut best, mut place) = (plane[start], start);
    for row in 0..kernel {
        let start = start + row * width;
        for (offset, &entry) in plane[start..][..kernel].iter().enumerate() {
            (best, place) = better(best, place, entry, start + offset);
        }
    }
    place
}

#[inline(always)]
fn better<T: Real, P>(best: T, place: P, entry: T, at: P) -> (T, P) {
    #[allow(
        clippy::eq_op,
        reason = "only what is not a number differs from itself"
    )]
    let wins = (entry > best) | (entry != entry);
    if wins { (entry, at) } else { (best, place) }
}

/// The windows that most networks have.
const PAIRS: Pooling = Pooling {
    kernel: 2,
    stride: 2,
};

/// Where the largest entry of each of a row of [`PAIRS`] stands.
struct Pairs<'a, T> {
    places: &'a mut [u32],
    upper: &'a [T],
    lower: &'a [T],
    /// Where the first window begins in its plane.
    start: u32,
    /// Of the plane.
    width: u32,
}

impl<T: Real> NullaryFnOnce for Pairs<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (upper, lower) = (self.upper.as_chunks::<2>().0, self.lower.as_chunks::<2>().0);
        let count = self.places.len().min(upper.len()).min(lower.len());
        let (places, upper, lower) = (&mut self.places[..count], &upper[..count], &lower[..count]);
        for window in 0..count {
            let at = self.start + 2 * window as u32;
            let best = better(upper[window][0], at, upper[window][1], at + 1);
            let at = at + self.width;
            let best = better(best.0, best.1, lower[window][0], at);
            places[window] = better(best.0, best.1, lower[window][1], at + 1).1;
        }
    }
}

/// The places of the maxima of one plane, all of which lie among its `area` entries.
fn places(argmax: &[u32], plane: usize, windows: usize, area: usize) -> Result<&[u32]> {
    let places = &argmax[plane * windows..][..windows];
    let last = places.iter().fold(0, |last, &place| last.max(place)) as usize;
    if last >= area && windows > 0 {
        bail!("argmax: expected places in a plane of {area} entries, got {last}");
    }
    Ok(places)
}

pub(super) fn max_gather<T: Real>(argmax: &Tensor, block: &Tensor) -> Result<Tensor> {
    let (images, vectors, channels, input_height, input_width) = block.dims5()?;
    let (_, _, height, width) = argmax.dims4()?;
    let (windows, area) = (height * width, input_height * input_width);
    let (argmax, blocks) = (elements::<u32>(argmax)?, elements::<T>(block)?);
    let (argmax, blocks) = (argmax.slice()?, blocks.slice()?);
    let gathered = collect(images * vectors, channels * windows, |rows, spare| {
        for row in rows {
            for channel in 0..channels {
                let plane = row / vectors * channels + channel;
                let places = places(argmax, plane, windows, area)?;
                let entries = &blocks[(row * channels + channel) * area..][..area];
                spare.extend(places.iter().map(|&place| entries[place as usize]));
            }
        }
        Ok(())
    })?;
    tensor(gathered, (images, vectors, channels, height, width), block)
}

pub(super) fn max_scatter<T: Real>(
    argmax: &Tensor,
    cotangent: &Tensor,
    (input_height, input_width): (usize, usize),
    _: Option<Pooling>,
) -> Result<Tensor> {
    let (images, vectors, channels, height, width) = cotangent.dims5()?;
    let (windows, area) = (height * width, input_height * input_width);
    let (argmax, cotangents) = (elements::<u32>(argmax)?, elements::<T>(cotangent)?);
    let (argmax, cotangents) = (argmax.slice()?, cotangents.slice()?);
    let mut scattered = vec![T::ZERO; images * vectors * channels * area];
    fill_parts(&mut scattered, images * vectors, |rows, out| {
        let mut planes = out.chunks_exact_mut(area.max(1));
        for row in rows {
            for channel in 0..channels {
                let plane = row / vectors * channels + channel;
                let places = places(argmax, plane, windows, area)?;
                let values = &cotangents[(row * channels + channel) * windows..][..windows];
                let Some(entries) = planes.next() else {
                    bail!("expected planes with entries, got {input_height}x{input_width}");
                };
                for (&place, &value) in places.iter().zip(values) {
                    entries[place as usize] += value;
                }
            }
        }
        Ok(())
    })?;
    let shape = (images, vectors, channels, input_height, input_width);
    tensor(scattered, shape, cotangent)
}

pub(super) fn average<T: Real>(
    x: &Tensor,
    Pooling { kernel, stride }: Pooling,
    (height, width): (usize, usize),
) -> Result<Tensor> {
    let (planes, input_height, input_width) = x.dims3()?;
    let (area, weight) = (input_height * input_width, weight::<T>(kernel));
    let values = elements::<T>(x)?;
    let values = values.slice()?;
    let means = collect(planes, height * width, |planes, spare| {
        let mut sums = vec![T::ZERO; input_width];
        for plane in planes {
            let plane = &values[plane * area..][..area];
            for row in 0..height {
                let mut rows = plane[row * stride * input_width..].chunks_exact(input_width);
                sums.fill(T::ZERO);
                for row in rows.by_ref().take(kernel) {
                    add_to(&mut sums, row.iter().copied());
                }
                let windows = sums.windows(kernel).step_by(stride);
                spare.extend(windows.map(|window| weight * window.iter().copied().sum()));
            }
        }
        Ok(())
    })?;
    tensor(means, (planes, height, width), x)
}

pub(super) fn average_transposed<T: Real>(
    cotangent: &Tensor,
    (height, width): (usize, usize),
    Pooling { kernel, stride }: Pooling,
) -> Result<Tensor> {
    let (planes, output_height, output_width) = cotangent.dims3()?;
    let (windows, area, weight) = (
        output_height * output_width,
        height * width,
        weight::<T>(kernel),
    );
    let cotangents = elements::<T>(cotangent)?;
    let cotangents = cotangents.slice()?;
    let mut spread = vec![T::ZERO; planes * area];
    fill_parts(&mut spread, planes, |planes, out| {
        let mut sums = vec![T::ZERO; width];
        let cotangents = cotangents[planes.start * windows..].chunks_exact(windows);
        for (plane, cotangents) in out.chunks_exact_mut(area).zip(cotangents) {
            for (row, cotangents) in cotangents.chunks_exact(output_width).enumerate() {
                sums.fill(T::ZERO);
                for (window, &cotangent) in cotangents.iter().enumerate() {
                    for sum in &mut sums[window * stride..][..kernel] {
                        *sum += weight * cotangent;
                    }
                }
                let rows = plane[row * stride * width..].chunks_exact_mut(width);
                for row in rows.take(kernel) {
                    add_to(row, sums.iter().copied());
                }
            }
        }
        Ok(())
    })?;
    tensor(spread, (planes, height, width), cotangent)
}

fn weight<T: Real>(kernel: usize) -> T {
    T::from_f64(1.0 / (kernel * kernel) as f64)
}

pub(super) fn global_average<T: Real>(x: &Tensor) -> Result<Tensor> {
    let (planes, area) = x.dims2()?;
    let values = elements::<T>(x)?;
    let values = values.slice()?;
    let means = collect(planes, 1, |planes, spare| {
        let planes = values[planes.start * area..]
            .chunks_exact(area)
            .take(planes.len());
        spare.extend(planes.map(|plane| {
            let [sum] = reduce(plane, plane, T::ZERO, terms::value);
            T::from_f64(sum / area as f64)
        }));
        Ok(())
    })?;
    tensor(means, planes, x)
}

pub(super) fn global_average_transposed<T: Real>(
    cotangent: &Tensor,
    area: usize,
) -> Result<Tensor> {
    let planes = cotangent.elem_count();
    let cotangents = elements::<T>(cotangent)?;
    let cotangents = cotangents.slice()?;
    let weight = T::from_f64(1.0 / area as f64);
    let spread = collect(planes, area, |planes, spare| {
        for &cotangent in &cotangents[planes] {
            spare.extend(std::iter::repeat_n(weight * cotangent, area));
        }
        Ok(())
    })?;
    tensor(spread, (planes, area), cotangent)
}
