//! Measures of sharpness beyond eigenvalues, of a mean loss L at parameters θ: scale-aware ones, and
//! ones that perturb θ and look.
//!
//! | measure | function | cost |
//! |---|---|---|
//! | ‖θ‖, per layer, ‖θ − θ₀‖ | [`weight_norms`], [`distance_from_initialization`] | none |
//! | the same function with another θ (Dinh et al. 2017) | [`Rescaling`] | none |
//! | φ(ε), worst relative rise in a box (Keskar et al. 2017) | [`keskar_sharpness`] | gradients and losses |
//! | θᵀ G θ, Fisher-Rao norm (Liang et al. 2019) | [`fisher_rao`] | one product |
//! | greatest rise in a ball | [`ball_rise`] | gradients and losses |
//! | adaptive sharpness (Kwon et al. 2021) | [`adaptive`], [`adaptive_rise`] | gradients and losses |
//! | relative flatness (Petzka et al. 2021) | [`relative_flatness`] | products |
//! | rise under Gaussian noise, and its σ (Jiang et al. 2020) | [`expected_rise`], [`pac_bayes_sigma`] | losses |
//! | rise along directions, against ½ r² uᵀHu | [`loss_rises`], [`quadratic_form`] | losses |
//! | loss on a line or in a plane (Li et al. 2018) | [`loss_line`], [`loss_plane`] | losses |
//!
//! A number from random draws is an [`Estimate`] with its standard error; a maximum is an [`Ascent`], a
//! lower bound with its gap, its iterations and whether it converged. Each says what it cost in
//! sweeps over the data ([`Cost`]) and depends on nothing but its arguments, seeds included.
//!
//! Two layers rescaled against each other, which changes sharpness and nothing else:
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use flatness_curvature::{MeanLoss, Retention, Settings};
//! use flatness_data::LabelledTensors;
//! use flatness_layers::{Affine, Loss, Network, Relu, Workers};
//! use flatness_measures::{
//!     AscentSettings, BoxSpace, KeskarSettings, Rescaling, fisher_rao, keskar_sharpness,
//! };
//!
//! let network = Network::chain(
//!     &[3],
//!     vec![
//!         ("fc0".to_owned(), Box::new(Affine::new(3, 8))),
//!         ("relu".to_owned(), Box::new(Relu)),
//!         ("fc1".to_owned(), Box::new(Affine::new(8, 2))),
//!     ],
//! )?;
//! let inputs = Tensor::arange(0f64, 30.0, &Device::Cpu)?.sin()?.reshape((10, 3))?;
//! let labels = Tensor::new(&[0u32, 1, 1, 0, 1, 0, 0, 1, 1, 0], &Device::Cpu)?;
//! let data = LabelledTensors::new("toy", &inputs, &labels, 2)?;
//! let workers = Workers::new(1)?;
//! let settings = Settings { dtype: DType::F64, device: Device::Cpu, batch_size: 10 };
//! let mean_loss = MeanLoss::new(&network, &data, Loss::CrossEntropy, &workers, settings)?;
//! let theta = network.layout().initialize(0, DType::F64, &Device::Cpu)?;
//!
//! let ascent = AscentSettings { random_starts: 2, max_iterations: 50, tolerance: 1e-3, seed: 0 };
//! let settings = KeskarSettings {
//!     epsilons: &[1e-3, 1e-2],
//!     space: BoxSpace::Full,
//!     directions: &[],
//!     ascent,
//! };
//! let measure = |theta: &Tensor| -> Result<[f64; 3], Box<dyn std::error::Error>> {
//!     let phi = keskar_sharpness(&mean_loss, theta, &settings, &mut |_| ())?;
//!     let curvature = mean_loss.curvature(theta, Retention::Retain)?;
//!     let fisher_rao = fisher_rao(&curvature.gauss_newton(), theta)?;
//!     Ok([phi[1].loss, phi[1].phi, fisher_rao])
//! };
//! let pair = Rescaling::find(&network, "fc0", "fc1")?;
//! let [loss, phi, fisher_rao] = measure(&theta)?;
//! let [same_loss, other_phi, same_fisher_rao] = measure(&pair.apply(&theta, 0.01)?)?;
//! assert!((same_loss - loss).abs() < 1e-12);
//! assert!(other_phi > 5.0 * phi);
//! assert!((same_fisher_rao - fisher_rao).abs() < 1e-12);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate does not know eigensolvers, files or clocks. λ₁ ‖θ‖² and Tr ‖θ‖² are products of what
//! `flatness-spectrum` and [`weight_norms`] give; [`adaptive`] is an operator for the former. Rises are
//! differences of losses: in float32 those below 1e-7 of the loss are rounding.

mod adaptive;
mod ascent;
mod ball;
mod cost;
mod draws;
mod error;
mod estimate;
mod fisher_rao;
mod keskar;
mod landscape;
mod norms;
mod pac_bayes;
mod quadratic;
mod region;
mod relative_flatness;
mod rescaling;
mod sweeps;
mod vector;

pub use adaptive::{AdaptiveSettings, adaptive, adaptive_rise};
pub use ascent::{Ascent, AscentSettings};
pub use ball::{BallSettings, ball_rise};
pub use cost::Cost;
pub use error::Error;
pub use estimate::Estimate;
pub use fisher_rao::fisher_rao;
pub use keskar::{BoxSpace, KeskarSettings, KeskarSharpness, keskar_sharpness};
pub use landscape::{Plane, filter_normalized_direction, loss_line, loss_plane};
pub use norms::{LayerNorm, WeightNorms, distance_from_initialization, weight_norms};
pub use pac_bayes::{
    Draws, ExpectedRise, Noise, PacBayesSigma, SigmaSettings, expected_rise, pac_bayes_sigma,
};
pub use quadratic::{LossRise, LossRises, loss_rises, quadratic_form, unit};
pub use relative_flatness::{
    RelativeFlatness, RelativeFlatnessSettings, RelativeTrace, neuron_weights, relative_flatness,
};
pub use rescaling::Rescaling;
pub use sweeps::Progress;
