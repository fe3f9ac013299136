//! Convolutions of signals, images and volumes, and the windows that poolings have too.

use super::{one, value};
use crate::array::Reason;
use crate::import::Importer;
use crate::operand::{Call, Held, Operand, Value};
use crate::plan::{Operation, WeightId, Windows};
use crate::weights::Role;

/// A value whose batch is in front, as an image with its channels and extents.
pub(super) fn image<'c>(call: &'c Call<'_>) -> Result<(&'c Value, usize, &'c [usize]), Reason> {
    let argument = call.value(0)?;
    match &argument.layout.axes[..] {
        [1, channels, extents @ ..]
            if argument.layout.dropped() == Some(0) && !extents.is_empty() =>
        {
            Ok((argument, *channels, extents))
        }
        _ => Err("needs images (batch, channels, ...) with the batch axis in front".into()),
    }
}

/// One number an axis from an attribute, or ones.
pub(super) fn numbers(
    call: &Call<'_>,
    name: &str,
    rank: usize,
    default: usize,
) -> Result<Vec<usize>, Reason> {
    let Some(numbers) = call.ints(name).filter(|numbers| !numbers.is_empty()) else {
        return Ok(vec![default; rank]);
    };
    let numbers = numbers.iter().map(|&number| {
        usize::try_from(number)
            .ok()
            .filter(|&number| number < 1 << 20)
    });
    let numbers: Option<Vec<usize>> = numbers.collect();
    let numbers = numbers.filter(|numbers| numbers.len() == rank);
    numbers.ok_or_else(|| format!("has {name} that are not {rank} numbers of a fit size").into())
}

impl Windows {
    /// Of a call on an image of these extents.
    pub(super) fn of(
        call: &Call<'_>,
        kernel: Vec<usize>,
        extents: &[usize],
    ) -> Result<Self, Reason> {
        let rank = kernel.len();
        let pads = numbers(call, "pads", 2 * rank, 0)?;
        let windows = Self {
            kernel,
            strides: numbers(call, "strides", rank, 1)?,
            dilations: numbers(call, "dilations", rank, 1)?,
            padding: (0..rank)
                .map(|axis| (pads[axis], pads[axis + rank]))
                .collect(),
        };
        let parts = [&windows.kernel, &windows.strides, &windows.dilations];
        if parts.into_iter().flatten().any(|&number| number == 0) {
            return Err("has a window, stride or dilation of zero".into());
        }
        match call.text("auto_pad", "NOTSET") {
            "NOTSET" => Ok(windows),
            "VALID" => Ok(Self {
                padding: vec![(0, 0); rank],
                ..windows
            }),
            side @ ("SAME_UPPER" | "SAME_LOWER") => windows.same(extents, side == "SAME_UPPER"),
            other => Err(format!("has the padding {other}; export it with its numbers").into()),
        }
    }

    /// With as much padding as gives one window for every stride; what is odd behind or before.
    fn same(mut self, extents: &[usize], is_behind: bool) -> Result<Self, Reason> {
        for (axis, &extent) in extents.iter().enumerate() {
            let reach = self.reach(axis).ok_or("has too large a window")?;
            let last = (extent - 1) / self.strides[axis] * self.strides[axis];
            let pads = last.saturating_add(reach).saturating_sub(extent);
            let (less, more) = (pads / 2, pads.div_ceil(2));
            self.padding[axis] = if is_behind {
                (less, more)
            } else {
                (more, less)
            };
        }
        Ok(self)
    }

    /// The extent of an axis that its windows cover, from the first element of the first to the last of the last.
    pub(super) fn reach(&self, axis: usize) -> Option<usize> {
        self.dilations[axis]
            .checked_mul(self.kernel[axis] - 1)?
            .checked_add(1)
    }

    /// Extents of the output.
    pub(super) fn outputs(&self, extents: &[usize]) -> Result<Vec<usize>, Reason> {
        let output = |(axis, &extent): (usize, &usize)| {
            let (before, behind) = self.padding[axis];
            let padded = extent.checked_add(before)?.checked_add(behind)?;
            Some(padded.checked_sub(self.reach(axis)?)? / self.strides[axis] + 1)
        };
        let outputs: Option<Vec<usize>> = extents.iter().enumerate().map(output).collect();
        outputs.ok_or_else(|| {
            format!("has windows of {:?} on images of {extents:?}", self.kernel).into()
        })
    }
}

/// Weight and bias of a convolution.
fn filter(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
    held: &Held,
) -> Result<(WeightId, Option<WeightId>), Reason> {
    let weight = importer.parameter(call, held, Some(Role::Weight))?;
    let name = importer.plan.weights[weight].name.clone();
    importer.note_folded(held, &name);
    let bias = match call.optional(2) {
        None => None,
        Some(Operand::Weight(bias)) if bias.movements.is_empty() => {
            Some(importer.parameter(call, bias, Some(Role::Bias))?)
        }
        Some(Operand::Constant(bias)) if bias.is_all(0.0) => None,
        Some(_) => return Err("has a bias that is no parameter as it is".into()),
    };
    Ok((weight, bias))
}

/// The first two extents of a kernel, those along the image, and the number of groups.
fn kernel(call: &Call<'_>, rank: usize) -> Result<([usize; 2], Vec<usize>, usize), Reason> {
    let shape = call.input(1)?.shape(0);
    let groups = usize::try_from(call.int("group", 1)).ok();
    let groups = groups.filter(|&groups| groups > 0).ok_or("has no groups")?;
    match shape[..] {
        [outer, inner, ref kernel @ ..] if kernel.len() == rank => {
            Ok(([outer, inner], kernel.to_vec(), groups))
        }
        _ => Err(format!("has a kernel of the shape {shape:?} on images of {rank} axes").into()),
    }
}

/// The same value with other channels and extents.
pub(super) fn resized(
    argument: &Value,
    channels: usize,
    extents: &[usize],
) -> crate::layout::Layout {
    let mut layout = argument.layout.clone();
    layout.axes = [&[1, channels], extents].concat();
    layout
}

pub(super) fn convolution(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let (argument, channels, extents) = image(call)?;
    let ([outputs, inputs], kernel, groups) = kernel(call, extents.len())?;
    if inputs.checked_mul(groups) != Some(channels) || outputs % groups != 0 {
        return Err(format!("has {groups} groups of {inputs} channels for {channels}").into());
    }
    let windows = Windows::of(call, kernel, extents)?;
    let layout = resized(argument, outputs, &windows.outputs(extents)?);
    let convolved = match call.input(1)? {
        Operand::Weight(held) if held.movements.is_empty() => {
            let (weight, bias) = filter(importer, call, held)?;
            let operation = Operation::Convolution {
                weight,
                bias,
                windows,
                groups,
            };
            return value(importer.push(call, operation, &[argument.number], layout)?);
        }
        Operand::Constant(kernel) => {
            let operation = Operation::Filter {
                kernel: kernel.clone(),
                windows,
                groups,
            };
            importer.push(call, operation, &[argument.number], layout)?
        }
        other => {
            let kernel = importer.materialize(call, other)?;
            if kernel.layout.batch.is_some() {
                return Err("has a kernel that depends on the data".into());
            }
            let operation = Operation::Convolved { windows, groups };
            let inputs = [argument.number, kernel.number];
            importer.push(call, operation, &inputs, layout)?
        }
    };
    let Some(bias) = call.optional(2) else {
        return value(convolved);
    };
    let shape = [&[outputs], &vec![1; extents.len()][..]].concat();
    let bias = importer.reshaped(call, bias, &shape)?;
    one(importer.sum_of(call, &Operand::Value(convolved), &bias)?)
}

pub(super) fn transposed_convolution(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let (argument, channels, extents) = image(call)?;
    let ([inputs, outputs], kernel, groups) = kernel(call, extents.len())?;
    let outputs = outputs.checked_mul(groups).ok_or("has too many groups")?;
    if inputs != channels || inputs % groups != 0 {
        return Err(format!("has a kernel of {inputs} channels for {channels}").into());
    }
    let is_automatic = call.text("auto_pad", "NOTSET").starts_with("SAME");
    if call.ints("output_shape").is_some() || is_automatic {
        return Err("has an output_shape; export it with its padding".into());
    }
    let (weight, bias) = match call.input(1)? {
        Operand::Weight(held) if held.movements.is_empty() => filter(importer, call, held)?,
        _ => return Err("has a kernel that is no parameter as it is".into()),
    };
    let windows = Windows::of(call, kernel, extents)?;
    let output_padding = numbers(call, "output_padding", extents.len(), 0)?;
    let output = |axis: usize| {
        let (before, behind) = windows.padding[axis];
        let span = (extents[axis] - 1).checked_mul(windows.strides[axis])?;
        let padded = span
            .checked_add(windows.reach(axis)?)?
            .checked_add(output_padding[axis])?;
        padded
            .checked_sub(before.checked_add(behind)?)
            .filter(|&extent| extent > 0)
    };
    let sizes: Option<Vec<usize>> = (0..extents.len()).map(output).collect();
    let layout = resized(argument, outputs, &sizes.ok_or("has images of no extent")?);
    let operation = Operation::TransposedConvolution {
        weight,
        bias,
        windows,
        groups,
        output_padding,
    };
    value(importer.push(call, operation, &[argument.number], layout)?)
}
