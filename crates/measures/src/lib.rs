//! Measures of sharpness beyond eigenvalues, of a mean loss L at parameters θ: scale-aware ones, and
//! ones that perturb θ and look.
//!
//! | measure | function | of | cost |
//! |---|---|---|---|
//! | ‖θ‖ and per layer, that of scale-invariant weights | [`weight_norms`], [`scale_invariant_norm`] | θ | none |
//! | the same function with another θ (Dinh et al. 2017) | [`Rescaling`] | θ | none |
//! | the same predictions with another confidence | [`HomogeneousScaling`] | θ | none |
//! | φ(ε), worst relative rise in a box (Keskar et al. 2017) | [`keskar_sharpness`] | objective | gradients, losses |
//! | greatest rise in a ball | [`ball_rise`] | objective | gradients, losses |
//! | rise under Gaussian noise, and its σ (Jiang et al. 2020) | [`pac_bayes_sigma`] | objective | losses |
//! | rise along directions, against ½ r² uᵀHu | [`loss_rises`], [`quadratic_form`], [`rise_over_quadratic`] | objective, H + γ I | losses, products |
//! | loss on a line or in a plane (Li et al. 2018) | [`loss_line`], [`loss_plane`] | objective | losses |
//! | θᵀ G θ, Fisher-Rao norm (Liang et al. 2019) | [`quadratic_form`] | G of all parameters | one product |
//! | relative flatness (Petzka et al. 2021) | [`relative_flatness`] | H or H + γ I of all parameters | products |
//!
//! The [`Objective`] is the mean loss, with the L2 term of training where that is wanted, in float64: the rest are
//! differences of it, which would be rounding in float32 below 1e-7 of the loss, and are refused.
//! None of what is of an objective can be had for another matrix or for some of the parameters.
//!
//! A number from random draws is an [`Estimate`] with its standard error; a maximum is an [`Ascent`], a
//! lower bound with its gap and its iterations. Each has the rounding of its losses or products, says what ended
//! it ([`Stop`]) and what it cost in sweeps over the data ([`Cost`]), and depends on nothing but its arguments,
//! seeds included. Before every sweep it asks the caller's [`Watch`] whether to go on; what there is by then is
//! the result, and [`Error::Interrupted`] where there is nothing.
//!
//! Two layers rescaled against each other, which changes sharpness and nothing else:
//!
//! `cargo run --release --example rescaling`:
//!
//! ```
#![doc = include_str!("../examples/rescaling.rs")]
//! ```
//!
//! This crate does not know eigensolvers, files or clocks. λ₁ ‖θ‖² and Tr ‖θ‖² are products of what
//! `flatness-spectrum` and [`weight_norms`] give, and adaptive sharpness is an eigenvalue of a congruence.

mod ascent;
mod error;
mod estimate;
mod graph;
mod keskar;
mod landscape;
mod norms;
mod objective;
mod pac_bayes;
mod quadratic;
mod region;
mod relative_flatness;
mod rescaling;
mod scaling;
mod vector;

pub use ascent::{Ascent, AscentSettings, ball_rise};
pub use error::Error;
pub use estimate::Estimate;
pub use keskar::{KeskarSettings, KeskarSharpness, keskar_sharpness};
pub use landscape::{Landscape, loss_line, loss_plane};
pub use norms::{
    LayerNorm, WeightNorms, scale_invariant_norm, scale_invariant_weights, weight_norms,
};
pub use objective::{Cost, Objective, Stop, Watch};
pub use pac_bayes::{Draws, Noise, PacBayesSigma, SigmaSettings, pac_bayes_sigma};
pub use quadratic::{Form, LossRise, LossRises, loss_rises, quadratic_form, rise_over_quadratic};
pub use relative_flatness::{
    RelativeFlatness, RelativeFlatnessSettings, neuron_weights, relative_flatness,
};
pub use rescaling::Rescaling;
pub use scaling::HomogeneousScaling;
pub use vector::unit;
