//! Operations of a plan on one example, in float64, each as its definition says.

use crate::array::{Array, Kind};
use crate::plan::{Function, Operation, Plan, Windows};

fn broadcast(values: &[f64], own: &[usize], shape: &[usize]) -> Vec<f64> {
    let array = Array::new(own.to_vec(), Kind::Float, values.to_vec());
    array
        .expand(shape)
        .expect("a shape that fits")
        .values
        .to_vec()
}

/// The error function by its series, which converges everywhere.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    if x.abs() > 5.0 {
        x.signum()
    } else {
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }
}

fn function(function: Function, x: f64) -> f64 {
    let sigmoid = 1.0 / (1.0 + (-x).exp());
    let softplus = x.exp().ln_1p();
    match function {
        Function::Relu => x.max(0.0),
        Function::Tanh => x.tanh(),
        Function::Sigmoid => sigmoid,
        Function::Softplus => softplus,
        Function::Silu => x * sigmoid,
        Function::Gelu => 0.5 * x * (1.0 + erf(x / 2f64.sqrt())),
        Function::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        Function::Mish => x * softplus.tanh(),
        Function::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Function::HardSigmoid { slope, offset } => (slope * x + offset).clamp(0.0, 1.0),
        Function::LeakyRelu { slope } => {
            if x < 0.0 {
                slope * x
            } else {
                x
            }
        }
        Function::Elu { scale } => {
            if x < 0.0 {
                scale * x.exp_m1()
            } else {
                x
            }
        }
        Function::Clip { low, high } => x.min(high).max(low),
        Function::Erf => erf(x),
        Function::Exp => x.exp(),
        Function::Log => x.ln(),
        Function::Sqrt => x.sqrt(),
        Function::Reciprocal => 1.0 / x,
        Function::Abs => x.abs(),
        Function::Sin => x.sin(),
        Function::Cos => x.cos(),
        Function::Power { exponent } => x.powf(exponent),
        Function::Line { scale, shift } => scale * x + shift,
    }
}

/// All indices of a shape in row-major order.
fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![Vec::new()], |indices, &extent| {
        let longer = indices
            .iter()
            .flat_map(|index| (0..extent).map(|last| [&index[..], &[last]].concat()));
        longer.collect()
    })
}

fn place(index: &[usize], shape: &[usize]) -> usize {
    index
        .iter()
        .zip(shape)
        .fold(0, |place, (index, extent)| place * extent + index)
}

/// Shows (output place, window element, input place) of all windows inside an image; the shapes are those of extents.
fn windows(
    windows: &Windows,
    output: &[usize],
    input: &[usize],
    mut see: impl FnMut(usize, usize, usize),
) {
    for (out, at) in indices(output).iter().enumerate() {
        for (tap, offset) in indices(&windows.kernel).iter().enumerate() {
            let inside = (0..input.len()).map(|axis| {
                let padded =
                    at[axis] * windows.strides[axis] + offset[axis] * windows.dilations[axis];
                padded
                    .checked_sub(windows.padding[axis].0)
                    .filter(|&place| place < input[axis])
            });
            if let Some(inside) = inside.collect::<Option<Vec<_>>>() {
                see(out, tap, place(&inside, input));
            }
        }
    }
}

/// Sums of an example's elements over runs of `count`, normalised to mean 0 and variance 1.
fn normalize(x: &[f64], count: usize, epsilon: f64) -> Vec<f64> {
    let normalized = x.chunks(count).flat_map(|run| {
        let mean = run.iter().sum::<f64>() / count as f64;
        let variance = run.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count as f64;
        run.iter()
            .map(move |x| (x - mean) / (variance + epsilon).sqrt())
    });
    normalized.collect()
}

fn affine(
    x: &[f64],
    weight: Option<&[f64]>,
    bias: Option<&[f64]>,
    own: &[usize],
    shape: &[usize],
) -> Vec<f64> {
    let weight = weight.map(|weight| broadcast(weight, own, shape));
    let bias = bias.map(|bias| broadcast(bias, own, shape));
    let at = |values: &Option<Vec<f64>>, place: usize, none: f64| {
        values.as_ref().map_or(none, |values| values[place])
    };
    let values = x.iter().enumerate();
    values
        .map(|(place, x)| x * at(&weight, place, 1.0) + at(&bias, place, 0.0))
        .collect()
}

/// The output of `plan` for one example.
pub(super) fn plan(plan: &Plan, weights: &[Vec<f64>], input: Vec<f64>) -> Vec<f64> {
    let mut values = vec![input];
    for step in &plan.steps {
        let inputs: Vec<(&[f64], &[usize])> = step
            .inputs
            .iter()
            .map(|&input| (&values[input][..], plan.shape(input)))
            .collect();
        let (x, from) = inputs[0];
        let shape = &step.shape[..];
        let size: usize = shape.iter().product();
        let weight = |id: usize| &weights[id][..];
        let channel = |shape: &[usize]| [&[shape[0]][..], &vec![1; shape.len() - 1]].concat();
        let value: Vec<f64> = match &step.operation {
            &Operation::Function(f) => x.iter().map(|&x| function(f, x)).collect(),
            Operation::Shift(c) => affine(x, None, Some(&c.values), &c.shape, shape),
            Operation::Scale(c) => affine(x, Some(&c.values), None, &c.shape, shape),
            Operation::ShiftBy(id, own) => affine(x, None, Some(weight(*id)), own, shape),
            Operation::ScaleBy(id, own) => affine(x, Some(weight(*id)), None, own, shape),
            Operation::Constant(array) => array.values.to_vec(),
            &Operation::Parameter(id) => weight(id).to_vec(),
            Operation::Sum => {
                let (a, b) = (
                    broadcast(x, from, shape),
                    broadcast(inputs[1].0, inputs[1].1, shape),
                );
                a.iter().zip(b).map(|(a, b)| a + b).collect()
            }
            Operation::Product => {
                let (a, b) = (
                    broadcast(x, from, shape),
                    broadcast(inputs[1].0, inputs[1].1, shape),
                );
                a.iter().zip(b).map(|(a, b)| a * b).collect()
            }
            Operation::MatMul => {
                let (rows, inner) = (from[from.len() - 2], from[from.len() - 1]);
                let (columns, leading) = (shape[shape.len() - 1], &shape[..shape.len() - 2]);
                let x = broadcast(x, from, &[leading, &[rows, inner]].concat());
                let y = broadcast(
                    inputs[1].0,
                    inputs[1].1,
                    &[leading, &[inner, columns]].concat(),
                );
                let entry = |place: usize| {
                    let (matrix, row, column) = (
                        place / (rows * columns),
                        place / columns % rows,
                        place % columns,
                    );
                    let term = |k: usize| {
                        x[(matrix * rows + row) * inner + k]
                            * y[(matrix * inner + k) * columns + column]
                    };
                    (0..inner).map(term).sum()
                };
                (0..size).map(entry).collect()
            }
            &Operation::Affine { weight: id, bias } => {
                let (inputs, outputs) = (from[from.len() - 1], shape[shape.len() - 1]);
                let entry = |place: usize| {
                    let (row, column) = (place / outputs, place % outputs);
                    let dot: f64 = (0..inputs)
                        .map(|k| x[row * inputs + k] * weight(id)[column * inputs + k])
                        .sum();
                    dot + bias.map_or(0.0, |bias| weight(bias)[column])
                };
                (0..size).map(entry).collect()
            }
            Operation::Convolution {
                weight: id,
                bias,
                windows: own,
                groups,
            } => {
                let (taps, pixels): (usize, usize) =
                    (own.kernel.iter().product(), shape[1..].iter().product());
                let image: usize = from[1..].iter().product();
                let (inputs, outputs) = (from[0] / groups, shape[0] / groups);
                let mut y = vec![0.0; size];
                for output in 0..shape[0] {
                    let group = output / outputs;
                    windows(own, &shape[1..], &from[1..], |out, tap, place| {
                        for input in 0..inputs {
                            y[output * pixels + out] += weight(*id)
                                [(output * inputs + input) * taps + tap]
                                * x[(group * inputs + input) * image + place];
                        }
                    });
                }
                affine(&y, None, bias.map(weight), &channel(shape), shape)
            }
            Operation::TransposedConvolution {
                weight: id,
                bias,
                windows: own,
                groups: 1,
                ..
            } => {
                let taps: usize = own.kernel.iter().product();
                let (pixels, image): (usize, usize) =
                    (shape[1..].iter().product(), from[1..].iter().product());
                let mut y = vec![0.0; size];
                windows(own, &from[1..], &shape[1..], |place, tap, out| {
                    for output in 0..shape[0] {
                        for input in 0..from[0] {
                            y[output * pixels + out] += weight(*id)
                                [(input * shape[0] + output) * taps + tap]
                                * x[input * image + place];
                        }
                    }
                });
                affine(&y, None, bias.map(weight), &channel(shape), shape)
            }
            &Operation::Embedding(id) => {
                let width = shape[shape.len() - 1];
                x.iter()
                    .flat_map(|&token| weight(id)[token as usize * width..][..width].to_vec())
                    .collect()
            }
            Operation::BatchNorm {
                weight: gamma,
                bias,
                statistics: [mean, variance],
                epsilon,
            } => {
                let r: Vec<f64> = variance
                    .values
                    .iter()
                    .map(|variance| 1.0 / (variance + epsilon).sqrt())
                    .collect();
                let shift: Vec<f64> = mean.values.iter().map(|mean| -mean).collect();
                let own = channel(shape);
                let x = affine(x, None, Some(&shift), &own, shape);
                let x = affine(&x, Some(&r), None, &own, shape);
                affine(&x, Some(weight(*gamma)), Some(weight(*bias)), &own, shape)
            }
            &Operation::LayerNorm {
                weight: gamma,
                bias,
                axes,
                epsilon,
            } => {
                let own = &shape[shape.len() - axes..];
                let x = normalize(x, own.iter().product(), epsilon);
                affine(&x, gamma.map(weight), bias.map(weight), own, shape)
            }
            &Operation::GroupNorm {
                groups,
                affine: own,
                epsilon,
            } => {
                let x = normalize(x, size / groups, epsilon);
                affine(
                    &x,
                    own.map(|own| weight(own.0)),
                    own.map(|own| weight(own.1)),
                    &channel(shape),
                    shape,
                )
            }
            Operation::Dropout { .. } => x.to_vec(),
            Operation::Softmax | Operation::LogSoftmax => {
                let is_log = matches!(step.operation, Operation::LogSoftmax);
                let rows = x.chunks(shape[shape.len() - 1]).flat_map(|row| {
                    let sum: f64 = row.iter().map(|x| x.exp()).sum();
                    row.iter()
                        .map(move |x| if is_log { x - sum.ln() } else { x.exp() / sum })
                });
                rows.collect()
            }
            Operation::Move(movement) => {
                let array = Array::new(from.to_vec(), Kind::Float, x.to_vec());
                movement
                    .apply(&array)
                    .expect("a movement that fits")
                    .values
                    .to_vec()
            }
            Operation::Pad { pads, value } => {
                let mut y = vec![*value; size];
                for (index, x) in indices(from).iter().zip(x) {
                    let index: Vec<usize> = index
                        .iter()
                        .zip(pads)
                        .map(|(index, pads)| index + pads.0)
                        .collect();
                    y[place(&index, shape)] = *x;
                }
                y
            }
            Operation::Reduce { axes, is_mean } => {
                let mut y = vec![0.0; size];
                for (mut index, x) in indices(from).into_iter().zip(x) {
                    axes.iter().for_each(|&axis| index[axis] = 0);
                    y[place(&index, shape)] += x;
                }
                let divisor = if *is_mean { x.len() / size } else { 1 };
                y.iter().map(|y| y / divisor as f64).collect()
            }
            Operation::Concat { axis } => {
                let outer: usize = shape[..*axis].iter().product();
                let parts = (0..outer).flat_map(|row| {
                    inputs.iter().flat_map(move |(x, _)| {
                        let block = x.len() / outer;
                        x[row * block..][..block].to_vec()
                    })
                });
                parts.collect()
            }
            Operation::MaxPool(own) | Operation::AveragePool { windows: own, .. } => {
                let (pixels, image): (usize, usize) =
                    (shape[1..].iter().product(), from[1..].iter().product());
                let is_max = matches!(step.operation, Operation::MaxPool(_));
                let mut y = vec![if is_max { f64::NEG_INFINITY } else { 0.0 }; size];
                let taps: usize = own.kernel.iter().product();
                for channel in 0..shape[0] {
                    windows(own, &shape[1..], &from[1..], |out, _, place| {
                        let (y, x) = (&mut y[channel * pixels + out], x[channel * image + place]);
                        *y = if is_max {
                            y.max(x)
                        } else {
                            *y + x / taps as f64
                        };
                    });
                }
                y
            }
            Operation::Repeat(factors) => {
                let source = |index: Vec<usize>| {
                    index
                        .iter()
                        .zip(factors)
                        .map(|(index, factor)| index / factor)
                        .collect::<Vec<_>>()
                };
                indices(shape)
                    .into_iter()
                    .map(|index| x[place(&source(index), from)])
                    .collect()
            }
            other => panic!("no case here has {}", other.name()),
        };
        assert_eq!(value.len(), size, "{}", step.name);
        values.push(value);
    }
    values.pop().expect("an output")
}
