//! What is computed while a file is read: extents, masks, scales.

use super::one;
use crate::array::{Array, Kind, Reason, elements};
use crate::import::Importer;
use crate::operand::{Call, Operand};
use crate::tensor;

type Combination = fn(f64, f64) -> f64;

/// The function of two numbers that `operator` is, and the kind of its result where that is not its inputs'.
fn function(operator: &str) -> Option<(Combination, Option<Kind>)> {
    Some(match operator {
        "Add" => (|a, b| a + b, None),
        "Sub" => (|a, b| a - b, None),
        "Mul" => (|a, b| a * b, None),
        "Div" => (|a, b| a / b, None),
        "Pow" => (f64::powf, None),
        "Max" => (f64::max, None),
        "Min" => (f64::min, None),
        // Of integers, with the sign of the divisor.
        "Mod" => (|a, b| a - b * (a / b).floor(), None),
        "Equal" => (|a, b| f64::from(u8::from(a == b)), Some(Kind::Bool)),
        "Less" => (|a, b| f64::from(u8::from(a < b)), Some(Kind::Bool)),
        "LessOrEqual" => (|a, b| f64::from(u8::from(a <= b)), Some(Kind::Bool)),
        "Greater" => (|a, b| f64::from(u8::from(a > b)), Some(Kind::Bool)),
        "GreaterOrEqual" => (|a, b| f64::from(u8::from(a >= b)), Some(Kind::Bool)),
        "And" => (f64::min, Some(Kind::Bool)),
        "Or" => (f64::max, Some(Kind::Bool)),
        "Xor" => (|a, b| (a - b).abs(), Some(Kind::Bool)),
        _ => return None,
    })
}

/// Two known operands, combined by the operator of the call.
pub(super) fn combine(call: &Call<'_>, left: &Array, right: &Array) -> Result<Array, Reason> {
    let operator = call.node.op_type.as_str();
    let (function, kind) = function(operator).ok_or("cannot be computed of constants")?;
    let kind = kind.unwrap_or(left.kind);
    let result = left.combine(right, kind, function)?;
    // Integers are divided towards zero.
    Ok(match kind {
        Kind::Int => result.map(kind, f64::trunc),
        _ => result,
    })
}

/// An operator of two that has no derivative.
pub(super) fn binary(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let (left, right) = (
        importer.known(call.input(0)?)?,
        importer.known(call.input(1)?)?,
    );
    one(Operand::Constant(combine(call, &left, &right)?))
}

/// Guards of attention against rows that are masked throughout: a value here is a number.
pub(super) fn is_nan(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    one(Operand::Constant(match call.input(0)? {
        Operand::Value(_) => Array::new(Vec::new(), Kind::Bool, vec![0.0]),
        other => importer
            .known(other)?
            .map(Kind::Bool, |value| f64::from(u8::from(value.is_nan()))),
    }))
}

pub(super) fn constant(_: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let float = call
        .node
        .attribute
        .iter()
        .find_map(|attribute| match attribute.name.as_str() {
            "value_float" => attribute.f,
            _ => None,
        });
    let array = if let Some(tensor) = call.tensor("value") {
        tensor::array(tensor, None)?
    } else if let Some(value) = float {
        Array::new(Vec::new(), Kind::Float, vec![tensor::decimal(value)])
    } else if let Some(values) = call.floats("value_floats") {
        let values = values
            .iter()
            .map(|&value| f64::from(value))
            .collect::<Vec<_>>();
        Array::new(vec![values.len()], Kind::Float, values)
    } else if let Some(values) = call.ints("value_ints") {
        Array::integers(values.iter().copied())
    } else {
        let value = call.int("value_int", i64::MIN);
        if value == i64::MIN {
            return Err("has no numbers".into());
        }
        Array::new(Vec::new(), Kind::Int, vec![value as f64])
    };
    one(Operand::Constant(array))
}

/// A shape in which the examples of the batch are one: what is filled alike is alike for all of them.
pub(super) fn without_batch(importer: &Importer<'_>, shape: &[i64]) -> Result<Vec<usize>, Reason> {
    let extent = |(axis, &extent): (usize, &i64)| {
        let extent = usize::try_from(extent).map_err(|_| "has an extent below zero")?;
        Ok(if importer.is_batch(axis, extent) {
            1
        } else {
            extent
        })
    };
    shape.iter().enumerate().map(extent).collect()
}

pub(super) fn of_shape(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let shape = call.integers(0)?.unwrap_or_default();
    let shape = without_batch(importer, &shape)?;
    let value = call
        .tensor("value")
        .map(|tensor| tensor::array(tensor, None))
        .transpose()?;
    let (kind, value) = match &value {
        Some(array) => (
            array.kind,
            array.scalar().ok_or("has several values to fill with")?,
        ),
        None => (Kind::Float, 0.0),
    };
    let values = vec![value; elements(&shape)?];
    one(Operand::Constant(Array::new(shape, kind, values)))
}

pub(super) fn range(_: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let bound = |index: usize| {
        let array = call.known(index)?.ok_or("has three inputs")?;
        Ok::<_, Reason>((
            array.scalar().ok_or("has bounds of several numbers")?,
            array.kind,
        ))
    };
    let ((start, kind), (end, _), (step, _)) = (bound(0)?, bound(1)?, bound(2)?);
    let count = ((end - start) / step).ceil().max(0.0);
    // Of a step of zero no number.
    let count = if count.is_nan() {
        usize::MAX
    } else {
        count as usize
    };
    let count = elements(&[count])?;
    let values = (0..count)
        .map(|index| start + index as f64 * step)
        .collect();
    one(Operand::Constant(Array::new(vec![count], kind, values)))
}

pub(super) fn shape(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let shape = call.input(0)?.shape(importer.marker);
    let rank = shape.len() as i64;
    let place = |axis: i64| {
        (if axis < 0 {
            axis.saturating_add(rank)
        } else {
            axis
        })
        .clamp(0, rank) as usize
    };
    let (start, end) = (place(call.int("start", 0)), place(call.int("end", rank)));
    let extents = shape.get(start..end).unwrap_or_default();
    let extents = extents.iter().map(|&extent| extent as i64);
    one(Operand::Constant(Array::integers(extents)))
}

pub(super) fn size(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let shape = call.input(0)?.shape(importer.marker);
    let size = shape.iter().map(|&extent| extent as f64).product();
    one(Operand::Constant(Array::new(
        Vec::new(),
        Kind::Int,
        vec![size],
    )))
}

/// The upper or lower triangle of matrices, the rest zero.
pub(super) fn triangle(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let array = importer.known(call.input(0)?)?;
    let [.., rows, columns] = array.shape[..] else {
        return Err("acts on matrices".into());
    };
    let diagonal = call
        .integers(1)?
        .and_then(|numbers| numbers.first().copied())
        .unwrap_or(0);
    let is_upper = call.int("upper", 1) != 0;
    let kept = |place: usize| {
        let (row, column) = (place / columns % rows, place % columns);
        let offset = (column as i64 - row as i64).saturating_sub(diagonal);
        if is_upper { offset >= 0 } else { offset <= 0 }
    };
    let values = array.values.iter().enumerate();
    let values = values
        .map(|(place, &value)| if kept(place) { value } else { 0.0 })
        .collect();
    one(Operand::Constant(Array::new(
        array.shape.clone(),
        array.kind,
        values,
    )))
}
