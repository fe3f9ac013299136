//! Comparisons, and what is chosen by them: of constants at once, of what depends on the data as steps whose derivative is
//! zero, since a mask is constant wherever no number crosses a threshold.

use super::{constants, one, value};
use crate::array::{Array, Kind, Reason, broadcast};
use crate::import::Importer;
use crate::operand::{Call, Operand, Value};
use crate::plan::{Function, Operation};

/// Above this PyTorch's softplus is linear, by default; its own second derivative is below 1e-8 there.
const SOFTPLUS_THRESHOLD: f64 = 20.0;

impl Importer<'_> {
    /// 1 where an operand is above zero, 0 below, and `at_zero`.
    pub(super) fn step(
        &mut self,
        call: &Call<'_>,
        operand: &Operand,
        at_zero: f64,
    ) -> Result<Value, Reason> {
        let argument = self.materialize(call, operand)?;
        self.push_function(call, Function::Step { at_zero }, &argument)
    }

    fn difference(
        &mut self,
        call: &Call<'_>,
        left: &Operand,
        right: &Operand,
    ) -> Result<Operand, Reason> {
        let right = self.negated(call, right)?;
        self.sum_of(call, left, &right)
    }

    /// 1 where an operand is not zero, else 0.
    pub(super) fn truth(&mut self, call: &Call<'_>, operand: &Operand) -> Result<Value, Reason> {
        let argument = self.materialize(call, operand)?;
        let magnitude = self.push_function(call, Function::Abs, &argument)?;
        self.step(call, &Operand::Value(magnitude), 0.0)
    }

    /// `yes` where `condition` is not zero, else `no`.
    pub(super) fn choice(
        &mut self,
        call: &Call<'_>,
        condition: &Value,
        yes: &Operand,
        no: &Operand,
    ) -> Result<Value, Reason> {
        if let (Operand::Value(yes), Operand::Value(no)) = (yes, no)
            && self.is_softplus(condition, yes, no)
        {
            return Ok(no.clone());
        }
        let (yes, no) = (self.materialize(call, yes)?, self.materialize(call, no)?);
        let layout = condition.layout.joined(&yes.layout)?.joined(&no.layout)?;
        let mut inputs = Vec::with_capacity(3);
        for value in [condition, &yes, &no] {
            inputs.push(self.aligned(call, value, &layout)?.number);
        }
        self.push(call, Operation::Choice, &inputs, layout)
    }

    /// Whether x above a large threshold, and softplus below, is softplus as it is here, exact everywhere.
    fn is_softplus(&self, condition: &Value, yes: &Value, no: &Value) -> bool {
        let of_line = |number: usize| match self.plan.function(number) {
            Some((Function::Line { shift, .. }, argument)) => (argument, shift),
            _ => (number, 0.0),
        };
        let Some((Function::Step { .. }, compared)) = self.plan.function(condition.number) else {
            return false;
        };
        let (argument, shift) = of_line(compared);
        let Some((Function::Softplus, inner)) = self.plan.function(of_line(no.number).0) else {
            return false;
        };
        -shift >= SOFTPLUS_THRESHOLD && yes.number == argument && of_line(inner) == (argument, 0.0)
    }
}

/// Whether both inputs are numbers that are known.
fn are_known(call: &Call<'_>) -> Result<bool, Reason> {
    let is_known = |operand: &Operand| !matches!(operand, Operand::Value(_));
    Ok(is_known(call.input(0)?) && is_known(call.input(1)?))
}

/// 1 or 0 by the order of two numbers.
pub(super) fn compare(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    if are_known(call)? {
        return constants::binary(importer, call);
    }
    let (left, right) = (call.input(0)?, call.input(1)?);
    let (larger, smaller) = match call.node.op_type.as_str() {
        "Less" | "LessOrEqual" => (right, left),
        _ => (left, right),
    };
    let difference = importer.difference(call, larger, smaller)?;
    value(match call.node.op_type.as_str() {
        "Equal" => {
            let differ = importer.truth(call, &difference)?;
            importer.push_line(call, &differ, -1.0, 1.0)?
        }
        "Greater" | "Less" => importer.step(call, &difference, 0.0)?,
        _ => importer.step(call, &difference, 1.0)?,
    })
}

/// Of two masks.
pub(super) fn logic(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    if are_known(call)? {
        return constants::binary(importer, call);
    }
    let (left, right) = (call.input(0)?, call.input(1)?);
    match call.node.op_type.as_str() {
        "And" => one(importer.product_of(call, left, right)?),
        "Or" => {
            let sum = importer.sum_of(call, left, right)?;
            value(importer.step(call, &sum, 0.0)?)
        }
        _ => {
            let difference = importer.difference(call, left, right)?;
            value(importer.truth(call, &difference)?)
        }
    }
}

pub(super) fn not(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    match call.input(0)? {
        Operand::Value(mask) => value(importer.push_line(call, mask, -1.0, 1.0)?),
        other => {
            let array = importer.known(other)?;
            one(Operand::Constant(
                array.map(Kind::Bool, |value| 1.0 - value),
            ))
        }
    }
}

/// -1, 0 or 1.
pub(super) fn sign(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let operand = call.input(0)?;
    if let Operand::Constant(array) = operand {
        let sign = |x: f64| if x == 0.0 { 0.0 } else { x.signum() };
        return one(Operand::Constant(array.map(array.kind, sign)));
    }
    let step = importer.step(call, operand, 0.5)?;
    value(importer.push_line(call, &step, 2.0, -1.0)?)
}

/// The larger or the smaller of two, each where it is, and the mean of equal ones, whose derivatives PyTorch halves.
pub(super) fn extreme(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
    left: &Operand,
    right: &Operand,
) -> Result<Operand, Reason> {
    let (larger, smaller) = match call.node.op_type.as_str() {
        "Max" => (left, right),
        _ => (right, left),
    };
    let difference = importer.difference(call, larger, smaller)?;
    let is_left = importer.step(call, &difference, 0.5)?;
    let is_right = importer.push_line(call, &is_left, -1.0, 1.0)?;
    let left = importer.product_of(call, left, &Operand::Value(is_left))?;
    let right = importer.product_of(call, right, &Operand::Value(is_right))?;
    importer.sum_of(call, &left, &right)
}

/// One of two values, by a condition.
pub(super) fn select(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let (condition, yes, no) = (call.input(0)?, call.input(1)?, call.input(2)?);
    if let Operand::Value(condition) = condition {
        return value(importer.choice(call, condition, yes, no)?);
    }
    let condition = importer.known(condition)?;
    if let (Operand::Constant(yes), Operand::Constant(no)) = (yes, no) {
        // Of both the one that is wanted, without a product that makes NaN of an infinity.
        let shape = broadcast(&condition.shape, &yes.shape)?;
        let shape = broadcast(&shape, &no.shape)?;
        let (condition, yes, no) = (
            condition.expand(&shape)?,
            yes.expand(&shape)?,
            no.expand(&shape)?,
        );
        let pairs = yes.values.iter().zip(no.values.iter());
        let chosen = condition.values.iter().zip(pairs);
        let values =
            chosen.map(|(&condition, (&yes, &no))| if condition == 0.0 { no } else { yes });
        return one(Operand::Constant(Array::new(
            shape,
            yes.kind,
            values.collect(),
        )));
    }
    if condition.is_all(0.0) {
        return one(no.clone());
    }
    let negation = condition.map(Kind::Float, |truth| 1.0 - truth);
    let condition = Array {
        kind: Kind::Float,
        ..condition
    };
    // m ⊙ x + (1 - m) ⊙ y, where a constant y may be infinite.
    let masked = |importer: &mut Importer<'_>, operand: &Operand, mask: &Array| match operand {
        Operand::Constant(array) => {
            let chosen = |truth: f64, value: f64| if truth == 0.0 { 0.0 } else { value };
            Ok::<_, Reason>(Operand::Constant(mask.combine(
                array,
                Kind::Float,
                chosen,
            )?))
        }
        other => importer.product_of(call, other, &Operand::Constant(mask.clone())),
    };
    let (yes, no) = (
        masked(importer, yes, &condition)?,
        masked(importer, no, &negation)?,
    );
    one(importer.sum_of(call, &yes, &no)?)
}
