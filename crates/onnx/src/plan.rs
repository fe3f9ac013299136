//! A network as the importer understands it: operations on one example, in order, with every constant resolved.
//!
//! Value 0 is the input, value k + 1 the output of operation k. Nothing here knows ONNX or layers: the importer makes a
//! plan, and `build` a network of it.

use crate::array::{Array, Reason};
use crate::movement::Movement;

/// A parameter of the network and the tensor of the file that has its values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Weight {
    pub(crate) name: String,
    /// As in PyTorch.
    pub(crate) shape: Vec<usize>,
    /// Number of the initialiser.
    pub(crate) tensor: usize,
    /// Whether the file has the matrix transposed.
    pub(crate) is_transposed: bool,
}

/// Number of a parameter in the plan.
pub(crate) type WeightId = usize;

/// y = f(x), elementwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Function {
    Relu,
    Tanh,
    Sigmoid,
    Softplus,
    Silu,
    /// x Φ(x).
    Gelu,
    /// Its approximation by tanh.
    GeluTanh,
    Mish,
    HardSwish,
    /// max(0, min(1, slope x + offset)).
    HardSigmoid {
        slope: f64,
        offset: f64,
    },
    LeakyRelu {
        slope: f64,
    },
    /// x for x > 0, else scale (eˣ - 1).
    Elu {
        scale: f64,
    },
    /// max(low, min(high, x)).
    Clip {
        low: f64,
        high: f64,
    },
    Erf,
    Exp,
    Log,
    Sqrt,
    Reciprocal,
    Abs,
    Sin,
    Cos,
    Power {
        exponent: f64,
    },
    /// scale x + shift.
    Line {
        scale: f64,
        shift: f64,
    },
    /// 1 above zero, 0 below.
    Step {
        at_zero: f64,
    },
}

/// Windows of a convolution or a pooling, one number an axis of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) kernel: Vec<usize>,
    pub(crate) strides: Vec<usize>,
    pub(crate) dilations: Vec<usize>,
    /// Before and behind.
    pub(crate) padding: Vec<(usize, usize)>,
}

/// What is done to one example. A constant or parameter beside a value has a shape that is broadcast to that of the value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operation {
    Function(Function),
    /// x + c.
    Shift(Array),
    /// c ⊙ x.
    Scale(Array),
    /// x + p, with the shape in which p is broadcast.
    ShiftBy(WeightId, Vec<usize>),
    /// p ⊙ x.
    ScaleBy(WeightId, Vec<usize>),
    /// The constant, for each example.
    Constant(Array),
    /// The parameter, for each example.
    Parameter(WeightId),
    /// Of two values of as many axes, broadcast to each other.
    Sum,
    /// Elementwise, of the same.
    Product,
    /// On the last two axes, with those before them broadcast.
    MatMul,
    /// x Wᵀ + b on the last axis, or x W + b where the parameter is (inputs, outputs).
    Affine {
        weight: WeightId,
        bias: Option<WeightId>,
        is_inputs_first: bool,
    },
    /// By a kernel that is no parameter, without a bias.
    Filter {
        kernel: Array,
        windows: Windows,
        groups: usize,
    },
    /// Of the first value by the second, without a bias.
    Convolved {
        windows: Windows,
        groups: usize,
    },
    Convolution {
        weight: WeightId,
        bias: Option<WeightId>,
        windows: Windows,
        groups: usize,
    },
    TransposedConvolution {
        weight: WeightId,
        bias: Option<WeightId>,
        windows: Windows,
        groups: usize,
        output_padding: Vec<usize>,
    },
    /// Rows of the weight, by the numbers in x.
    Embedding(WeightId),
    BatchNorm {
        /// Of the module, which one that is used twice has twice.
        name: String,
        affine: Option<(WeightId, WeightId)>,
        /// Running mean and variance.
        statistics: [Array; 2],
        epsilon: f64,
    },
    /// Over the last `axes` axes.
    LayerNorm {
        weight: Option<WeightId>,
        bias: Option<WeightId>,
        axes: usize,
        epsilon: f64,
    },
    /// Over each of `groups` parts of the first axis and all behind it; the affine map is one of channels.
    GroupNorm {
        groups: usize,
        affine: Option<(WeightId, WeightId)>,
        epsilon: f64,
    },
    /// That drops nothing but in training.
    Dropout {
        rate: f64,
    },
    /// Along the last axis.
    Softmax,
    /// Its logarithm.
    LogSoftmax,
    Move(Movement),
    /// Zeros, or another number, before and behind each axis.
    Pad {
        pads: Vec<(usize, usize)>,
        value: f64,
    },
    /// Sums, or means, over these axes, which stay as one element.
    Reduce {
        axes: Vec<usize>,
        is_mean: bool,
    },
    Concat {
        axis: usize,
    },
    /// Of square windows without gaps; what is around the image is smaller than all in it.
    MaxPool {
        kernel: usize,
        stride: usize,
        padding: Vec<(usize, usize)>,
    },
    /// Of square windows without gaps and padding.
    AveragePool {
        kernel: usize,
        stride: usize,
    },
    /// Weighted sums of elements along an axis, by their places.
    WeightedSums {
        axis: usize,
        windows: Vec<Vec<(u32, f64)>>,
    },
    /// The largest of elements along an axis, by their places.
    Largest {
        axis: usize,
        windows: Vec<Vec<u32>>,
    },
    /// The second value where the first is not zero, and the third elsewhere; of as many axes, broadcast to each other.
    Choice,
}

impl Operation {
    /// Its name in messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Function(_) => "an elementwise function",
            Self::Shift(_) | Self::ShiftBy(..) => "a sum with what is the same for all examples",
            Self::Scale(_) | Self::ScaleBy(..) => {
                "a product with what is the same for all examples"
            }
            Self::Constant(_) => "a constant",
            Self::Parameter(_) => "a parameter",
            Self::Sum => "a sum",
            Self::Product => "a product",
            Self::MatMul => "a matrix product",
            Self::Affine { .. } => "an affine map",
            Self::Convolution { .. } | Self::Filter { .. } | Self::Convolved { .. } => {
                "a convolution"
            }
            Self::TransposedConvolution { .. } => "a transposed convolution",
            Self::Embedding(_) => "an embedding",
            Self::BatchNorm { .. } => "a batch norm",
            Self::LayerNorm { .. } => "a layer norm",
            Self::GroupNorm { .. } => "a group norm",
            Self::Dropout { .. } => "a dropout",
            Self::Softmax | Self::LogSoftmax => "a softmax",
            Self::Move(_) => "a reordering",
            Self::Pad { .. } => "a padding",
            Self::Reduce { .. } => "a sum or mean over axes",
            Self::Concat { .. } => "a concatenation",
            Self::MaxPool { .. } => "a max pooling",
            Self::AveragePool { .. } => "an average pooling",
            Self::WeightedSums { .. } => "a sum of neighbours",
            Self::Largest { .. } => "a maximum",
            Self::Choice => "a choice",
        }
    }
}

/// An operation in its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// Of the module that it is of.
    pub(crate) name: String,
    pub(crate) operation: Operation,
    /// Numbers of values.
    pub(crate) inputs: Vec<usize>,
    /// Shape of one output example.
    pub(crate) shape: Vec<usize>,
    /// Whether it is made of comparisons alone: whole numbers that change with the data by steps.
    pub(crate) is_whole: bool,
}

/// A network before it is built.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Plan {
    /// Shape of one input example.
    pub(crate) input: Vec<usize>,
    pub(crate) steps: Vec<Step>,
    pub(crate) weights: Vec<Weight>,
}

/// Most elements of one example of a value, so that no product of extents overflows.
const MAX_ELEMENTS: usize = 1 << 36;

impl Plan {
    /// Puts a step at the end; the number of its value.
    pub(crate) fn push(
        &mut self,
        name: &str,
        operation: Operation,
        inputs: &[usize],
        shape: Vec<usize>,
    ) -> Result<usize, Reason> {
        let elements = shape
            .iter()
            .try_fold(1, |product: usize, &extent| product.checked_mul(extent));
        if elements.is_none_or(|elements| elements == 0 || elements > MAX_ELEMENTS) {
            return Err(format!("makes values of the impossible shape {shape:?}").into());
        }
        let are_whole = || {
            let mut inputs = inputs.iter().map(|&input| self.step(input));
            inputs.all(|step| step.is_some_and(|step| step.is_whole))
        };
        let is_whole = match &operation {
            Operation::Function(Function::Step { .. }) => true,
            Operation::Function(Function::Line { scale, shift }) => {
                scale.fract() == 0.0 && shift.fract() == 0.0 && are_whole()
            }
            Operation::Move(_) | Operation::Sum | Operation::Product => are_whole(),
            _ => false,
        };
        self.steps.push(Step {
            name: name.to_owned(),
            is_whole,
            operation,
            inputs: inputs.to_vec(),
            shape,
        });
        Ok(self.steps.len())
    }

    /// The step whose output is `value`; none for the input.
    pub(crate) fn step(&self, value: usize) -> Option<&Step> {
        self.steps.get(value.checked_sub(1)?)
    }

    /// The function and its argument, where `value` is one of a function.
    pub(crate) fn function(&self, value: usize) -> Option<(Function, usize)> {
        let step = self.step(value)?;
        match step.operation {
            Operation::Function(function) => Some((function, step.inputs[0])),
            _ => None,
        }
    }

    /// Shape of one example of `value`.
    pub(crate) fn shape(&self, value: usize) -> &[usize] {
        self.step(value).map_or(&self.input, |step| &step.shape)
    }

    /// Only what `output` needs, the last step of which it is.
    pub(crate) fn trim(&mut self, output: usize) {
        let mut is_used = vec![false; self.steps.len() + 1];
        is_used[output] = true;
        for value in (1..=self.steps.len()).rev() {
            if is_used[value] {
                for &input in &self.steps[value - 1].inputs {
                    is_used[input] = true;
                }
            }
        }
        let mut places = vec![0; self.steps.len() + 1];
        let mut kept = Vec::new();
        for (index, step) in std::mem::take(&mut self.steps).into_iter().enumerate() {
            if is_used[index + 1] {
                let inputs = step.inputs.iter().map(|&input| places[input]).collect();
                kept.push(Step { inputs, ..step });
                places[index + 1] = kept.len();
            }
        }
        self.steps = kept;
    }
}
