//! Functions of each element.

use std::f64::consts::LN_2;

use super::{constants, one, value};
use crate::array::{Array, Kind, Reason, broadcast};
use crate::import::Importer;
use crate::operand::{Call, Operand};
use crate::plan::Function;

/// The function that the call is; a multiple of its argument for `Neg`.
fn named(call: &Call<'_>) -> Option<Function> {
    Some(match call.node.op_type.as_str() {
        "Abs" => Function::Abs,
        "Cos" => Function::Cos,
        "Elu" => Function::Elu {
            scale: call.float("alpha", 1.0),
        },
        "Erf" => Function::Erf,
        "Exp" => Function::Exp,
        "Gelu" if call.text("approximate", "none") == "tanh" => Function::GeluTanh,
        "Gelu" => Function::Gelu,
        "HardSigmoid" => Function::HardSigmoid {
            slope: call.float("alpha", 0.2),
            offset: call.float("beta", 0.5),
        },
        "HardSwish" => Function::HardSwish,
        "LeakyRelu" => Function::LeakyRelu {
            slope: call.float("alpha", 0.01),
        },
        "Log" => Function::Log,
        "Mish" => Function::Mish,
        "Neg" => Function::Line {
            scale: -1.0,
            shift: 0.0,
        },
        "Reciprocal" => Function::Reciprocal,
        "Relu" => Function::Relu,
        "Sigmoid" => Function::Sigmoid,
        "Sin" => Function::Sin,
        "Softplus" => Function::Softplus,
        "Sqrt" => Function::Sqrt,
        "Tanh" => Function::Tanh,
        _ => return None,
    })
}

/// The functions that masks and scales are computed with.
fn number(function: Function) -> Option<fn(f64) -> f64> {
    Some(match function {
        Function::Abs => f64::abs,
        Function::Cos => f64::cos,
        Function::Exp => f64::exp,
        Function::Log => f64::ln,
        Function::Line { .. } => |x| -x,
        Function::Reciprocal => f64::recip,
        Function::Relu => |x| x.max(0.0),
        Function::Sin => f64::sin,
        Function::Sqrt => f64::sqrt,
        Function::Tanh => f64::tanh,
        _ => return None,
    })
}

pub(super) fn function(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let function = named(call).ok_or("is of no function")?;
    let input = call.input(0)?;
    if let (Operand::Constant(array), Some(number)) = (input, number(function)) {
        return one(Operand::Constant(array.map(array.kind, number)));
    }
    let argument = importer.materialize(call, input)?;
    value(match function {
        Function::Line { scale, shift } => importer.push_line(call, &argument, scale, shift)?,
        function => importer.push_function(call, function, &argument)?,
    })
}

/// Between floats nothing; of constants to the kind that is asked for.
pub(super) fn cast(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let kind = match (call.node.op_type.as_str(), call.int("to", 0)) {
        ("CastLike", _) => match call.input(1)? {
            Operand::Constant(array) => array.kind,
            _ => Kind::Float,
        },
        (_, 1 | 10 | 11 | 16) => Kind::Float,
        (_, 2..=7 | 12 | 13) => Kind::Int,
        (_, 9) => Kind::Bool,
        (_, code) => return Err(format!("makes numbers of the type {code}").into()),
    };
    let input = call.input(0)?;
    match (input, kind) {
        (_, Kind::Float) if !matches!(input, Operand::Constant(_)) => one(input.clone()),
        // Numbers of tokens stay what they are.
        (Operand::Value(ids), Kind::Int) if ids.number == 0 => one(input.clone()),
        _ => {
            let array = importer.known(input)?;
            one(Operand::Constant(array.map(kind, |number| match kind {
                Kind::Float => number,
                Kind::Int => number.trunc(),
                Kind::Bool => f64::from(u8::from(number != 0.0)),
            })))
        }
    }
}

/// max(low, min(high, x)), with either bound.
fn clipped(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
    input: &Operand,
    low: f64,
    high: f64,
) -> Result<Vec<Operand>, Reason> {
    if let Operand::Constant(array) = input {
        return one(Operand::Constant(
            array.map(array.kind, |x| x.min(high).max(low)),
        ));
    }
    let argument = importer.materialize(call, input)?;
    let function = match (low, high) {
        (0.0, f64::INFINITY) => Function::Relu,
        (low, high) => Function::Clip { low, high },
    };
    value(importer.push_function(call, function, &argument)?)
}

pub(super) fn clip(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let bound = |index: usize, open: f64| match call.known(index)? {
        Some(array) => array
            .scalar()
            .ok_or(Reason::from("has bounds of several numbers")),
        None => Ok(open),
    };
    let (low, high) = (bound(1, f64::NEG_INFINITY)?, bound(2, f64::INFINITY)?);
    clipped(importer, call, call.input(0)?, low, high)
}

/// The larger or the smaller of a value and a number.
pub(super) fn extremum(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let (left, right) = match &call.inputs[..] {
        [Some(one_input)] => return one(one_input.clone()),
        [Some(left), Some(right)] => (left, right),
        _ => return Err("takes other than two inputs".into()),
    };
    let (input, bound) = match (left, right) {
        (Operand::Constant(left), Operand::Constant(right)) => {
            return one(Operand::Constant(constants::combine(call, left, right)?));
        }
        (Operand::Constant(bound), input) | (input, Operand::Constant(bound)) => (input, bound),
        _ => return Err("compares two values that depend on the data".into()),
    };
    let bound = bound.scalar().ok_or("compares with several numbers")?;
    match call.node.op_type.as_str() {
        "Max" => clipped(importer, call, input, bound, f64::INFINITY),
        _ => clipped(importer, call, input, f64::NEG_INFINITY, bound),
    }
}

pub(super) fn pow(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    match (call.input(0)?, call.input(1)?) {
        (Operand::Constant(left), Operand::Constant(right)) => {
            one(Operand::Constant(constants::combine(call, left, right)?))
        }
        (base, Operand::Constant(exponent)) => {
            let exponent = exponent.scalar().ok_or("has several exponents")?;
            let argument = importer.materialize(call, base)?;
            let function = match exponent {
                1.0 => return value(argument),
                0.5 => Function::Sqrt,
                -1.0 => Function::Reciprocal,
                exponent => Function::Power { exponent },
            };
            value(importer.push_function(call, function, &argument)?)
        }
        (Operand::Constant(base), exponent) => {
            let base = base.scalar().filter(|&base| base > 0.0);
            let base = base.ok_or("has other than one positive base")?;
            let argument = importer.materialize(call, exponent)?;
            // Exact for a base of two.
            let logarithm = if base == 2.0 { LN_2 } else { base.ln() };
            let argument = importer.push_line(call, &argument, logarithm, 0.0)?;
            value(importer.push_function(call, Function::Exp, &argument)?)
        }
        _ => Err("has a base and an exponent that both depend on the data".into()),
    }
}

/// One of two values, by a condition that no data change; and PyTorch's softplus, which is linear where it is large.
pub(super) fn select(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let (condition, yes, no) = (call.input(0)?, call.input(1)?, call.input(2)?);
    if let (Operand::Greater(compared), Operand::Value(yes), Operand::Value(no)) =
        (condition, yes, no)
    {
        let softplus = Some((Function::Softplus, compared.number));
        if yes.number == compared.number && importer.plan.function(no.number) == softplus {
            return value(no.clone());
        }
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
