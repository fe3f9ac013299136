//! Elements around others: constant, repeated, reflected; or cut off.

use super::{one, value};
use crate::array::Reason;
use crate::import::Importer;
use crate::operand::{Call, Operand, axis};
use crate::plan::Operation;

/// The places along an axis of `extent` elements that a padding by its own elements takes.
fn repeated_places(
    mode: &str,
    extent: usize,
    [before, behind]: [usize; 2],
) -> Result<Vec<usize>, Reason> {
    let last = extent.saturating_sub(1);
    let room = match mode {
        "reflect" => last,
        "wrap" => extent,
        "edge" => crate::array::elements(&[extent.saturating_add(before.max(behind))])?,
        _ => return Err(format!("pads in the mode {mode}").into()),
    };
    if extent == 0 || before > room || behind > room {
        return Err(format!("pads {extent} elements by {before} and {behind} of them").into());
    }
    let place = |index: usize| match (index.checked_sub(before), mode) {
        (Some(inside), _) if inside < extent => inside,
        (None, "reflect") => before - index,
        (Some(beyond), "reflect") => 2 * last - beyond,
        (None, "wrap") => extent - (before - index),
        (Some(beyond), "wrap") => beyond - extent,
        (None, _) => 0,
        (Some(_), _) => last,
    };
    let count = crate::array::elements(&[before + extent + behind])?;
    Ok((0..count).map(place).collect())
}

pub(super) fn pad(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let mode = call.text("mode", "constant");
    let mut operand = call.input(0)?.clone();
    let rank = operand.shape(importer.marker).len();
    let pads = call.integers(1)?.ok_or("has no pads")?;
    let number = call
        .known(2)?
        .map(|array| array.scalar().ok_or("pads with several numbers"));
    let number = number.transpose()?.unwrap_or(0.0);
    let places = match call.integers(3)? {
        Some(numbers) => numbers
            .iter()
            .map(|&number| axis(number, rank))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * places.len() {
        return Err(format!("has {} pads of {} axes", pads.len(), places.len()).into());
    }
    let mut added = Vec::new();
    for (index, &place) in places.iter().enumerate() {
        // What is below zero is cut off.
        let pair = [pads[index], pads[index + places.len()]];
        let [cut, rest] = pair.map(|pad| usize::try_from(pad.saturating_neg()).unwrap_or(0));
        let pair = pair.map(|pad| usize::try_from(pad).unwrap_or(0));
        let extent = operand.shape(importer.marker)[place];
        let left = cut
            .checked_add(rest)
            .and_then(|cut| extent.checked_sub(cut));
        let left = left.ok_or("cuts off more than there is")?;
        operand = importer.sliced(call, &operand, place, (cut, 1, left))?;
        if pair != [0, 0] && mode == "constant" {
            added.push((place, pair));
        } else if pair != [0, 0] {
            let indices = repeated_places(mode, left, pair)?;
            operand = importer.taken(call, &operand, place, indices)?;
        }
    }
    if added.is_empty() {
        return one(operand);
    }
    let argument = importer.materialize(call, &operand)?;
    let mut layout = argument.layout.clone();
    let mut own = vec![(0, 0); layout.example().len()];
    for (place, [before, behind]) in added {
        let extent = [before, behind]
            .into_iter()
            .try_fold(layout.axes[place], usize::checked_add);
        own[layout.position(place)?] = (before, behind);
        layout.axes[place] = extent.ok_or("has pads that overflow")?;
    }
    let operation = Operation::Pad {
        pads: own,
        value: number,
    };
    value(importer.push(call, operation, &[argument.number], layout)?)
}
