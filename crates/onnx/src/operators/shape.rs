//! Operators that give the same elements other axes: of constants at once, of weights when they are taken, of values as
//! steps.

use super::{constants, one, value};
use crate::array::{Reason, broadcast};
use crate::import::Importer;
use crate::layout::{Batch, Layout};
use crate::movement::Movement;
use crate::operand::{Call, Held, Operand, axes, axis};

pub(super) fn identity(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    one(match call.input(0)? {
        // The exporter gives parameters of equal values one initialiser: ones and zeros before training.
        Operand::Weight(held)
            if held.movements.is_empty() && importer.is_uniform(held.tensor)? =>
        {
            let name = call.node.output.first().cloned().unwrap_or_default();
            Operand::Weight(Held {
                name,
                ..held.clone()
            })
        }
        other => other.clone(),
    })
}

impl Importer<'_> {
    /// `movement` of a constant or a weight; `layout` is that of a value, whose example moves by `own`.
    pub(super) fn moved(
        &mut self,
        call: &Call<'_>,
        operand: &Operand,
        movement: impl Fn() -> Movement,
        own: impl Fn(&Layout) -> Result<(Movement, Layout), Reason>,
    ) -> Result<Operand, Reason> {
        Ok(match operand {
            Operand::Constant(array) => Operand::Constant(movement().apply(array)?),
            Operand::Weight(held) => {
                let (mut held, movement) = (held.clone(), movement());
                if !movement.is_identity(&held.shape) {
                    held.shape = movement.shape(&held.shape);
                    held.movements.push(movement);
                }
                Operand::Weight(held)
            }
            Operand::Value(value) => {
                let (movement, layout) = own(&value.layout)?;
                Operand::Value(self.push_movement(call, value, movement, layout)?)
            }
            Operand::Sequence(_) => return Err("moves a sequence".into()),
        })
    }

    pub(super) fn reshaped(
        &mut self,
        call: &Call<'_>,
        operand: &Operand,
        shape: &[usize],
    ) -> Result<Operand, Reason> {
        let marker = self.marker;
        let count = |shape: &[usize]| {
            shape
                .iter()
                .try_fold(1, |count: usize, &extent| count.checked_mul(extent))
        };
        let own = operand.shape(marker);
        if count(&own).is_none() || count(&own) != count(shape) {
            return Err(format!("makes {shape:?} of {own:?}").into());
        }
        let movement = || Movement::Reshape(shape.to_vec());
        self.moved(call, operand, movement, |layout| {
            let layout = layout.reshaped(shape, marker)?;
            Ok((Movement::Reshape(layout.example()), layout))
        })
    }

    pub(super) fn transposed(
        &mut self,
        call: &Call<'_>,
        operand: &Operand,
        perm: &[usize],
    ) -> Result<Operand, Reason> {
        let movement = || Movement::Transpose(perm.to_vec());
        self.moved(call, operand, movement, |layout| {
            let dropped = layout.dropped();
            let kept = perm.iter().filter(|&&axis| Some(axis) != dropped);
            let place =
                |axis: &usize| axis - usize::from(dropped.is_some_and(|dropped| dropped < *axis));
            let movement = Movement::Transpose(kept.map(place).collect());
            Ok((movement, layout.transposed(perm)))
        })
    }

    pub(super) fn sliced(
        &mut self,
        call: &Call<'_>,
        operand: &Operand,
        axis: usize,
        (start, step, count): (usize, isize, usize),
    ) -> Result<Operand, Reason> {
        let movement = |axis: usize| Movement::Slice {
            axis,
            start,
            step,
            count,
        };
        if movement(axis).is_identity(&operand.shape(self.marker)) {
            return Ok(operand.clone());
        }
        self.moved(
            call,
            operand,
            || movement(axis),
            |layout| Ok((movement(layout.position(axis)?), layout.with(axis, count))),
        )
    }

    pub(super) fn squeezed(
        &mut self,
        call: &Call<'_>,
        operand: &Operand,
        places: &[usize],
    ) -> Result<Operand, Reason> {
        let mut shape = operand.shape(self.marker);
        for &place in places.iter().rev() {
            if shape.remove(place) != 1 {
                return Err("squeezes an axis of several elements".into());
            }
        }
        self.moved(
            call,
            operand,
            || Movement::Reshape(shape.clone()),
            |layout| {
                if layout
                    .batch
                    .is_some_and(|batch| places.contains(&batch.axis))
                {
                    return Err("squeezes the batch axis".into());
                }
                let layout = layout.squeezed(places);
                Ok((Movement::Reshape(layout.example()), layout))
            },
        )
    }

    pub(super) fn unsqueezed(
        &mut self,
        call: &Call<'_>,
        operand: &Operand,
        places: &[usize],
    ) -> Result<Operand, Reason> {
        let mut shape = operand.shape(self.marker);
        for &place in places {
            shape.insert(place, 1);
        }
        self.moved(
            call,
            operand,
            || Movement::Reshape(shape.clone()),
            |layout| {
                let layout = layout.unsqueezed(places);
                Ok((Movement::Reshape(layout.example()), layout))
            },
        )
    }
}

pub(super) fn reshape(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let operand = call.input(0)?;
    let wanted = call.integers(1)?.ok_or("has no shape")?;
    let own = operand.shape(importer.marker);
    let keeps_zero = call.int("allowzero", 0) != 0;
    let mut shape = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (place, &extent) in wanted.iter().enumerate() {
        shape.push(match extent {
            -1 if open.replace(place).is_none() => 1,
            0 if !keeps_zero => *own
                .get(place)
                .ok_or("keeps an axis that its input does not have")?,
            extent => usize::try_from(extent).map_err(|_| format!("makes the shape {wanted:?}"))?,
        });
    }
    if let Some(place) = open {
        let product = |shape: &[usize]| {
            shape
                .iter()
                .fold(1, |product: usize, &extent| product.saturating_mul(extent))
        };
        shape[place] = product(&own).checked_div(product(&shape)).unwrap_or(0);
    }
    one(importer.reshaped(call, operand, &shape)?)
}

pub(super) fn flatten(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let operand = call.input(0)?;
    let own = operand.shape(importer.marker);
    let place = match call.int("axis", 1) {
        end if end == own.len() as i64 => own.len(),
        number => axis(number, own.len())?,
    };
    let product = |shape: &[usize]| {
        shape
            .iter()
            .fold(1, |product: usize, &extent| product.saturating_mul(extent))
    };
    let shape = [product(&own[..place]), product(&own[place..])];
    one(importer.reshaped(call, operand, &shape)?)
}

pub(super) fn transpose(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let operand = call.input(0)?;
    let rank = operand.shape(importer.marker).len();
    let perm = match call.ints("perm") {
        Some(perm) => perm
            .iter()
            .map(|&number| axis(number, rank))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(format!("has the permutation {perm:?} of {rank} axes").into());
    }
    one(importer.transposed(call, operand, &perm)?)
}

pub(super) fn squeeze(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let operand = call.input(0)?;
    let shape = operand.shape(importer.marker);
    let places = match call.integers(1)? {
        Some(numbers) => axes(&numbers, shape.len())?,
        None => {
            let batch = match operand {
                Operand::Value(value) => value.layout.batch.map(|batch| batch.axis),
                _ => None,
            };
            let single = |place: &usize| shape[*place] == 1 && Some(*place) != batch;
            (0..shape.len()).filter(single).collect()
        }
    };
    one(importer.squeezed(call, operand, &places)?)
}

pub(super) fn unsqueeze(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let operand = call.input(0)?;
    let numbers = call.integers(1)?.ok_or("has no axes")?;
    let places = axes(
        &numbers,
        operand.shape(importer.marker).len() + numbers.len(),
    )?;
    if places.len() != numbers.len() {
        return Err("puts in one axis twice".into());
    }
    one(importer.unsqueezed(call, operand, &places)?)
}

pub(super) fn expand(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let operand = call.input(0)?;
    let wanted = call.integers(1)?.ok_or("has no shape")?;
    let own = operand.shape(importer.marker);
    let extents = constants::without_batch(importer, &wanted)?;
    let mut places = wanted.iter().enumerate();
    let examples = places.find(|&(axis, &extent)| {
        usize::try_from(extent).is_ok_and(|extent| importer.is_batch(axis, extent))
    });
    let is_copied = match operand {
        Operand::Constant(_) => true,
        Operand::Weight(_) => examples.is_none(),
        _ => false,
    };
    if is_copied {
        // As many copies as examples are one that is the same for all of them.
        let shape = broadcast(&own, &extents)?;
        let mut aligned = vec![1; shape.len() - own.len()];
        aligned.extend(own);
        let operand = importer.reshaped(call, operand, &aligned)?;
        let movement = || Movement::Expand(shape.clone());
        let nowhere = |_: &Layout| Err("is a value".into());
        return one(importer.moved(call, &operand, movement, nowhere)?);
    }
    let argument = importer.materialize(call, operand)?;
    let mut other = Layout {
        axes: extents,
        batch: None,
    };
    // Examples, perhaps merged with a neighbour, stay what they are; one for each of them makes an axis theirs.
    let behind = wanted.len().checked_sub(own.len());
    match argument.layout.batch {
        Some(batch) => {
            let place = behind.map(|behind| behind + batch.axis);
            if let Some(place) = place.filter(|&place| wanted[place] == own[batch.axis] as i64) {
                other.axes[place] = 1;
            }
        }
        None => other.batch = examples.map(|(axis, _)| Batch { axis, before: 1 }),
    }
    let layout = argument.layout.joined(&other)?;
    value(importer.expanded(call, &argument, layout)?)
}
