//! The operators that are there, one rule each.

mod constants;
mod elementwise;
mod fusions;
mod normalization;
mod products;
mod reductions;
mod selection;
mod shape;
mod sums;
mod windows;

use crate::array::Reason;
use crate::import::Importer;
use crate::operand::{Call, Operand, Value};

/// What a node makes of its inputs; what is wrong as a predicate.
pub(crate) type Rule = fn(&mut Importer<'_>, &Call<'_>) -> Result<Vec<Operand>, Reason>;

/// Each operator of ONNX's own domain.
const RULES: &[(&str, Rule)] = &[
    ("Abs", elementwise::function),
    ("Add", sums::add),
    ("And", constants::binary),
    ("AveragePool", windows::average_pool),
    ("BatchNormalization", normalization::batch),
    ("Cast", elementwise::cast),
    ("CastLike", elementwise::cast),
    ("Clip", elementwise::clip),
    ("Concat", selection::concat),
    ("Constant", constants::constant),
    ("ConstantOfShape", constants::of_shape),
    ("Conv", windows::convolution),
    ("ConvTranspose", windows::transposed_convolution),
    ("Cos", elementwise::function),
    ("Div", sums::div),
    ("Dropout", normalization::dropout),
    ("Elu", elementwise::function),
    ("Equal", constants::binary),
    ("Erf", elementwise::function),
    ("Exp", elementwise::function),
    ("Expand", shape::expand),
    ("Flatten", shape::flatten),
    ("Gather", selection::gather),
    ("Gelu", elementwise::function),
    ("Gemm", products::gemm),
    ("GlobalAveragePool", reductions::global_average),
    ("GlobalMaxPool", windows::global_max),
    ("Greater", constants::greater),
    ("GreaterOrEqual", constants::greater),
    ("GroupNormalization", normalization::group),
    ("HardSigmoid", elementwise::function),
    ("HardSwish", elementwise::function),
    ("Identity", shape::identity),
    ("InstanceNormalization", normalization::instance),
    ("IsNaN", constants::is_nan),
    ("LayerNormalization", normalization::layer),
    ("LeakyRelu", elementwise::function),
    ("Less", constants::binary),
    ("LessOrEqual", constants::binary),
    ("Log", elementwise::function),
    ("LogSoftmax", reductions::softmax),
    ("MatMul", products::matmul),
    ("Max", elementwise::extremum),
    ("MaxPool", windows::max_pool),
    ("Min", elementwise::extremum),
    ("Mish", elementwise::function),
    ("Mod", constants::binary),
    ("Mul", sums::mul),
    ("Neg", elementwise::function),
    ("Not", constants::not),
    ("Or", constants::binary),
    ("Pad", selection::pad),
    ("Pow", elementwise::pow),
    ("Range", constants::range),
    ("Reciprocal", elementwise::function),
    ("ReduceMean", reductions::reduce),
    ("ReduceSum", reductions::reduce),
    ("Relu", elementwise::function),
    ("Reshape", shape::reshape),
    ("Resize", windows::resize),
    ("Shape", constants::shape),
    ("Sigmoid", elementwise::function),
    ("Sin", elementwise::function),
    ("Size", constants::size),
    ("Slice", selection::slice),
    ("Softmax", reductions::softmax),
    ("Softplus", elementwise::function),
    ("Split", selection::split),
    ("Sqrt", elementwise::function),
    ("Squeeze", shape::squeeze),
    ("Sub", sums::sub),
    ("Sum", sums::sum),
    ("Tanh", elementwise::function),
    ("Transpose", shape::transpose),
    ("Trilu", constants::triangle),
    ("Unsqueeze", shape::unsqueeze),
    ("Upsample", windows::resize),
    ("Where", elementwise::select),
];

/// The rule of an operator, where there is one.
pub(crate) fn rule(domain: &str, operator: &str) -> Option<Rule> {
    let own = matches!(domain, "" | "ai.onnx");
    let found = RULES.iter().find(|(name, _)| own && *name == operator);
    found.map(|&(_, rule)| rule)
}

/// All operators that are there.
pub(crate) fn names() -> Vec<&'static str> {
    RULES.iter().map(|&(name, _)| name).collect()
}

fn one(operand: Operand) -> Result<Vec<Operand>, Reason> {
    Ok(vec![operand])
}

fn value(value: Value) -> Result<Vec<Operand>, Reason> {
    one(Operand::Value(value))
}
