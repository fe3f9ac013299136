//! Poolings of signals, images and volumes.

use super::value;
use super::windows::{image, numbers, resized};
use crate::array::Reason;
use crate::import::Importer;
use crate::operand::{Call, Operand, Value};
use crate::plan::{Operation, Windows};

impl Windows {
    /// Of a pooling of an image of these extents.
    fn of_pooling(call: &Call<'_>, extents: &[usize]) -> Result<Self, Reason> {
        let kernel = numbers(call, "kernel_shape", extents.len(), 0)?;
        Self::of(call, kernel, extents)
    }

    /// With room behind the image for a last window that ends there, unless it also begins there.
    fn rounded_up(&self, call: &Call<'_>, extents: &[usize]) -> Result<Self, Reason> {
        let mut windows = self.clone();
        if call.int("ceil_mode", 0) == 0 {
            return Ok(windows);
        }
        self.outputs(extents)?;
        for (axis, &extent) in extents.iter().enumerate() {
            let (before, behind) = self.padding[axis];
            let reach = self.reach(axis).ok_or("has too large a window")?;
            let room = extent + before + behind - reach;
            let last = room.div_ceil(self.strides[axis]) * self.strides[axis];
            if last < extent + before {
                windows.padding[axis].1 += last - room.min(last);
            }
        }
        Ok(windows)
    }

    /// Extent and stride of square windows without gaps.
    fn square(&self) -> Option<(usize, usize)> {
        match (&self.kernel[..], &self.strides[..], &self.dilations[..]) {
            (&[kernel, width], &[stride, across], [1, 1])
                if kernel == width && stride == across =>
            {
                Some((kernel, stride))
            }
            _ => None,
        }
    }

    /// Places along an axis of each of its windows, counted from the beginning of the padding.
    fn places(
        &self,
        axis: usize,
        outputs: usize,
    ) -> impl Iterator<Item = impl Iterator<Item = usize>> {
        let (stride, dilation) = (self.strides[axis], self.dilations[axis]);
        let kernel = self.kernel[axis];
        (0..outputs).map(move |output| (0..kernel).map(move |tap| output * stride + tap * dilation))
    }
}

/// A pooling along one axis of an image after the other, each of what `operation` makes of its number and extents.
fn along_axes(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
    argument: &Value,
    kernel: &[usize],
    axes: &[(usize, usize)],
    operation: impl Fn(usize, usize, usize) -> Result<Operation, Reason>,
) -> Result<Vec<Operand>, Reason> {
    let mut pooled = argument.clone();
    // The last axis first, so that of equal maxima the first in row-major order is taken.
    for (axis, &(extent, outputs)) in axes.iter().enumerate().rev() {
        importer.charge_windows(outputs, kernel[axis], extent)?;
        let operation = operation(axis, extent, outputs)?;
        let layout = pooled.layout.with(axis + 2, outputs);
        pooled = importer.push(call, operation, &[pooled.number], layout)?;
    }
    value(pooled)
}

const OUTSIDE: &str = "has a window outside of the image";

fn maxima(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
    windows: Windows,
) -> Result<Vec<Operand>, Reason> {
    let (argument, channels, extents) = image(call)?;
    let outputs = windows.outputs(extents)?;
    if let Some((kernel, stride)) = windows.square() {
        let operation = Operation::MaxPool {
            kernel,
            stride,
            padding: windows.padding,
        };
        let layout = resized(argument, channels, &outputs);
        return value(importer.push(call, operation, &[argument.number], layout)?);
    }
    let axes: Vec<_> = extents.iter().copied().zip(outputs).collect();
    along_axes(
        importer,
        call,
        argument,
        &windows.kernel,
        &axes,
        |axis, extent, outputs| {
            let before = windows.padding[axis].0;
            let inside = |places: &mut dyn Iterator<Item = usize>| {
                let places = places.filter_map(|place| place.checked_sub(before));
                let places = places
                    .filter(|&place| place < extent)
                    .map(|place| place as u32);
                let places: Vec<u32> = places.collect();
                (!places.is_empty()).then_some(places).ok_or(OUTSIDE)
            };
            let all = windows
                .places(axis, outputs)
                .map(|mut places| inside(&mut places));
            Ok(Operation::Largest {
                axis: axis + 1,
                windows: all.collect::<Result<_, _>>()?,
            })
        },
    )
}

pub(super) fn max_pool(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let (_, _, extents) = image(call)?;
    if call
        .node
        .output
        .get(1)
        .is_some_and(|output| !output.is_empty())
    {
        return Err("gives the places of its maxima".into());
    }
    let windows = Windows::of_pooling(call, extents)?.rounded_up(call, extents)?;
    maxima(importer, call, windows)
}

pub(super) fn average_pool(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let (argument, channels, extents) = image(call)?;
    let own = Windows::of_pooling(call, extents)?;
    let windows = own.rounded_up(call, extents)?;
    let outputs = windows.outputs(extents)?;
    if let (Some((kernel, stride)), [(0, 0), (0, 0)]) = (windows.square(), &windows.padding[..]) {
        let operation = Operation::AveragePool { kernel, stride };
        let layout = resized(argument, channels, &outputs);
        return value(importer.push(call, operation, &[argument.number], layout)?);
    }
    let counts_padding = call.int("count_include_pad", 0) != 0;
    let axes: Vec<_> = extents.iter().copied().zip(outputs).collect();
    along_axes(
        importer,
        call,
        argument,
        &windows.kernel,
        &axes,
        |axis, extent, outputs| {
            // What is behind the padding, for a last window, never counts.
            let (before, behind) = own.padding[axis];
            let (image, padded) = (before..before + extent, 0..before + extent + behind);
            let counted = if counts_padding {
                padded
            } else {
                image.clone()
            };
            let window = |places: &mut dyn Iterator<Item = usize>| {
                let places: Vec<usize> = places.filter(|place| counted.contains(place)).collect();
                let weight = 1.0 / places.len() as f64;
                let inside = places.into_iter().filter(|place| image.contains(place));
                let taps: Vec<_> = inside
                    .map(|place| ((place - before) as u32, weight))
                    .collect();
                (weight <= 1.0).then_some(taps).ok_or(OUTSIDE)
            };
            let all = windows
                .places(axis, outputs)
                .map(|mut places| window(&mut places));
            Ok(Operation::WeightedSums {
                axis: axis + 1,
                windows: all.collect::<Result<_, _>>()?,
            })
        },
    )
}

/// The largest element of each channel.
pub(super) fn global_max(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let (_, _, extents) = image(call)?;
    let ones = vec![1; extents.len()];
    let windows = Windows {
        kernel: extents.to_vec(),
        strides: ones.clone(),
        dilations: ones,
        padding: vec![(0, 0); extents.len()],
    };
    maxima(importer, call, windows)
}
