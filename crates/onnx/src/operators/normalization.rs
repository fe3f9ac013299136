//! Normalisations, and dropout.

use super::value;
use crate::array::Reason;
use crate::import::Importer;
use crate::operand::{Call, Held, Operand, axis};
use crate::plan::{Operation, WeightId};
use crate::weights::Role;

/// PyTorch's and ONNX's own.
const EPSILON: f64 = 1e-5;

fn held<'c>(call: &'c Call<'_>, index: usize) -> Result<&'c Held, Reason> {
    match call.input(index)? {
        Operand::Weight(held) => Ok(held),
        _ => Err("has no parameters: export it with affine=True".into()),
    }
}

impl Importer<'_> {
    /// The parameters of inputs 1 and 2, vectors of `channels` elements.
    fn affine_of(
        &mut self,
        call: &Call<'_>,
        shape: &[usize],
    ) -> Result<(WeightId, WeightId), Reason> {
        let (weight, bias) = (held(call, 1)?, held(call, 2)?);
        if weight.shape != shape || bias.shape != shape {
            return Err(format!("normalises {shape:?} with a scale of {:?}", weight.shape).into());
        }
        let weight = self.parameter(call, weight, Some(Role::Weight))?;
        Ok((weight, self.parameter(call, bias, Some(Role::Bias))?))
    }
}

/// The channels of a value whose batch is in front.
fn channels(importer: &Importer<'_>, call: &Call<'_>) -> Result<usize, Reason> {
    let argument = call.value(0)?;
    if argument.layout.dropped() != Some(0) {
        return Err("needs the batch axis in front, and examples apart".into());
    }
    let shape = importer.plan.shape(argument.number);
    shape
        .first()
        .copied()
        .ok_or("needs an axis of channels".into())
}

pub(super) fn batch(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let channels = channels(importer, call)?;
    let (weight, bias) = importer.affine_of(call, &[channels])?;
    let statistics = [
        importer.known(call.input(3)?)?,
        importer.known(call.input(4)?)?,
    ];
    if statistics
        .iter()
        .any(|statistic| statistic.shape != [channels])
    {
        return Err("has running statistics of other numbers of channels".into());
    }
    let argument = call.value(0)?;
    let operation = Operation::BatchNorm {
        weight,
        bias,
        statistics,
        epsilon: call.float("epsilon", EPSILON),
    };
    value(importer.push(call, operation, &[argument.number], argument.layout.clone())?)
}

pub(super) fn layer(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let argument = call.value(0)?;
    let rank = argument.layout.axes.len();
    let first = axis(call.int("axis", -1), rank)?;
    if argument
        .layout
        .batch
        .is_some_and(|batch| batch.axis >= first)
    {
        return Err("normalises over the batch axis".into());
    }
    let shape = argument.layout.axes[first..].to_vec();
    let mut parameter = |index: usize, role: Role, nothing: f64| match call.optional(index) {
        None => Ok(None),
        Some(Operand::Constant(array)) if array.is_all(nothing) => Ok(None),
        Some(Operand::Weight(held)) if held.shape == shape && held.movements.is_empty() => {
            importer.parameter(call, held, Some(role)).map(Some)
        }
        Some(_) => Err(Reason::from(
            "has a scale or shift that is no parameter of its axes",
        )),
    };
    let weight = parameter(1, Role::Weight, 1.0)?;
    let bias = parameter(2, Role::Bias, 0.0)?;
    let operation = Operation::LayerNorm {
        weight,
        bias,
        axes: shape.len(),
        epsilon: call.float("epsilon", EPSILON),
    };
    value(importer.push(call, operation, &[argument.number], argument.layout.clone())?)
}

/// Each channel by its own mean and variance in the example: as many groups as channels.
pub(super) fn instance(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let channels = channels(importer, call)?;
    let nothing = |index: usize, number: f64| match call.input(index) {
        Ok(Operand::Constant(array)) => array.is_all(number),
        _ => false,
    };
    let affine = if nothing(1, 1.0) && nothing(2, 0.0) {
        None
    } else {
        Some(importer.affine_of(call, &[channels])?)
    };
    let argument = call.value(0)?;
    let operation = Operation::GroupNorm {
        groups: channels,
        affine,
        epsilon: call.float("epsilon", EPSILON),
    };
    value(importer.push(call, operation, &[argument.number], argument.layout.clone())?)
}

pub(super) fn group(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let channels = channels(importer, call)?;
    let groups = usize::try_from(call.int("num_groups", 0)).unwrap_or(0);
    if groups == 0 || channels % groups != 0 {
        return Err(format!("cuts {channels} channels into {groups} groups").into());
    }
    if importer.source.opset < 21 {
        return Err("scales groups and not channels, as before opset 21".into());
    }
    let affine = Some(importer.affine_of(call, &[channels])?);
    let argument = call.value(0)?;
    let operation = Operation::GroupNorm {
        groups,
        affine,
        epsilon: call.float("epsilon", EPSILON),
    };
    value(importer.push(call, operation, &[argument.number], argument.layout.clone())?)
}

pub(super) fn dropout(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let input = call.input(0)?;
    let rate = call.known(1)?.and_then(|array| array.scalar());
    let (Operand::Value(argument), Some(rate)) =
        (input, rate.filter(|rate| (0.0..1.0).contains(rate)))
    else {
        return super::one(input.clone());
    };
    let operation = Operation::Dropout { rate };
    value(importer.push(call, operation, &[argument.number], argument.layout.clone())?)
}
