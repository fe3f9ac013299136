//! Where weights stand in the graph of a network.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use flatness_layers::{Homogeneity, Network, Step};

use crate::Error;

/// Name and parameters of a step that is affine in weights and inputs.
pub(crate) fn weighted<'n>(step: &Step<'n>) -> Option<(&'n str, Range<usize>)> {
    match step {
        Step::Layer {
            name,
            layer,
            parameters,
            ..
        } if layer.homogeneity() == Homogeneity::Affine => Some((name, parameters.clone())),
        _ => None,
    }
}

/// The steps that take `value`; value k + 1 is the output of step k.
pub(crate) fn users(steps: &[Step<'_>], value: usize) -> impl Iterator<Item = usize> {
    (0..steps.len()).filter(move |&user| match &steps[user] {
        Step::Layer { input, .. } => *input == value,
        Step::Sum(inputs) => inputs.contains(&value),
    })
}

/// Elements of the flat vector that belong to these `parameters` of the layout.
pub(crate) fn span(network: &Network, parameters: Range<usize>) -> Range<usize> {
    let mut ranges = network
        .layout()
        .ranges()
        .skip(parameters.start)
        .take(parameters.len());
    let first = ranges.next().unwrap_or_default();
    first.start..ranges.last().map_or(first.end, |last| last.end)
}

/// The diagonal (P) that multiplies the elements in these ranges and leaves the others as they are.
pub(crate) fn diagonal(
    dim: usize,
    factors: impl IntoIterator<Item = (Range<usize>, f64)>,
    dtype: DType,
    device: &Device,
) -> Result<Tensor, Error> {
    let mut diagonal = vec![1.0; dim];
    for (range, factor) in factors {
        diagonal[range].fill(factor);
    }
    let diagonal = Tensor::from_vec(diagonal, dim, &Device::Cpu)?;
    Ok(diagonal.to_dtype(dtype)?.to_device(device)?)
}
