//! Norms of the weights: ‖θ‖, and ‖θ_l‖ of each layer l, with ‖θ‖² = Σ ‖θ_l‖² (claim C8); and of those that
//! the function depends on by their direction alone.
//!
//! Euclidean norms of sums of squares, not means. Of θ − θ₀, the initial parameters, they are the
//! distance from initialisation (Nagarajan and Kolter, "Generalization in Deep Networks: The Role of
//! Distance from Initialization", 2019).
//!
//! ```text
//! z = batch-norm(W x + b):     z(a W) = z(W) for a > 0,   H(a W) = a⁻² H(W) on the elements of W
//! ```
//!
//! with batch statistics and up to their ε. Such a W is scale-invariant: weight decay shrinks it and changes
//! nothing but the scale of the curvature (van Laarhoven, "L2 Regularization versus Batch and Weight
//! Normalization", 2017). Of b the function does not depend at all.

use std::ops::Range;

use candle_core::Tensor;
use flatness_kernels::norm;
use flatness_layers::{Network, ParamLayout, Step};
use flatness_operator::check_dim;

use crate::Error;
use crate::graph::{users, weighted};

/// ‖θ‖ and its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightNorms {
    /// ‖θ‖
    pub total: f64,
    /// ‖θ_l‖ of each layer with parameters, in the order of the layout.
    pub layers: Vec<LayerNorm>,
}

/// ‖θ_l‖
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    /// Name of the layer: that of its parameters without their last part.
    pub name: String,
    /// Norm of all its parameters together.
    pub norm: f64,
}

/// Norms of `theta` (P), summed in double precision.
///
/// # Errors
/// A `theta` that is not of the layout, or a device error.
pub fn weight_norms(layout: &ParamLayout, theta: &Tensor) -> Result<WeightNorms, Error> {
    let mut layers: Vec<LayerNorm> = Vec::new();
    for (parameter, view) in layout.parameters().iter().zip(layout.views(theta)?) {
        let name = layer_of(&parameter.name);
        let length = norm(&view)?;
        match layers.last_mut() {
            Some(last) if last.name == name => last.norm = last.norm.hypot(length),
            _ => layers.push(LayerNorm {
                name: name.to_owned(),
                norm: length,
            }),
        }
    }
    Ok(WeightNorms {
        total: norm(theta)?,
        layers,
    })
}

/// The scale-invariant weights of `network`, whose batch-norm takes the statistics of its batches: name and range
/// in the flat vector of the weight of each affine or convolutional layer whose output goes into batch-norm and
/// nowhere else. None of a network that is frozen.
#[must_use]
pub fn scale_invariant_weights(network: &Network) -> Vec<(&str, Range<usize>)> {
    let steps: Vec<Step<'_>> = network.steps().collect();
    let normalizes = |user: usize| steps[user].layer.batch_norm().is_some();
    let weight = |index: usize| {
        let weight = weighted(&steps, index)?.first()?;
        let mut users = users(&steps, index + 1).peekable();
        users.peek()?;
        let name = network.layout().parameters()[*weight].name.as_str();
        let range = network.layout().ranges().nth(*weight)?;
        users.all(normalizes).then_some((name, range))
    };
    (0..steps.len()).filter_map(weight).collect()
}

/// The norm of all scale-invariant weights of `network` together at `theta` (P); zero where there are none.
///
/// # Errors
/// A `theta` that is not of the layout, or a device error.
pub fn scale_invariant_norm(network: &Network, theta: &Tensor) -> Result<f64, Error> {
    check_dim("theta", theta, network.layout().dim())?;
    let weights = scale_invariant_weights(network).into_iter();
    let mut norms = weights.map(|(_, range)| norm(&theta.narrow(0, range.start, range.len())?));
    norms.try_fold(0.0, |total: f64, norm| Ok(total.hypot(norm?)))
}

/// The name of a parameter without its last part.
fn layer_of(parameter: &str) -> &str {
    parameter
        .rsplit_once('.')
        .map_or(parameter, |(layer, _)| layer)
}
