//! Elements by several numbers each, and sequences of parts.

use super::one;
use crate::array::{Array, Reason};
use crate::import::Importer;
use crate::operand::{Call, Operand, axis};

/// The place in row-major order of the element with these numbers, counted from behind where they are negative.
fn place_of(numbers: &[f64], extents: &[usize]) -> Option<usize> {
    let mut axes = numbers.iter().zip(extents);
    axes.try_fold(0, |place: usize, (&number, &extent)| {
        let number = if number < 0.0 {
            number + extent as f64
        } else {
            number
        };
        let is_within = number >= 0.0 && number < extent as f64;
        is_within.then_some(place * extent + number as usize)
    })
}

/// Elements by known numbers of several axes at once.
pub(super) fn gather_nd(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let (operand, indices) = (call.input(0)?, importer.known(call.input(1)?)?);
    let shape = operand.shape(importer.marker);
    let [outer @ .., tuple] = &indices.shape[..] else {
        return Err("has no numbers of elements".into());
    };
    if call.int("batch_dims", 0) != 0 || *tuple == 0 || *tuple > shape.len() {
        return Err(format!("takes elements by {tuple} numbers of {} axes", shape.len()).into());
    }
    let (counted, kept) = shape.split_at(*tuple);
    let places = indices.values.chunks(*tuple);
    let places: Option<Vec<usize>> = places.map(|numbers| place_of(numbers, counted)).collect();
    let places = places.ok_or("takes an element that its axes do not have")?;
    let flat = [&[counted.iter().product()], kept].concat();
    let flat = importer.reshaped(call, operand, &flat)?;
    let taken = importer.taken(call, &flat, 0, places)?;
    one(importer.reshaped(call, &taken, &[outer, kept].concat())?)
}

/// A constant with other elements, or slices, at these places.
pub(super) fn scatter_nd(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let [data, indices, updates] =
        [0, 1, 2].map(|index| call.input(index).and_then(|input| importer.known(input)));
    let (data, indices, updates) = (data?, indices?, updates?);
    let tuple = indices.shape.last().copied().unwrap_or(0);
    if call.text("reduction", "none") != "none" || tuple == 0 || tuple > data.shape.len() {
        return Err("adds to elements, which is not there".into());
    }
    let (counted, kept) = data.shape.split_at(tuple);
    let width: usize = kept.iter().product();
    let mut values = data.values.to_vec();
    for (numbers, update) in indices
        .values
        .chunks(tuple)
        .zip(updates.values.chunks(width.max(1)))
    {
        let target = place_of(numbers, counted).map(|place| place * width);
        let target = target.and_then(|start| values.get_mut(start..start + width));
        let target = target.filter(|target| target.len() == update.len());
        target
            .ok_or("sets an element that its axes do not have")?
            .copy_from_slice(update);
    }
    one(Operand::Constant(Array::new(
        data.shape.clone(),
        data.kind,
        values,
    )))
}

/// Most parts of a sequence.
const MAX_PARTS: usize = 4096;

/// Parts of an axis, of one size or of these.
pub(super) fn split_to_sequence(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let operand = call.input(0)?;
    let shape = operand.shape(importer.marker);
    let place = axis(call.int("axis", 0), shape.len())?;
    let sizes = call.known(1)?;
    let extent = shape[place];
    let sizes: Vec<usize> = match sizes {
        Some(sizes) if !sizes.shape.is_empty() => sizes
            .as_integers()
            .into_iter()
            .map(|size| size.max(0) as usize)
            .collect(),
        sizes => {
            let size = sizes.and_then(Array::scalar).unwrap_or(1.0).max(1.0) as usize;
            let starts = (0..extent).step_by(size).take(MAX_PARTS + 1);
            starts.map(|start| size.min(extent - start)).collect()
        }
    };
    if sizes.len() > MAX_PARTS {
        return Err(format!("cuts an axis into {} parts", sizes.len()).into());
    }
    let mut parts = Vec::with_capacity(sizes.len());
    let mut start = 0usize;
    for size in sizes {
        let end = start.checked_add(size).filter(|&end| end <= extent);
        let end = end.ok_or("cuts more elements than there are")?;
        let part = importer.sliced(call, operand, place, (start, 1, size))?;
        parts.push(match call.optional(1) {
            None if call.int("keepdims", 1) == 0 => importer.squeezed(call, &part, &[place])?,
            _ => part,
        });
        start = end;
    }
    one(Operand::Sequence(parts))
}

/// One of a sequence.
pub(super) fn sequence_at(_: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let Operand::Sequence(parts) = call.input(0)? else {
        return Err("takes one of what is no sequence".into());
    };
    let number = call
        .integers(1)?
        .and_then(|numbers| numbers.first().copied());
    let place = axis(number.ok_or("has no number")?, parts.len())?;
    one(parts[place].clone())
}
