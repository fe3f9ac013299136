//! Sums and means over axes of each example, and softmax.

use super::{one, value};
use crate::array::{Array, Reason};
use crate::import::Importer;
use crate::movement::Movement;
use crate::operand::{Call, Operand, Value, axes, axis};
use crate::plan::Operation;

impl Importer<'_> {
    /// The sum or mean over axes of the file, which stay as one element.
    fn reduced(
        &mut self,
        call: &Call<'_>,
        argument: &Value,
        places: &[usize],
        is_mean: bool,
    ) -> Result<Value, Reason> {
        let mut layout = argument.layout.clone();
        let positions = places.iter().map(|&place| layout.position(place));
        let axes = positions.collect::<Result<Vec<_>, _>>()?;
        for &place in places {
            layout.axes[place] = 1;
        }
        if axes.is_empty() {
            return Ok(argument.clone());
        }
        let operation = Operation::Reduce { axes, is_mean };
        self.push(call, operation, &[argument.number], layout)
    }
}

pub(super) fn reduce(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let operand = call.input(0)?;
    let rank = operand.shape(importer.marker).len();
    let wanted = match call.integers(1)? {
        Some(wanted) => Some(wanted),
        None => call.ints("axes").map(<[i64]>::to_vec),
    };
    let places = match wanted.filter(|wanted| !wanted.is_empty()) {
        Some(wanted) => axes(&wanted, rank)?,
        None if call.int("noop_with_empty_axes", 0) != 0 => return one(operand.clone()),
        None => (0..rank).collect(),
    };
    let is_mean = call.node.op_type == "ReduceMean";
    let reduced = match operand {
        Operand::Constant(array) => Operand::Constant(constant(array, &places, is_mean)?),
        other => {
            let argument = importer.materialize(call, other)?;
            Operand::Value(importer.reduced(call, &argument, &places, is_mean)?)
        }
    };
    if call.int("keepdims", 1) != 0 {
        return one(reduced);
    }
    one(importer.squeezed(call, &reduced, &places)?)
}

fn constant(array: &Array, places: &[usize], is_mean: bool) -> Result<Array, Reason> {
    // The axes that are summed behind the others.
    let kept = (0..array.shape.len()).filter(|place| !places.contains(place));
    let perm: Vec<usize> = kept.chain(places.iter().copied()).collect();
    let turned = Movement::Transpose(perm).apply(array)?;
    let count: usize = places.iter().map(|&place| array.shape[place]).product();
    let divisor = if is_mean { count as f64 } else { 1.0 };
    let sums = turned.values.chunks(count.max(1));
    let sums = sums
        .map(|summed| summed.iter().sum::<f64>() / divisor)
        .collect();
    let mut shape = array.shape.clone();
    for &place in places {
        shape[place] = 1;
    }
    Ok(Array::new(shape, array.kind, sums))
}

/// The mean of each channel, in axes of one element.
pub(super) fn global_average(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let argument = call.value(0)?;
    let places: Vec<usize> = (2..argument.layout.axes.len()).collect();
    value(importer.reduced(call, argument, &places, true)?)
}

pub(super) fn softmax(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let argument = call.value(0)?;
    let rank = argument.layout.axes.len();
    let place = axis(call.int("axis", -1), rank)?;
    argument.layout.position(place)?;
    let operation = match call.node.op_type.as_str() {
        "Softmax" => Operation::Softmax,
        _ => Operation::LogSoftmax,
    };
    // The axis changes its place with the last, and back.
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(place, rank - 1);
    let Operand::Value(turned) = importer.transposed(call, call.input(0)?, &perm)? else {
        return Err("acts on what does not depend on the data".into());
    };
    let softmax = importer.push(call, operation, &[turned.number], turned.layout)?;
    one(importer.transposed(call, &Operand::Value(softmax), &perm)?)
}
