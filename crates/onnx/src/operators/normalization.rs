//! Normalisations, and dropout.

use super::value;
use crate::array::Reason;
use crate::import::Importer;
use crate::names;
use crate::operand::{Call, Operand, axis};
use crate::plan::{Function, Operation, WeightId};
use crate::weights::Role;

/// PyTorch's and ONNX's own.
const EPSILON: f64 = 1e-5;

impl Importer<'_> {
    /// The parameters of inputs 1 and 2, vectors of this shape; none where they are ones and zeros that no module has.
    fn affine_of(
        &mut self,
        call: &Call<'_>,
        shape: &[usize],
    ) -> Result<Option<(WeightId, WeightId)>, Reason> {
        let (weight, bias) = (call.input(1)?, call.input(2)?);
        if self.is_filler(weight, 1.0)? && self.is_filler(bias, 0.0)? {
            return Ok(None);
        }
        let (Operand::Weight(weight), Operand::Weight(bias)) = (weight, bias) else {
            return Err("has a scale or shift that is no parameter as it is".into());
        };
        if weight.shape != shape || bias.shape != shape {
            return Err(format!("normalises {shape:?} with a scale of {:?}", weight.shape).into());
        }
        let weight = self.parameter(call, weight, Some(Role::Weight))?;
        let bias = self.parameter(call, bias, Some(Role::Bias))?;
        Ok(Some((weight, bias)))
    }

    /// Whether an exporter has put `number` in for a parameter that a module does not have.
    fn is_filler(&self, operand: &Operand, number: f64) -> Result<bool, Reason> {
        Ok(match operand {
            Operand::Constant(array) => array.is_all(number),
            Operand::Weight(held) => {
                !names::is_stated(&held.name) && self.known(operand)?.is_all(number)
            }
            _ => false,
        })
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
    let affine = importer.affine_of(call, &[channels])?;
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
    let module = |name: &str| name.rsplit_once('.').map(|(module, _)| module.to_owned());
    let name = match (affine, call.input(3)?) {
        (Some((weight, _)), _) => module(&importer.plan.weights[weight].name),
        (None, Operand::Weight(mean)) if !importer.is_uniform(mean.tensor)? => module(&mean.name),
        _ => call.module.clone(),
    };
    let operation = Operation::BatchNorm {
        name: name.unwrap_or_else(|| call.name().to_owned()),
        affine,
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

/// x / √(mean x² + ε) times a scale, over the last axes.
pub(super) fn root_mean_square(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let argument = call.value(0)?;
    let rank = argument.layout.axes.len();
    let places: Vec<usize> = (axis(call.int("axis", -1), rank)?..rank).collect();
    let square = importer.push_function(call, Function::Power { exponent: 2.0 }, argument)?;
    let mean = importer.reduced(call, &square, &places, true)?;
    let shifted = importer.push_line(call, &mean, 1.0, call.float("epsilon", EPSILON))?;
    let root = importer.push_function(call, Function::Power { exponent: -0.5 }, &shifted)?;
    let normalized = importer.product_of(call, call.input(0)?, &Operand::Value(root))?;
    super::one(importer.product_of(call, &normalized, call.input(1)?)?)
}

/// Each channel by its own mean and variance in the example: as many groups as channels.
pub(super) fn instance(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let channels = channels(importer, call)?;
    let affine = importer.affine_of(call, &[channels])?;
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
    let affine = importer.affine_of(call, &[channels])?;
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
