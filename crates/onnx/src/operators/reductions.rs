//! Sums and means over axes of each example, and softmax.

use super::{one, value};
use crate::array::{Array, Reason};
use crate::import::Importer;
use crate::movement::Movement;
use crate::operand::{Call, Operand, Value, axes, axis};
use crate::plan::{Function, Operation};

impl Importer<'_> {
    /// The sum or mean over axes of the file, which stay as one element.
    pub(super) fn reduced(
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

    /// The largest over axes of the file, which stay as one element; that of the last axis first.
    fn largest(
        &mut self,
        call: &Call<'_>,
        argument: &Value,
        places: &[usize],
    ) -> Result<Value, Reason> {
        let mut largest = argument.clone();
        for &place in places.iter().rev() {
            let extent = largest.layout.axes[place];
            self.charge_windows(1, extent, extent)?;
            let operation = Operation::Largest {
                axis: largest.layout.position(place)?,
                windows: vec![(0..extent as u32).collect()],
            };
            let layout = largest.layout.with(place, 1);
            largest = self.push(call, operation, &[largest.number], layout)?;
        }
        Ok(largest)
    }

    /// What a reduction over axes makes of a value.
    fn reduction(
        &mut self,
        call: &Call<'_>,
        argument: &Value,
        places: &[usize],
    ) -> Result<Value, Reason> {
        let square = Function::Power { exponent: 2.0 };
        match call.node.op_type.as_str() {
            "ReduceSum" => self.reduced(call, argument, places, false),
            "ReduceMean" => self.reduced(call, argument, places, true),
            "ReduceMax" => self.largest(call, argument, places),
            "ReduceMin" => {
                let negative = self.push_line(call, argument, -1.0, 0.0)?;
                let largest = self.largest(call, &negative, places)?;
                self.push_line(call, &largest, -1.0, 0.0)
            }
            "ReduceL1" => {
                let absolute = self.push_function(call, Function::Abs, argument)?;
                self.reduced(call, &absolute, places, false)
            }
            "ReduceSumSquare" => {
                let squares = self.push_function(call, square, argument)?;
                self.reduced(call, &squares, places, false)
            }
            "ReduceL2" => {
                let squares = self.push_function(call, square, argument)?;
                let sum = self.reduced(call, &squares, places, false)?;
                self.push_function(call, Function::Sqrt, &sum)
            }
            // m + log Σ exp(x - m), with m the largest.
            "ReduceLogSumExp" => {
                let largest = Operand::Value(self.largest(call, argument, places)?);
                let negative = self.negated(call, &largest)?;
                let argument = Operand::Value(argument.clone());
                let below = self.sum_of(call, &argument, &negative)?;
                let below = self.materialize(call, &below)?;
                let powers = self.push_function(call, Function::Exp, &below)?;
                let sum = self.reduced(call, &powers, places, false)?;
                let logarithm = Operand::Value(self.push_function(call, Function::Log, &sum)?);
                let sum = self.sum_of(call, &largest, &logarithm)?;
                self.materialize(call, &sum)
            }
            _ => Err("reduces what depends on the data".into()),
        }
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
    let reduced = match operand {
        Operand::Constant(array) => {
            Operand::Constant(constant(array, &places, &call.node.op_type)?)
        }
        other => {
            let argument = importer.materialize(call, other)?;
            Operand::Value(importer.reduction(call, &argument, &places)?)
        }
    };
    if call.int("keepdims", 1) != 0 {
        return one(reduced);
    }
    one(importer.squeezed(call, &reduced, &places)?)
}

fn constant(array: &Array, places: &[usize], operator: &str) -> Result<Array, Reason> {
    let fold = |values: &[f64]| {
        let values = values.iter().copied();
        let count = values.len() as f64;
        Some(match operator {
            "ReduceSum" => values.sum(),
            "ReduceMean" => values.sum::<f64>() / count,
            "ReduceMax" => values.reduce(f64::max)?,
            "ReduceMin" => values.reduce(f64::min)?,
            "ReduceProd" => values.product(),
            "ReduceL1" => values.map(f64::abs).sum(),
            "ReduceSumSquare" => values.map(|value| value * value).sum(),
            "ReduceL2" => values.map(|value| value * value).sum::<f64>().sqrt(),
            _ => return None,
        })
    };
    // The axes that are summed behind the others.
    let kept = (0..array.shape.len()).filter(|place| !places.contains(place));
    let perm: Vec<usize> = kept.chain(places.iter().copied()).collect();
    let turned = Movement::Transpose(perm).apply(array)?;
    let count: usize = places.iter().map(|&place| array.shape[place]).product();
    let folded: Option<Vec<f64>> = turned.values.chunks(count.max(1)).map(fold).collect();
    let folded = folded.ok_or("cannot be computed of constants")?;
    let mut shape = array.shape.clone();
    for &place in places {
        shape[place] = 1;
    }
    Ok(Array::new(shape, array.kind, folded))
}

/// Sums up to each element of an axis, or from it on.
pub(super) fn running_sum(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let operand = call.input(0)?;
    let shape = operand.shape(importer.marker);
    let number = call
        .integers(1)?
        .and_then(|numbers| numbers.first().copied());
    let place = axis(number.ok_or("has no axis")?, shape.len())?;
    let extent = shape[place];
    importer.charge_windows(extent, extent.div_ceil(2), extent)?;
    let is_set = |name: &str| call.int(name, 0) != 0;
    let margin = usize::from(is_set("exclusive"));
    let window = |index: usize| match is_set("reverse") {
        true => index + margin..extent,
        false => 0..(index + 1).saturating_sub(margin),
    };
    if let Operand::Constant(array) = operand {
        // The axis last, and back.
        let mut perm: Vec<usize> = (0..shape.len()).collect();
        perm.swap(place, shape.len() - 1);
        let turned = Movement::Transpose(perm.clone()).apply(array)?;
        let lines = turned.values.chunks(extent.max(1));
        let sums = lines.flat_map(|line| (0..extent).map(|index| line[window(index)].iter().sum()));
        let sums = Array::new(turned.shape.clone(), array.kind, sums.collect());
        return one(Operand::Constant(Movement::Transpose(perm).apply(&sums)?));
    }
    let argument = importer.materialize(call, operand)?;
    let windows = (0..extent).map(|index| window(index).map(|at| (at as u32, 1.0)).collect());
    let operation = Operation::WeightedSums {
        axis: argument.layout.position(place)?,
        windows: windows.collect(),
    };
    value(importer.push(call, operation, &[argument.number], argument.layout)?)
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
