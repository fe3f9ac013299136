//! Functions and layers that exporters take apart, put together again.

use std::f64::consts::FRAC_1_SQRT_2;

use crate::array::Reason;
use crate::import::Importer;
use crate::movement::Movement;
use crate::operand::{Call, Held, Value};
use crate::plan::{Function, Operation};
use crate::weights::Role;

impl Importer<'_> {
    /// x σ(x), and c x (1 + erf(x/√2)), which are functions of x.
    pub(super) fn gated(
        &mut self,
        call: &Call<'_>,
        left: &Value,
        right: &Value,
    ) -> Result<Option<Value>, Reason> {
        if left.layout != right.layout {
            return Ok(None);
        }
        for (factor, gate) in [(left, right), (right, left)] {
            let Some((function, argument)) = self.plan.function(gate.number) else {
                continue;
            };
            if function == Function::Sigmoid && argument == factor.number {
                return Ok(Some(self.push_function(call, Function::Silu, factor)?));
            }
            let (multiple, scale) = match self.plan.function(factor.number) {
                Some((Function::Line { scale, shift: 0.0 }, argument)) => (argument, scale),
                _ => (factor.number, 1.0),
            };
            let of_factor = |number: usize| number == factor.number || number == multiple;
            let is_gelu = matches!(
                function,
                Function::Line {
                    scale: 1.0,
                    shift: 1.0
                }
            ) && self
                .plan
                .function(argument)
                .is_some_and(|(function, inner)| {
                    let slope = self.plan.function(inner);
                    function == Function::Erf
                        && slope.is_some_and(|(slope, x)| match slope {
                            Function::Line { scale, shift: 0.0 } => {
                                (scale - FRAC_1_SQRT_2).abs() < 1e-7 && of_factor(x)
                            }
                            _ => false,
                        })
                });
            if is_gelu {
                let number = self
                    .plan
                    .function(argument)
                    .and_then(|(_, inner)| self.plan.function(inner));
                let Some((_, number)) = number else {
                    continue;
                };
                let scale = if number == factor.number { 1.0 } else { scale };
                let layout = factor.layout.clone();
                let gelu = self.push_function(call, Function::Gelu, &Value { number, layout })?;
                return Ok(Some(self.push_line(call, &gelu, 2.0 * scale, 0.0)?));
            }
        }
        Ok(None)
    }

    /// A group norm as it is exported: examples cut into groups, normalised, put together, scaled and, here, shifted.
    pub(super) fn with_group_norm(
        &mut self,
        call: &Call<'_>,
        argument: &Value,
        held: &Held,
    ) -> Result<Option<Value>, Reason> {
        let plan = &self.plan;
        let input_of = |number: usize, is: &dyn Fn(&Operation) -> bool| {
            let step = plan.step(number).filter(|step| is(&step.operation))?;
            step.inputs.first().copied()
        };
        let is_reshape =
            |operation: &Operation| matches!(operation, Operation::Move(Movement::Reshape(_)));
        let Some(step) = plan.step(argument.number) else {
            return Ok(None);
        };
        let &Operation::ScaleBy(scale, ref scaled_by) = &step.operation else {
            return Ok(None);
        };
        let scaled = step.inputs[0];
        let normalized = input_of(scaled, &is_reshape).unwrap_or(scaled);
        let Some(&Operation::GroupNorm {
            groups,
            affine: None,
            epsilon,
        }) = plan.step(normalized).map(|step| &step.operation)
        else {
            return Ok(None);
        };
        let cut = plan.step(normalized).map_or(0, |step| step.inputs[0]);
        let whole = input_of(cut, &is_reshape).unwrap_or(cut);
        let shape = plan.shape(whole);
        let channels = shape.first().copied().unwrap_or(0);
        // One number a channel: (C, 1, 1).
        let is_per_channel = |own: &[usize]| {
            own.len() == shape.len()
                && own[0] == channels
                && own[1..].iter().all(|&extent| extent == 1)
        };
        let fits = shape == plan.shape(argument.number)
            && is_per_channel(scaled_by)
            && is_per_channel(&held.shape)
            && held.movements.is_empty()
            && plan.weights[scale].shape == [channels];
        if !fits || groups == 0 || channels % groups != 0 {
            return Ok(None);
        }
        let bias = self.parameter(call, held, Some(Role::Bias))?;
        if self.plan.weights[bias].shape != [channels] {
            return Ok(None);
        }
        let operation = Operation::GroupNorm {
            groups,
            affine: Some((scale, bias)),
            epsilon,
        };
        Ok(Some(self.push(
            call,
            operation,
            &[whole],
            argument.layout.clone(),
        )?))
    }
}
