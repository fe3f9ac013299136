//! Sums and products of what is broadcast, with constants and weights as cheap as they can be.

use super::{constants, one};
use crate::array::{Array, Kind, Reason};
use crate::import::Importer;
use crate::layout::Layout;
use crate::movement::Movement;
use crate::operand::{Call, Held, Operand, Value};
use crate::plan::{Function, Operation};
use crate::weights::Role;

/// The layout of a value and of what is the same for all examples, and the value expanded to it.
fn beside(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
    argument: &Value,
    shape: &[usize],
) -> Result<(Value, Vec<usize>), Reason> {
    let other = Layout {
        axes: shape.to_vec(),
        batch: None,
    };
    let layout = argument.layout.joined(&other)?;
    let aligned = layout.aligned(shape);
    Ok((importer.expanded(call, argument, layout)?, aligned))
}

impl Importer<'_> {
    /// A value broadcast to `layout`.
    pub(super) fn expanded(
        &mut self,
        call: &Call<'_>,
        argument: &Value,
        layout: Layout,
    ) -> Result<Value, Reason> {
        let aligned = self.aligned(call, argument, &layout)?;
        let expanded = self.push_plain(call, &aligned, Movement::Expand(layout.example()))?;
        let number = expanded.number;
        Ok(Value { number, layout })
    }

    /// A value with as many axes as `layout`, to which it can be broadcast.
    pub(super) fn aligned(
        &mut self,
        call: &Call<'_>,
        argument: &Value,
        layout: &Layout,
    ) -> Result<Value, Reason> {
        // What is the same for all examples loses the axis in which they are.
        let own = match argument.layout.batch {
            Some(_) => argument.layout.example(),
            None => layout.aligned(&argument.layout.axes),
        };
        let mut aligned = vec![1; layout.example().len().saturating_sub(own.len())];
        aligned.extend(own);
        self.push_plain(call, argument, Movement::Reshape(aligned))
    }

    /// A movement whose layout does not matter yet.
    fn push_plain(
        &mut self,
        call: &Call<'_>,
        argument: &Value,
        movement: Movement,
    ) -> Result<Value, Reason> {
        let axes = movement.shape(self.plan.shape(argument.number));
        self.push_movement(call, argument, movement, Layout { axes, batch: None })
    }

    /// A step that broadcasts its two values to each other.
    fn joined(
        &mut self,
        call: &Call<'_>,
        operation: Operation,
        left: &Value,
        right: &Value,
    ) -> Result<Value, Reason> {
        let layout = left.layout.joined(&right.layout)?;
        let left = self.aligned(call, left, &layout)?;
        let right = self.aligned(call, right, &layout)?;
        self.push(call, operation, &[left.number, right.number], layout)
    }

    pub(super) fn sum_of(
        &mut self,
        call: &Call<'_>,
        left: &Operand,
        right: &Operand,
    ) -> Result<Operand, Reason> {
        let sum = match (left, right) {
            (Operand::Constant(left), Operand::Constant(right)) => {
                let sum = left.combine(right, left.kind, |a, b| a + b)?;
                return Ok(Operand::Constant(sum));
            }
            (Operand::Value(argument), Operand::Constant(constant))
            | (Operand::Constant(constant), Operand::Value(argument)) => {
                self.shifted(call, argument, constant)?
            }
            (Operand::Value(argument), Operand::Weight(held))
            | (Operand::Weight(held), Operand::Value(argument)) => {
                self.shifted_by(call, argument, held)?
            }
            _ => {
                let (left, right) = (
                    self.materialize(call, left)?,
                    self.materialize(call, right)?,
                );
                self.joined(call, Operation::Sum, &left, &right)?
            }
        };
        Ok(Operand::Value(sum))
    }

    fn shifted(
        &mut self,
        call: &Call<'_>,
        argument: &Value,
        constant: &Array,
    ) -> Result<Value, Reason> {
        let (argument, shape) = beside(self, call, argument, &constant.shape)?;
        if let Some(shift) = constant.scalar() {
            return self.push_line(call, &argument, 1.0, shift);
        }
        let operation = Operation::Shift(Array {
            shape,
            ..constant.clone()
        });
        self.push(call, operation, &[argument.number], argument.layout)
    }

    fn shifted_by(
        &mut self,
        call: &Call<'_>,
        argument: &Value,
        held: &Held,
    ) -> Result<Value, Reason> {
        if let Some(fused) = self.with_bias(call, argument, held)? {
            return Ok(fused);
        }
        self.beside_weight(call, argument, held, Operation::ShiftBy)
    }

    /// A sum or product with a weight, which as it is, or with axes of one element more, need not be repeated.
    fn beside_weight(
        &mut self,
        call: &Call<'_>,
        argument: &Value,
        held: &Held,
        operation: fn(usize, Vec<usize>) -> Operation,
    ) -> Result<Value, Reason> {
        let (argument, shape) = beside(self, call, argument, &held.shape)?;
        let role = match operation(0, Vec::new()) {
            Operation::ShiftBy(..) => Role::Bias,
            _ => Role::Factor,
        };
        let is_reshaped = held
            .movements
            .iter()
            .all(|step| matches!(step, Movement::Reshape(_)));
        if is_reshaped {
            let weight = self.parameter(call, held, Some(role))?;
            return self.push(
                call,
                operation(weight, shape),
                &[argument.number],
                argument.layout,
            );
        }
        let weight = self.materialize(call, &Operand::Weight(held.clone()))?;
        let operation = match role {
            Role::Bias => Operation::Sum,
            _ => Operation::Product,
        };
        self.joined(call, operation, &argument, &weight)
    }

    fn scaled(
        &mut self,
        call: &Call<'_>,
        argument: &Value,
        constant: &Array,
    ) -> Result<Value, Reason> {
        let (argument, shape) = beside(self, call, argument, &constant.shape)?;
        if let Some(scale) = constant.scalar() {
            return self.push_line(call, &argument, scale, 0.0);
        }
        let operation = Operation::Scale(Array {
            shape,
            ..constant.clone()
        });
        self.push(call, operation, &[argument.number], argument.layout)
    }

    pub(super) fn product_of(
        &mut self,
        call: &Call<'_>,
        left: &Operand,
        right: &Operand,
    ) -> Result<Operand, Reason> {
        let product = match (left, right) {
            (Operand::Constant(left), Operand::Constant(right)) => {
                let product = left.combine(right, left.kind, |a, b| a * b)?;
                return Ok(Operand::Constant(product));
            }
            (Operand::Value(argument), Operand::Constant(constant))
            | (Operand::Constant(constant), Operand::Value(argument)) => {
                self.scaled(call, argument, constant)?
            }
            (Operand::Value(argument), Operand::Weight(held))
            | (Operand::Weight(held), Operand::Value(argument)) => {
                self.beside_weight(call, argument, held, Operation::ScaleBy)?
            }
            _ => {
                let (left, right) = (
                    self.materialize(call, left)?,
                    self.materialize(call, right)?,
                );
                match self.gated(call, &left, &right)? {
                    Some(fused) => fused,
                    None => self.joined(call, Operation::Product, &left, &right)?,
                }
            }
        };
        Ok(Operand::Value(product))
    }

    pub(super) fn negated(
        &mut self,
        call: &Call<'_>,
        operand: &Operand,
    ) -> Result<Operand, Reason> {
        Ok(match operand {
            Operand::Constant(array) => Operand::Constant(array.map(array.kind, |x| -x)),
            other => {
                let argument = self.materialize(call, other)?;
                Operand::Value(self.push_line(call, &argument, -1.0, 0.0)?)
            }
        })
    }
}

pub(super) fn add(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    one(importer.sum_of(call, call.input(0)?, call.input(1)?)?)
}

pub(super) fn mul(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    one(importer.product_of(call, call.input(0)?, call.input(1)?)?)
}

/// Of any number of values.
pub(super) fn sum(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let mut sum = call.input(0)?.clone();
    for index in 1..call.inputs.len() {
        sum = importer.sum_of(call, &sum, call.input(index)?)?;
    }
    one(sum)
}

pub(super) fn sub(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let (left, right) = (call.input(0)?, call.input(1)?);
    if let (Operand::Constant(left), Operand::Constant(right)) = (left, right) {
        return one(Operand::Constant(constants::combine(call, left, right)?));
    }
    let right = importer.negated(call, right)?;
    one(importer.sum_of(call, left, &right)?)
}

pub(super) fn div(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let (left, right) = (call.input(0)?, call.input(1)?);
    let reciprocal = match (left, right) {
        (Operand::Constant(left), Operand::Constant(right)) => {
            return one(Operand::Constant(constants::combine(call, left, right)?));
        }
        (_, Operand::Constant(array)) => Operand::Constant(array.map(Kind::Float, f64::recip)),
        (_, other) => {
            let argument = importer.materialize(call, other)?;
            Operand::Value(importer.push_function(call, Function::Reciprocal, &argument)?)
        }
    };
    one(importer.product_of(call, left, &reciprocal)?)
}
