//! Convolutions, poolings and upsampling of images.

use super::value;
use crate::array::Reason;
use crate::import::Importer;
use crate::operand::{Call, Operand, Value};
use crate::plan::{Operation, WeightId, Windows};
use crate::weights::Role;

/// A value whose batch is in front, as an image with its channels and extents.
fn image<'c>(call: &'c Call<'_>) -> Result<(&'c Value, usize, &'c [usize]), Reason> {
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
fn numbers(call: &Call<'_>, name: &str, rank: usize, default: usize) -> Result<Vec<usize>, Reason> {
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
    fn of(call: &Call<'_>, kernel: Vec<usize>) -> Result<Self, Reason> {
        let rank = kernel.len();
        let pads = numbers(call, "pads", 2 * rank, 0)?;
        let pads = match call.text("auto_pad", "NOTSET") {
            "NOTSET" => pads,
            "VALID" => vec![0; 2 * rank],
            other => {
                return Err(format!("has the padding {other}; export it with its numbers").into());
            }
        };
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
        Ok(windows)
    }

    /// The extent of an axis that its windows cover, from the first element of the first to the last of the last.
    fn reach(&self, axis: usize) -> Option<usize> {
        self.dilations[axis]
            .checked_mul(self.kernel[axis] - 1)?
            .checked_add(1)
    }

    /// Extents of the output.
    fn outputs(&self, extents: &[usize]) -> Result<Vec<usize>, Reason> {
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

/// Weight and bias of a convolution, the shape of the weight and the number of groups.
struct Filter {
    weight: WeightId,
    bias: Option<WeightId>,
    shape: Vec<usize>,
    groups: usize,
}

fn filter(importer: &mut Importer<'_>, call: &Call<'_>, rank: usize) -> Result<Filter, Reason> {
    let held = match call.input(1)? {
        Operand::Weight(held) if held.movements.is_empty() && held.shape.len() == rank + 2 => held,
        _ => return Err("has a kernel that is no parameter as it is".into()),
    };
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
    let groups = usize::try_from(call.int("group", 1))
        .ok()
        .filter(|&groups| groups > 0);
    Ok(Filter {
        weight,
        bias,
        shape: held.shape.clone(),
        groups: groups.ok_or("has no groups")?,
    })
}

/// The same value with other channels and extents.
fn resized(argument: &Value, channels: usize, extents: &[usize]) -> crate::layout::Layout {
    let mut layout = argument.layout.clone();
    layout.axes = [&[1, channels], extents].concat();
    layout
}

pub(super) fn convolution(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let (argument, channels, extents) = image(call)?;
    let filter = filter(importer, call, extents.len())?;
    let [outputs, inputs, ref kernel @ ..] = filter.shape[..] else {
        return Err("has no kernel".into());
    };
    let groups = filter.groups;
    if inputs.checked_mul(groups) != Some(channels) || outputs % groups != 0 {
        return Err(format!("has {groups} groups of {inputs} channels for {channels}").into());
    }
    let windows = Windows::of(call, kernel.to_vec())?;
    let layout = resized(argument, outputs, &windows.outputs(extents)?);
    let operation = Operation::Convolution {
        weight: filter.weight,
        bias: filter.bias,
        windows,
        groups,
    };
    value(importer.push(call, operation, &[argument.number], layout)?)
}

pub(super) fn transposed_convolution(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let (argument, channels, extents) = image(call)?;
    let filter = filter(importer, call, extents.len())?;
    let [inputs, outputs, ref kernel @ ..] = filter.shape[..] else {
        return Err("has no kernel".into());
    };
    let outputs = outputs
        .checked_mul(filter.groups)
        .ok_or("has too many groups")?;
    if inputs != channels || inputs % filter.groups != 0 {
        return Err(format!("has a kernel of {inputs} channels for {channels}").into());
    }
    if call.ints("output_shape").is_some() {
        return Err("has an output_shape; export it with its padding".into());
    }
    let windows = Windows::of(call, kernel.to_vec())?;
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
        weight: filter.weight,
        bias: filter.bias,
        windows,
        groups: filter.groups,
        output_padding,
    };
    value(importer.push(call, operation, &[argument.number], layout)?)
}

fn pooling(call: &Call<'_>, extents: &[usize]) -> Result<(Windows, Vec<usize>), Reason> {
    let kernel = numbers(call, "kernel_shape", extents.len(), 0)?;
    let mut windows = Windows::of(call, kernel)?;
    let outputs = windows.outputs(extents)?;
    if call.int("ceil_mode", 0) == 0 {
        return Ok((windows, outputs));
    }
    // A last window that ends behind the image, unless it also begins there.
    for (axis, &extent) in extents.iter().enumerate() {
        let (before, behind) = windows.padding[axis];
        let reach = windows.reach(axis).ok_or("has too large a window")?;
        let stride = windows.strides[axis];
        let room = extent + before + behind - reach;
        let last = room.div_ceil(stride) * stride;
        if last < extent + before {
            windows.padding[axis].1 += last - room.min(last);
        }
    }
    let outputs = windows.outputs(extents)?;
    Ok((windows, outputs))
}

pub(super) fn max_pool(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let (argument, channels, extents) = image(call)?;
    if call
        .node
        .output
        .get(1)
        .is_some_and(|output| !output.is_empty())
    {
        return Err("gives the places of its maxima".into());
    }
    let (windows, outputs) = pooling(call, extents)?;
    let layout = resized(argument, channels, &outputs);
    value(importer.push(
        call,
        Operation::MaxPool(windows),
        &[argument.number],
        layout,
    )?)
}

pub(super) fn average_pool(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let (argument, channels, extents) = image(call)?;
    let (windows, outputs) = pooling(call, extents)?;
    let counts_padding = call.int("count_include_pad", 0) != 0;
    if counts_padding
        && call.int("ceil_mode", 0) != 0
        && outputs != Windows::of(call, windows.kernel.clone())?.outputs(extents)?
    {
        return Err("counts padding in windows that end behind it".into());
    }
    let layout = resized(argument, channels, &outputs);
    let operation = Operation::AveragePool {
        windows,
        counts_padding,
    };
    value(importer.push(call, operation, &[argument.number], layout)?)
}

/// The largest element of each channel.
pub(super) fn global_max(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let (argument, channels, extents) = image(call)?;
    let ones = vec![1; extents.len()];
    let windows = Windows {
        kernel: extents.to_vec(),
        strides: ones.clone(),
        dilations: ones.clone(),
        padding: vec![(0, 0); extents.len()],
    };
    let layout = resized(argument, channels, &ones);
    value(importer.push(
        call,
        Operation::MaxPool(windows),
        &[argument.number],
        layout,
    )?)
}

/// Each element so often, by factors that are whole.
pub(super) fn resize(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let (argument, channels, extents) = image(call)?;
    let mode = call.text("mode", "nearest");
    let coordinates = call.text("coordinate_transformation_mode", "half_pixel");
    let rounding = call.text("nearest_mode", "round_prefer_floor");
    // Both give element ⌊i / factor⌋ for whole factors.
    let is_repetition = matches!(
        (coordinates, rounding),
        ("asymmetric", "floor") | ("half_pixel" | "pytorch_half_pixel", "round_prefer_floor")
    );
    let is_old = call.node.op_type == "Upsample";
    if mode != "nearest" || !(is_repetition || is_old) {
        return Err(format!(
            "resizes by {mode} ({coordinates}); only whole factors of the nearest are there"
        )
        .into());
    }
    let scales = call
        .known(if is_old { 1 } else { 2 })?
        .filter(|scales| !scales.values.is_empty());
    let factors: Vec<f64> = match (scales, call.known(3)?) {
        (Some(scales), _) => scales.values.to_vec(),
        (None, Some(sizes)) => {
            let own = argument.layout.shape(importer.marker);
            sizes
                .values
                .iter()
                .zip(own)
                .map(|(&size, own)| size / own as f64)
                .collect()
        }
        (None, None) => return Err("has neither scales nor sizes".into()),
    };
    let whole = factors.iter().map(|&factor| {
        (factor.fract() == 0.0 && (1.0..=1024.0).contains(&factor)).then_some(factor as usize)
    });
    let whole: Option<Vec<usize>> = whole.collect();
    match whole.as_deref() {
        Some([1, 1, factors @ ..]) if factors.len() == extents.len() => {
            let outputs: Vec<usize> = extents
                .iter()
                .zip(factors)
                .map(|(extent, factor)| extent * factor)
                .collect();
            let layout = resized(argument, channels, &outputs);
            let operation = Operation::Repeat([&[1], factors].concat());
            value(importer.push(call, operation, &[argument.number], layout)?)
        }
        _ => Err(format!(
            "resizes by the factors {factors:?}, which are not whole numbers of image axes"
        )
        .into()),
    }
}
