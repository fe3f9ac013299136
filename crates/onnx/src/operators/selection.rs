//! Operators that take elements apart and put them side by side.

use super::{one, value};
use crate::array::{Array, Reason};
use crate::import::Importer;
use crate::layout::Layout;
use crate::movement::Movement;
use crate::operand::{Call, Held, Operand, Value, axis};
use crate::plan::Operation;
use crate::weights::Role;

pub(super) fn slice(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let mut operand = call.input(0)?.clone();
    let (starts, ends) = (call.integers(1)?, call.integers(2)?);
    let (starts, ends) = starts.zip(ends).ok_or("has no bounds")?;
    let places = call
        .integers(3)?
        .unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = call.integers(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), places.len(), steps.len()] != [starts.len(); 3] {
        return Err("has other numbers of starts than of ends, axes or steps".into());
    }
    for index in 0..starts.len() {
        let shape = operand.shape(importer.marker);
        let place = axis(places[index], shape.len())?;
        let (extent, step) = (shape[place] as i64, steps[index]);
        let from_end = |bound: i64| {
            if bound < 0 {
                bound.saturating_add(extent)
            } else {
                bound
            }
        };
        let (start, end) = (from_end(starts[index]), from_end(ends[index]));
        let (start, span) = match step {
            1.. => {
                let start = start.clamp(0, extent);
                (start, end.clamp(0, extent) - start)
            }
            0 => return Err("has a step of zero".into()),
            _ => {
                let start = start.clamp(-1, extent - 1);
                (start, start - end.clamp(-1, extent - 1))
            }
        };
        let count = (span.max(0) as u64).div_ceil(step.unsigned_abs());
        let bounds = (start.max(0) as usize, step as isize, count as usize);
        operand = importer.sliced(call, &operand, place, bounds)?;
    }
    one(operand)
}

pub(super) fn split(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let operand = call.input(0)?;
    let shape = operand.shape(importer.marker);
    let place = axis(call.int("axis", 0), shape.len())?;
    let parts = call.node.output.len();
    let sizes: Vec<usize> = match call.integers(1)? {
        Some(sizes) => {
            let sizes = sizes.iter().map(|&size| usize::try_from(size).ok());
            sizes
                .collect::<Option<_>>()
                .ok_or("has parts of less than nothing")?
        }
        None => {
            // Equal parts, the last of which may be smaller.
            let size = shape[place].div_ceil(parts.max(1));
            (0..parts)
                .map(|part| size.min(shape[place].saturating_sub(part * size)))
                .collect()
        }
    };
    let sum = sizes
        .iter()
        .try_fold(0, |sum: usize, &size| sum.checked_add(size));
    if sum != Some(shape[place]) || sizes.len() != parts {
        return Err(format!("cuts {} elements into parts of {sizes:?}", shape[place]).into());
    }
    let mut start = 0;
    let mut cut = Vec::with_capacity(parts);
    for size in sizes {
        cut.push(importer.sliced(call, operand, place, (start, 1, size))?);
        start += size;
    }
    Ok(cut)
}

impl Importer<'_> {
    /// These elements of an axis.
    pub(super) fn taken(
        &mut self,
        call: &Call<'_>,
        operand: &Operand,
        place: usize,
        indices: Vec<usize>,
    ) -> Result<Operand, Reason> {
        let count = indices.len();
        let is_run = indices.windows(2).all(|pair| pair[1] == pair[0] + 1);
        if let (Some(&first), true) = (indices.first(), is_run) {
            return self.sliced(call, operand, place, (first, 1, count));
        }
        let movement = |axis: usize| Movement::Take {
            axis,
            indices: indices.clone(),
        };
        self.moved(
            call,
            operand,
            || movement(place),
            |layout| Ok((movement(layout.position(place)?), layout.with(place, count))),
        )
    }
}

/// Elements of an axis by numbers that are known, or rows of a weight by those in a value.
pub(super) fn gather(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let (operand, indices) = (call.input(0)?, call.input(1)?);
    let shape = operand.shape(importer.marker);
    let place = axis(call.int("axis", 0), shape.len())?;
    if let (Operand::Weight(held), Operand::Value(ids)) = (operand, indices) {
        return embedding(importer, call, held, ids, place);
    }
    let indices = importer.known(indices)?;
    let extent = shape[place] as i64;
    let counted = indices.as_integers().into_iter().map(|index| {
        let index = if index < 0 {
            index.saturating_add(extent)
        } else {
            index
        };
        let index = usize::try_from(index)
            .ok()
            .filter(|&index| index < shape[place]);
        index.ok_or_else(|| {
            Reason::from(format!(
                "takes an element that an axis of {extent} does not have"
            ))
        })
    });
    let counted = counted.collect::<Result<Vec<_>, _>>()?;
    let taken = importer.taken(call, operand, place, counted)?;
    // One axis becomes those of the indices.
    match indices.shape.len() {
        1 => one(taken),
        0 => one(importer.squeezed(call, &taken, &[place])?),
        _ => {
            let shape = [&shape[..place], &indices.shape, &shape[place + 1..]].concat();
            one(importer.reshaped(call, &taken, &shape)?)
        }
    }
}

fn embedding(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
    held: &Held,
    ids: &Value,
    place: usize,
) -> Result<Vec<Operand>, Reason> {
    let &[_, width] = &held.shape[..] else {
        return Err("looks up in other than a matrix".into());
    };
    if place != 0 || !held.movements.is_empty() {
        return Err("looks up in other than the rows of a weight".into());
    }
    let weight = importer.parameter(call, held, Some(Role::Weight))?;
    let mut layout = ids.layout.clone();
    layout.axes.push(width);
    value(importer.push(call, Operation::Embedding(weight), &[ids.number], layout)?)
}

pub(super) fn concat(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let parts = (0..call.inputs.len()).map(|index| call.input(index));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    let first = parts.first().ok_or("has no inputs")?;
    let rank = first.shape(importer.marker).len();
    let place = axis(call.int("axis", 0), rank)?;
    if parts
        .iter()
        .all(|part| matches!(part, Operand::Constant(_)))
    {
        return one(Operand::Constant(concatenated(importer, &parts, place)?));
    }
    let mut values = Vec::with_capacity(parts.len());
    for part in parts {
        values.push(importer.materialize(call, part)?);
    }
    // But for the axis in which they are put side by side all are broadcast to what they have in common.
    let alike = |layout: &Layout| match layout.axes.len() == rank {
        true => Ok(layout.with(place, 1)),
        false => Err(Reason::from("has inputs of other numbers of axes")),
    };
    let mut common = alike(&values[0].layout)?;
    for value in &values[1..] {
        common = common.joined(&alike(&value.layout)?)?;
    }
    let position = common.position(place)?;
    let mut extent = 0;
    let mut numbers = Vec::with_capacity(values.len());
    for value in &values {
        let own = value.layout.axes[place];
        extent += own;
        numbers.push(
            importer
                .expanded(call, value, common.with(place, own))?
                .number,
        );
    }
    let operation = Operation::Concat { axis: position };
    value(importer.push(call, operation, &numbers, common.with(place, extent))?)
}

fn concatenated(
    importer: &Importer<'_>,
    parts: &[&Operand],
    place: usize,
) -> Result<Array, Reason> {
    let arrays = parts
        .iter()
        .map(|part| importer.known(part))
        .collect::<Result<Vec<_>, _>>()?;
    let mut shape = arrays[0].shape.clone();
    let others = |shape: &[usize]| {
        [
            &shape[..place.min(shape.len())],
            shape.get(place + 1..).unwrap_or_default(),
        ]
        .concat()
    };
    if arrays
        .iter()
        .any(|array| array.shape.len() != shape.len() || others(&array.shape) != others(&shape))
    {
        return Err("has inputs whose other axes differ".into());
    }
    shape[place] = arrays.iter().map(|array| array.shape[place]).sum();
    let outer: usize = shape[..place].iter().product();
    let mut values = Vec::with_capacity(crate::array::elements(&shape)?);
    for index in 0..outer {
        for array in &arrays {
            let block = array.values.len() / outer;
            values.extend_from_slice(&array.values[index * block..][..block]);
        }
    }
    Ok(Array::new(shape, arrays[0].kind, values))
}
