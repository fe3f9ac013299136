//! Where weights stand in the graph of a network.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use flatness_layers::{Homogeneity, Network, Step};

use crate::Error;

/// Parameters of step `index` where it is affine in weights and inputs, and no other step uses them.
pub(crate) fn weighted<'n>(steps: &[Step<'n>], index: usize) -> Option<&'n [usize]> {
    let Step {
        layer, parameters, ..
    } = steps[index];
    let others = steps[..index].iter().chain(&steps[index + 1..]);
    let mut used = others.flat_map(|step| step.parameters);
    let tied = used.any(|parameter| parameters.contains(parameter));
    (layer.homogeneity() == Homogeneity::Affine && !tied).then_some(parameters)
}

/// The steps that take `value`; value k + 1 is the output of step k.
pub(crate) fn users(steps: &[Step<'_>], value: usize) -> impl Iterator<Item = usize> {
    (0..steps.len()).filter(move |&user| steps[user].inputs.contains(&value))
}

/// Elements of the flat vector that belong to each of these `parameters` of the layout.
pub(crate) fn ranges(network: &Network, parameters: &[usize]) -> Vec<Range<usize>> {
    let all: Vec<_> = network.layout().ranges().collect();
    let ranges = parameters.iter().map(|&parameter| all[parameter].clone());
    ranges.collect()
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
