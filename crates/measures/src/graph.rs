//! Where weights stand in the graph of a network.

use std::ops::Range;

use flatness_layers::{Homogeneity, Network, Parameter, Step};

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
    let all = network.layout().parameters();
    let length = |some: &[Parameter]| some.iter().map(Parameter::len).sum::<usize>();
    let start = length(&all[..parameters.start]);
    start..start + length(&all[parameters])
}
