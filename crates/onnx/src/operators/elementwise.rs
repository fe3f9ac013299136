//! Functions of each element.

use std::f64::consts::LN_2;

use super::{constants, masks, one, value};
use crate::array::{Kind, Reason};
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

/// The functions that masks, scales and extents are computed with.
fn number(operator: &str) -> Option<fn(f64) -> f64> {
    Some(match operator {
        "Abs" => f64::abs,
        "Ceil" => f64::ceil,
        "Cos" => f64::cos,
        "Exp" => f64::exp,
        "Floor" => f64::floor,
        "Log" => f64::ln,
        "Neg" => |x| -x,
        "Reciprocal" => f64::recip,
        "Relu" => |x| x.max(0.0),
        "Round" => f64::round_ties_even,
        "Sin" => f64::sin,
        "Sqrt" => f64::sqrt,
        "Tanh" => f64::tanh,
        _ => return None,
    })
}

pub(super) fn function(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let input = call.input(0)?;
    if let (Operand::Constant(array), Some(number)) = (input, number(&call.node.op_type)) {
        return one(Operand::Constant(array.map(array.kind, number)));
    }
    let function = named(call).ok_or("rounds what depends on the data, and has no derivative")?;
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
        (Operand::Value(argument), Kind::Int | Kind::Bool)
            if importer
                .plan
                .step(argument.number)
                .is_some_and(|step| step.is_whole) =>
        {
            match kind {
                Kind::Bool => value(importer.truth(call, input)?),
                _ => one(input.clone()),
            }
        }
        (Operand::Value(_), Kind::Bool) => value(importer.truth(call, input)?),
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
) -> Result<Operand, Reason> {
    if let Operand::Constant(array) = input {
        return Ok(Operand::Constant(
            array.map(array.kind, |x| x.min(high).max(low)),
        ));
    }
    let argument = importer.materialize(call, input)?;
    let function = match (low, high) {
        (0.0, f64::INFINITY) => Function::Relu,
        (low, high) => Function::Clip { low, high },
    };
    let clipped = importer.push_function(call, function, &argument)?;
    Ok(Operand::Value(clipped))
}

pub(super) fn clip(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let bound = |index: usize, open: f64| match call.known(index)? {
        Some(array) => array
            .scalar()
            .ok_or(Reason::from("has bounds of several numbers")),
        None => Ok(open),
    };
    let (low, high) = (bound(1, f64::NEG_INFINITY)?, bound(2, f64::INFINITY)?);
    one(clipped(importer, call, call.input(0)?, low, high)?)
}

/// The largest or the smallest of several.
pub(super) fn extremum(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let mut extremum = call.input(0)?.clone();
    for index in 1..call.inputs.len() {
        let other = call.input(index)?;
        extremum = match (&extremum, other) {
            (Operand::Constant(left), Operand::Constant(right)) => {
                Operand::Constant(constants::combine(call, left, right)?)
            }
            (Operand::Constant(bound), input) | (input, Operand::Constant(bound))
                if bound.scalar().is_some() =>
            {
                let bound = bound.scalar().unwrap_or_default();
                let (low, high) = match call.node.op_type.as_str() {
                    "Max" => (bound, f64::INFINITY),
                    _ => (f64::NEG_INFINITY, bound),
                };
                clipped(importer, call, input, low, high)?
            }
            (left, right) => masks::extreme(importer, call, left, right)?,
        };
    }
    one(extremum)
}

/// α γ (eˣ - 1) below zero and γ x above (Klambauer et al. 2017), with PyTorch's digits.
pub(super) fn selu(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let scale = call.float("alpha", 1.673_263_242_354_377_2);
    let gamma = call.float("gamma", 1.050_700_987_355_480_5);
    let argument = importer.materialize(call, call.input(0)?)?;
    let elu = importer.push_function(call, Function::Elu { scale }, &argument)?;
    value(importer.push_line(call, &elu, gamma, 0.0)?)
}

/// α (e^(x / α) - 1) below zero and x above.
pub(super) fn celu(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let alpha = call.float("alpha", 1.0);
    let argument = importer.materialize(call, call.input(0)?)?;
    let line = importer.push_line(call, &argument, alpha.recip(), 0.0)?;
    let elu = importer.push_function(call, Function::Elu { scale: 1.0 }, &line)?;
    value(importer.push_line(call, &elu, alpha, 0.0)?)
}

/// x above zero and a parameter times x below.
pub(super) fn prelu(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let (input, slope) = (call.input(0)?, call.input(1)?);
    let below = importer.product_of(call, input, slope)?;
    let condition = importer.step(call, input, 0.0)?;
    value(importer.choice(call, &condition, input, &below)?)
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
