//! Norms of the weights: ‖θ‖, and ‖θ_l‖ of each layer l, with ‖θ‖² = Σ ‖θ_l‖² (claim C8).
//!
//! Euclidean norms of sums of squares, not means. Of θ − θ₀, the initial parameters, they are the
//! distance from initialisation (Nagarajan and Kolter, "Generalization in Deep Networks: The Role of
//! Distance from Initialization", 2019).

use candle_core::Tensor;
use flatness_layers::ParamLayout;

use crate::Error;
use crate::vector::{check_like, norm};

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

/// Norms of `theta` − `initial`, both (P).
///
/// # Errors
/// As [`weight_norms`], and an `initial` that is not like `theta`.
pub fn distance_from_initialization(
    layout: &ParamLayout,
    theta: &Tensor,
    initial: &Tensor,
) -> Result<WeightNorms, Error> {
    check_like("the initial parameters", theta, initial)?;
    weight_norms(layout, &(theta - initial)?)
}

/// The name of a parameter without its last part.
fn layer_of(parameter: &str) -> &str {
    parameter
        .rsplit_once('.')
        .map_or(parameter, |(layer, _)| layer)
}
