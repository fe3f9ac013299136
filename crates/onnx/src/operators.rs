//! The operators that are there, one rule each.

mod attention;
mod constants;
mod einsum;
mod elementwise;
mod fusions;
mod indices;
mod masks;
mod normalization;
mod pads;
mod pools;
mod products;
mod reductions;
mod resize;
mod selection;
mod shape;
mod shuffles;
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
    ("And", masks::logic),
    ("Attention", attention::attention),
    ("AveragePool", pools::average_pool),
    ("BatchNormalization", normalization::batch),
    ("Cast", elementwise::cast),
    ("CastLike", elementwise::cast),
    ("Ceil", elementwise::function),
    ("Celu", elementwise::celu),
    ("Clip", elementwise::clip),
    ("Concat", selection::concat),
    ("Constant", constants::constant),
    ("ConstantOfShape", constants::of_shape),
    ("Conv", windows::convolution),
    ("ConvTranspose", windows::transposed_convolution),
    ("Cos", elementwise::function),
    ("CumSum", reductions::running_sum),
    ("DepthToSpace", shuffles::depth_to_space),
    ("Div", sums::div),
    ("Dropout", normalization::dropout),
    ("Einsum", einsum::einsum),
    ("Elu", elementwise::function),
    ("Equal", masks::compare),
    ("Erf", elementwise::function),
    ("Exp", elementwise::function),
    ("Expand", shape::expand),
    ("Flatten", shape::flatten),
    ("Floor", elementwise::function),
    ("Gather", selection::gather),
    ("GatherND", indices::gather_nd),
    ("Gelu", elementwise::function),
    ("Gemm", products::gemm),
    ("GlobalAveragePool", reductions::global_average),
    ("GlobalMaxPool", pools::global_max),
    ("Greater", masks::compare),
    ("GreaterOrEqual", masks::compare),
    ("GroupNormalization", normalization::group),
    ("HardSigmoid", elementwise::function),
    ("HardSwish", elementwise::function),
    ("Identity", shape::identity),
    ("InstanceNormalization", normalization::instance),
    ("IsNaN", constants::is_nan),
    ("LayerNormalization", normalization::layer),
    ("LeakyRelu", elementwise::function),
    ("Less", masks::compare),
    ("LessOrEqual", masks::compare),
    ("Log", elementwise::function),
    ("LogSoftmax", reductions::softmax),
    ("MatMul", products::matmul),
    ("Max", elementwise::extremum),
    ("MaxPool", pools::max_pool),
    ("Min", elementwise::extremum),
    ("Mish", elementwise::function),
    ("Mod", constants::binary),
    ("Mul", sums::mul),
    ("Neg", elementwise::function),
    ("Not", masks::not),
    ("Or", masks::logic),
    ("PRelu", elementwise::prelu),
    ("Pad", pads::pad),
    ("Pow", elementwise::pow),
    ("RMSNormalization", normalization::root_mean_square),
    ("Range", constants::range),
    ("Reciprocal", elementwise::function),
    ("ReduceL1", reductions::reduce),
    ("ReduceL2", reductions::reduce),
    ("ReduceLogSumExp", reductions::reduce),
    ("ReduceMax", reductions::reduce),
    ("ReduceMean", reductions::reduce),
    ("ReduceMin", reductions::reduce),
    ("ReduceProd", reductions::reduce),
    ("ReduceSum", reductions::reduce),
    ("ReduceSumSquare", reductions::reduce),
    ("Relu", elementwise::function),
    ("Reshape", shape::reshape),
    ("Resize", resize::resize),
    ("Round", elementwise::function),
    ("ScatterND", indices::scatter_nd),
    ("Selu", elementwise::selu),
    ("SequenceAt", indices::sequence_at),
    ("Shape", constants::shape),
    ("Sigmoid", elementwise::function),
    ("Sign", masks::sign),
    ("Sin", elementwise::function),
    ("Size", constants::size),
    ("Slice", selection::slice),
    ("Softmax", reductions::softmax),
    ("Softplus", elementwise::function),
    ("SpaceToDepth", shuffles::space_to_depth),
    ("Split", selection::split),
    ("SplitToSequence", indices::split_to_sequence),
    ("Sqrt", elementwise::function),
    ("Squeeze", shape::squeeze),
    ("Sub", sums::sub),
    ("Sum", sums::sum),
    ("Tanh", elementwise::function),
    ("Tile", shuffles::tile),
    ("Transpose", shape::transpose),
    ("Trilu", constants::triangle),
    ("Unsqueeze", shape::unsqueeze),
    ("Upsample", resize::resize),
    ("Where", masks::select),
    ("Xor", masks::logic),
];

/// The rule of an operator, where there is one.
pub(crate) fn rule(domain: &str, operator: &str) -> Option<Rule> {
    let own = matches!(domain, "" | "ai.onnx");
    let found = RULES.iter().find(|(name, _)| own && *name == operator);
    found.map(|&(_, rule)| rule)
}

/// All operators that are there, in lines of a terminal's width.
pub(crate) fn names() -> String {
    let mut lines = String::from(" ");
    let mut column = 1;
    for (name, _) in RULES {
        if column + name.len() > 98 {
            lines.push_str("\n ");
            column = 1;
        }
        lines.push(' ');
        lines.push_str(name);
        column += 1 + name.len();
    }
    lines
}

fn one(operand: Operand) -> Result<Vec<Operand>, Reason> {
    Ok(vec![operand])
}

fn value(value: Value) -> Result<Vec<Operand>, Reason> {
    one(Operand::Value(value))
}
