//! From a plan to a network of layers: one arm an operation.

mod images;

use candle_core::{DType, Device, Tensor};
use flatness_layers::{
    Activation, Affine, AveragePool, BatchNorm, Choice, Concat, Convolution, Convolved, Dropout,
    Embedding, Factors, Filter, GlobalAveragePool, Graph, GroupNorm, Largest, Layer, LayerNorm,
    Learned, LogSoftmax, MatMul, MaxPool, Network, Offset, Product, Reduce, Reshape, Scale, Select,
    Shift, Softmax, Sum, Transpose, Value, WeightedSums,
};

use images::grid;

use crate::Error;
use crate::array::{Array, Reason};
use crate::movement::Movement;
use crate::plan::{Function, Operation, Plan, Step, WeightId};

/// A graph under construction and the plan of it.
struct Builder<'p> {
    graph: Graph,
    plan: &'p Plan,
    values: Vec<Value>,
}

/// The network of `plan`; `origin` names the file in errors.
pub(crate) fn network(plan: &Plan, origin: &str) -> Result<Network, Error> {
    let graph = Graph::new(&plan.input);
    let mut builder = Builder {
        values: vec![graph.input()],
        graph,
        plan,
    };
    for step in &plan.steps {
        let value = builder.step(step).map_err(|refusal| match refusal {
            Refusal::Reason(reason) => Error::Node {
                origin: origin.to_owned(),
                node: step.name.clone(),
                operator: step.operation.name().to_owned(),
                reason: reason.into_owned(),
            },
            Refusal::Error(error) => error,
        })?;
        builder.values.push(value);
    }
    let output = builder.values[plan.steps.len()];
    Ok(builder.graph.finish(output)?)
}

/// A step that no layer is there for, or one that fails.
enum Refusal {
    Reason(Reason),
    Error(Error),
}

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

fn refused<T>(reason: impl Into<Reason>) -> Result<T, Refusal> {
    Err(Refusal::Reason(reason.into()))
}

/// The constants of a layer, in float64; layers take them in the number type of their values.
fn constants(array: &Array) -> Result<Tensor, Refusal> {
    Ok(Tensor::new(array.values.as_slice(), &Device::Cpu)?.reshape(array.shape.as_slice())?)
}

impl Builder<'_> {
    /// Puts `layer` behind the inputs of `step`, with these parameters.
    fn put(
        &mut self,
        step: &Step,
        layer: impl Layer + 'static,
        parameters: &[WeightId],
    ) -> Result<Value, Refusal> {
        let inputs: Vec<Value> = step
            .inputs
            .iter()
            .map(|&input| self.values[input])
            .collect();
        self.behind(&inputs, step, layer, parameters)
    }

    /// Puts `layer` behind `inputs`.
    fn behind(
        &mut self,
        inputs: &[Value],
        step: &Step,
        layer: impl Layer + 'static,
        parameters: &[WeightId],
    ) -> Result<Value, Refusal> {
        let first = parameters.first();
        let name = first.map(|&weight| self.plan.weights[weight].name.as_str());
        // A layer with parameters is called by them.
        let module = name.and_then(|name| name.strip_suffix(".weight"));
        self.named(module.unwrap_or(&step.name), inputs, layer, parameters)
    }

    fn named(
        &mut self,
        name: &str,
        inputs: &[Value],
        layer: impl Layer + 'static,
        parameters: &[WeightId],
    ) -> Result<Value, Refusal> {
        let names = parameters.iter();
        let names = names.map(|&weight| self.plan.weights[weight].name.as_str());
        let names: Vec<&str> = names.collect();
        Ok(self.graph.tied(name, layer, inputs, &names)?)
    }

    fn step(&mut self, step: &Step) -> Result<Value, Refusal> {
        let input = self.values[step.inputs[0]];
        let from = self.graph.shape(input)?.to_vec();
        let of = |weight: WeightId| self.plan.weights[weight].shape.clone();
        match &step.operation {
            &Operation::Function(function) => self.put(step, activation(function), &[]),
            Operation::Shift(array) => self.put(step, Shift::new(constants(array)?), &[]),
            Operation::Scale(array) => self.put(step, Factors::new(constants(array)?), &[]),
            Operation::ShiftBy(weight, shape) => match is_spread(&of(*weight), shape) {
                true => self.put(step, Offset::new(&of(*weight)), &[*weight]),
                false => self.beside(step, Sum, *weight, shape),
            },
            Operation::ScaleBy(weight, shape) => match is_spread(&of(*weight), shape) {
                true => self.put(step, Scale::new(&of(*weight)), &[*weight]),
                false => self.beside(step, Product, *weight, shape),
            },
            Operation::Constant(array) => self.constant(step, array, &from),
            &Operation::Parameter(weight) => self.put(step, Learned::new(&of(weight)), &[weight]),
            Operation::Sum => self.put(step, Sum, &[]),
            Operation::Product => self.put(step, Product, &[]),
            Operation::MatMul => self.put(step, MatMul, &[]),
            &Operation::Affine {
                weight,
                bias,
                is_inputs_first,
            } => {
                let &[rows, columns] = &of(weight)[..] else {
                    return refused("has no matrix");
                };
                let layer = match is_inputs_first {
                    true => Affine::new(rows, columns).with_inputs_first(),
                    false => Affine::new(columns, rows),
                };
                match bias {
                    Some(bias) => self.put(step, layer, &[weight, bias]),
                    None => self.put(step, layer.without_bias(), &[weight]),
                }
            }
            Operation::Convolution {
                weight,
                bias,
                windows,
                groups,
            } => self.convolution(step, (*weight, *bias), windows, *groups),
            Operation::Convolved { windows, groups } => {
                let kernel = self.graph.shape(self.values[step.inputs[1]])?;
                let [outputs, inputs] = [kernel[0], kernel[1] * groups];
                let grid = grid(windows, *groups);
                let layer = Convolution::new(inputs, outputs, &windows.kernel, grid);
                self.put(step, Convolved::new(layer), &[])
            }
            Operation::Filter {
                kernel,
                windows,
                groups,
            } => {
                let [outputs, inputs] = [kernel.shape[0], kernel.shape[1] * groups];
                let grid = grid(windows, *groups);
                let layer = Convolution::new(inputs, outputs, &windows.kernel, grid);
                self.put(step, Filter::new(layer, constants(kernel)?), &[])
            }
            &Operation::Embedding(weight) => match of(weight)[..] {
                [rows, width] => self.put(step, Embedding::new(rows, width), &[weight]),
                _ => refused("has no matrix"),
            },
            Operation::BatchNorm {
                name,
                affine,
                epsilon,
                ..
            } => {
                let &[channels, ref extents @ ..] = &from[..] else {
                    return refused("has no channels");
                };
                let image = match *extents {
                    [] => [channels, 1, 1],
                    [length] => [channels, length, 1],
                    [height, width] => [channels, height, width],
                    [depth, height, ref others @ ..] => {
                        [channels, depth * height, others.iter().product()]
                    }
                };
                let image = self.reshaped(&[input], step, &image)?;
                let layer = BatchNorm::new(channels).with_epsilon(*epsilon);
                let (layer, parameters) = match *affine {
                    Some((weight, bias)) => (layer, vec![weight, bias]),
                    None => (layer.without_parameters(), Vec::new()),
                };
                let normalized = self.named(name, &[image], layer, &parameters)?;
                self.reshaped(&[normalized], step, &from)
            }
            &Operation::LayerNorm {
                weight,
                bias,
                axes,
                epsilon,
            } => {
                let layer =
                    LayerNorm::new(&from[from.len().saturating_sub(axes)..]).with_epsilon(epsilon);
                match (weight, bias) {
                    (Some(weight), Some(bias)) => self.put(step, layer, &[weight, bias]),
                    (Some(weight), None) => self.put(step, layer.without_bias(), &[weight]),
                    (None, None) => self.put(step, layer.without_parameters(), &[]),
                    (None, Some(_)) => refused("has a shift and no scale"),
                }
            }
            &Operation::GroupNorm {
                groups,
                affine,
                epsilon,
            } => {
                let layer = GroupNorm::new(groups, from[0]).with_epsilon(epsilon);
                match affine {
                    Some((weight, bias)) => self.put(step, layer, &[weight, bias]),
                    None => self.put(step, layer.without_parameters(), &[]),
                }
            }
            &Operation::Dropout { rate } => self.put(step, Dropout::new(rate)?, &[]),
            Operation::Softmax => self.put(step, Softmax, &[]),
            Operation::LogSoftmax => self.put(step, LogSoftmax, &[]),
            Operation::Move(movement) => match movement {
                Movement::Reshape(shape) => self.put(step, Reshape::new(shape), &[]),
                Movement::Transpose(order) => self.put(step, Transpose::new(order), &[]),
                &Movement::Slice {
                    axis,
                    start,
                    step: apart,
                    count,
                } => {
                    let place = |index: usize| (start as isize + index as isize * apart) as u32;
                    let places: Vec<u32> = (0..count).map(place).collect();
                    self.put(step, Select::new(axis, &places), &[])
                }
                Movement::Take { axis, indices } => {
                    let places: Vec<u32> = indices.iter().map(|&index| index as u32).collect();
                    self.put(step, Select::new(*axis, &places), &[])
                }
                Movement::Expand(shape) => {
                    let ones = Tensor::ones(shape.as_slice(), DType::F32, &Device::Cpu)?;
                    self.put(step, Factors::new(ones), &[])
                }
            },
            Operation::Pad { pads, value } => self.padded(step, input, pads, *value),
            Operation::Reduce {
                axes,
                is_mean: true,
            } if from.len() == 3 && *axes == [1, 2] => {
                let means = self.put(step, GlobalAveragePool, &[])?;
                self.reshaped(&[means], step, &step.shape)
            }
            Operation::Reduce {
                axes,
                is_mean: true,
            } => self.put(step, Reduce::mean(axes), &[]),
            Operation::Reduce {
                axes,
                is_mean: false,
            } => self.put(step, Reduce::sum(axes), &[]),
            &Operation::Concat { axis } => self.put(step, Concat::new(axis), &[]),
            Operation::MaxPool {
                kernel,
                stride,
                padding,
            } => {
                let pads = [&[(0, 0)], padding.as_slice()].concat();
                let image = self.padded(step, input, &pads, f64::NEG_INFINITY)?;
                self.behind(&[image], step, MaxPool::new(*kernel, *stride), &[])
            }
            &Operation::AveragePool { kernel, stride } => {
                self.put(step, AveragePool::new(kernel, stride), &[])
            }
            Operation::WeightedSums { axis, windows } => {
                self.put(step, WeightedSums::new(*axis, windows.clone()), &[])
            }
            Operation::Largest { axis, windows } => {
                self.put(step, Largest::new(*axis, windows.clone()), &[])
            }
            Operation::Choice => self.put(step, Choice, &[]),
            Operation::TransposedConvolution {
                weight,
                bias,
                windows,
                groups,
                output_padding,
            } => self.transposed_convolution(
                step,
                (*weight, *bias),
                (windows, output_padding),
                *groups,
            ),
        }
    }

    fn reshaped(
        &mut self,
        inputs: &[Value; 1],
        step: &Step,
        shape: &[usize],
    ) -> Result<Value, Refusal> {
        if self.graph.shape(inputs[0])? == shape {
            return Ok(inputs[0]);
        }
        self.behind(inputs, step, Reshape::new(shape), &[])
    }

    /// A value and a parameter that has other axes in PyTorch than it is broadcast with.
    fn beside(
        &mut self,
        step: &Step,
        layer: impl Layer + 'static,
        weight: WeightId,
        shape: &[usize],
    ) -> Result<Value, Refusal> {
        let learned = Learned::new(&self.plan.weights[weight].shape);
        let value = self.put(step, learned, &[weight])?;
        let value = self.reshaped(&[value], step, shape)?;
        self.behind(&[self.values[step.inputs[0]], value], step, layer, &[])
    }

    /// A constant as the value of each example: 0 of any one of them, and the constant.
    fn constant(&mut self, step: &Step, array: &Array, from: &[usize]) -> Result<Value, Refusal> {
        let count: usize = from.iter().product();
        let flat = self.put(step, Reshape::new(&[count]), &[])?;
        let sum = self.behind(&[flat], step, Reduce::sum(&[0]), &[])?;
        let zeros = Tensor::zeros(array.shape.as_slice(), DType::F32, &Device::Cpu)?;
        let zeros = self.behind(&[sum], step, Factors::new(zeros), &[])?;
        self.behind(&[zeros], step, Shift::new(constants(array)?), &[])
    }
}

/// Whether a parameter of shape `own` is broadcast as one of `shape` is, but for axes of one element in front of either.
fn is_spread(own: &[usize], shape: &[usize]) -> bool {
    let ones = own.iter().take_while(|&&extent| extent == 1).count();
    let own = &own[ones..];
    let front = shape.len().checked_sub(own.len());
    front.is_some_and(|front| {
        shape[..front].iter().all(|&extent| extent == 1) && shape[front..] == *own
    })
}

fn activation(function: Function) -> Activation {
    match function {
        Function::Relu => Activation::Relu,
        Function::Tanh => Activation::Tanh,
        Function::Sigmoid => Activation::Sigmoid,
        Function::Softplus => Activation::Softplus,
        Function::Silu => Activation::Silu,
        Function::Gelu => Activation::Gelu,
        Function::GeluTanh => Activation::GeluTanh,
        Function::Mish => Activation::Mish,
        Function::HardSwish => Activation::HardSwish,
        Function::HardSigmoid { slope, offset } => Activation::HardSigmoid {
            slope,
            shift: offset,
        },
        Function::LeakyRelu { slope } => Activation::LeakyRelu { slope },
        Function::Elu { scale } => Activation::Elu { alpha: scale },
        Function::Clip { low, high } => Activation::Clip {
            lowest: low,
            highest: high,
        },
        Function::Erf => Activation::Erf,
        Function::Exp => Activation::Exp,
        Function::Log => Activation::Log,
        Function::Sqrt => Activation::Sqrt,
        Function::Reciprocal => Activation::Reciprocal,
        Function::Abs => Activation::Abs,
        Function::Sin => Activation::Sin,
        Function::Cos => Activation::Cos,
        Function::Power { exponent } => Activation::Power { exponent },
        Function::Line { scale, shift } => Activation::Linear { scale, shift },
        Function::Step { at_zero } => Activation::Step { at_zero },
    }
}
