//! Steps that rules put into the plan.

use crate::array::{Array, Reason};
use crate::import::Importer;
use crate::layout::Layout;
use crate::movement::Movement;
use crate::operand::{Call, Operand, Value};
use crate::plan::{Function, Operation};
use crate::tensor;

impl Importer<'_> {
    /// Puts a step into the plan whose output has this layout.
    pub(crate) fn push(
        &mut self,
        call: &Call<'_>,
        operation: Operation,
        inputs: &[usize],
        layout: Layout,
    ) -> Result<Value, Reason> {
        let number = self
            .plan
            .push(call.name(), operation, inputs, layout.example())?;
        Ok(Value { number, layout })
    }

    /// Moves the elements of an example, where they move, to one of this layout.
    pub(crate) fn push_movement(
        &mut self,
        call: &Call<'_>,
        value: &Value,
        movement: Movement,
        layout: Layout,
    ) -> Result<Value, Reason> {
        if movement.is_identity(self.plan.shape(value.number)) {
            let number = value.number;
            return Ok(Value { number, layout });
        }
        self.push(call, Operation::Move(movement), &[value.number], layout)
    }

    /// y = f(x), elementwise.
    pub(crate) fn push_function(
        &mut self,
        call: &Call<'_>,
        function: Function,
        value: &Value,
    ) -> Result<Value, Reason> {
        let operation = Operation::Function(function);
        self.push(call, operation, &[value.number], value.layout.clone())
    }

    /// scale x + shift; of two in a row one is made, and of none none.
    pub(crate) fn push_line(
        &mut self,
        call: &Call<'_>,
        value: &Value,
        scale: f64,
        shift: f64,
    ) -> Result<Value, Reason> {
        let (mut number, mut line) = (value.number, (scale, shift));
        if let Some((
            Function::Line {
                scale: first,
                shift: offset,
            },
            argument,
        )) = self.plan.function(number)
        {
            (number, line) = (argument, (scale * first, scale * offset + shift));
        }
        let layout = value.layout.clone();
        let argument = Value { number, layout };
        // 0.5 · (2 x), up to the last digit of either.
        if (line.0 - 1.0).abs() < 1e-15 && line.1 == 0.0 {
            return Ok(argument);
        }
        let (scale, shift) = line;
        self.push_function(call, Function::Line { scale, shift }, &argument)
    }

    /// A constant or a weight as a value, the same for all examples; a value as it is.
    pub(crate) fn materialize(
        &mut self,
        call: &Call<'_>,
        operand: &Operand,
    ) -> Result<Value, Reason> {
        let constant = |axes: Vec<usize>| Layout { axes, batch: None };
        match operand {
            Operand::Value(value) => Ok(value.clone()),
            Operand::Constant(array) => {
                let layout = constant(array.shape.clone());
                self.push(call, Operation::Constant(array.clone()), &[0], layout)
            }
            Operand::Weight(held) => {
                let weight = self.parameter(call, held, None)?;
                let mut shape = self.plan.weights[weight].shape.clone();
                let operation = Operation::Parameter(weight);
                let mut value = self.push(call, operation, &[0], constant(shape.clone()))?;
                for movement in &held.movements {
                    shape = movement.shape(&shape);
                    value = self.push_movement(
                        call,
                        &value,
                        movement.clone(),
                        constant(shape.clone()),
                    )?;
                }
                Ok(value)
            }
            Operand::Sequence(_) => Err("takes a sequence".into()),
        }
    }

    /// Numbers that are known: of a constant, or of a weight that nothing differentiates here.
    pub(crate) fn known(&self, operand: &Operand) -> Result<Array, Reason> {
        match operand {
            Operand::Constant(array) => Ok(array.clone()),
            Operand::Weight(held) => {
                let initializer = &self.source.graph.initializer[held.tensor];
                let array = tensor::array(initializer, self.directory)?;
                held.movements
                    .iter()
                    .try_fold(array, |array, movement| movement.apply(&array))
            }
            _ => Err("computes something that depends on the data and has no derivative".into()),
        }
    }
}
