//! Optimisers in a spec.
//!
//! The named methods are compositions: AdamW is `adam` with decoupled decay, Gadam the same with an
//! average, GadamX `padam` of 1/8 with decoupled decay and an average, SWA `sgd` with one.

use serde::{Deserialize, Serialize};

/// Optimiser with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OptimizerSpec {
    /// Stochastic gradient descent with heavy-ball or Nesterov momentum.
    Sgd {
        /// Initial learning rate.
        learning_rate: f64,
        /// Momentum coefficient in [0, 1).
        momentum: f64,
        /// Whether the momentum is Nesterov's.
        nesterov: bool,
        /// Share of a gradient that the velocity does not take, in [0, 1]; not with Nesterov's.
        #[serde(default, skip_serializing_if = "is_zero")]
        dampening: f64,
        /// Coefficient of the weight decay.
        weight_decay: f64,
        /// Kind of the weight decay.
        #[serde(default, skip_serializing_if = "Decay::is_coupled")]
        decay: Decay,
    },
    /// Adam.
    Adam(MomentSpec),
    /// Adam whose denominator never falls.
    Amsgrad(MomentSpec),
    /// AMSGrad that adapts partially.
    Padam(PadamSpec),
}

/// Settings of Adam and AMSGrad.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MomentSpec {
    /// Initial learning rate.
    pub learning_rate: f64,
    /// Decay of the mean of the gradient, in [0, 1).
    #[serde(default = "published::beta1")]
    pub beta1: f64,
    /// Decay of the mean of its square, in [0, 1).
    #[serde(default = "published::beta2")]
    pub beta2: f64,
    /// Least denominator.
    #[serde(default = "published::epsilon")]
    pub epsilon: f64,
    /// Coefficient of the weight decay.
    pub weight_decay: f64,
    /// Kind of the weight decay.
    #[serde(default, skip_serializing_if = "Decay::is_coupled")]
    pub decay: Decay,
}

/// Settings of Padam.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PadamSpec {
    /// Initial learning rate.
    pub learning_rate: f64,
    /// Decay of the mean of the gradient, in [0, 1).
    #[serde(default = "published::beta1")]
    pub beta1: f64,
    /// Decay of the mean of its square, in [0, 1).
    #[serde(default = "published::beta2")]
    pub beta2: f64,
    /// Least denominator.
    #[serde(default = "published::epsilon")]
    pub epsilon: f64,
    /// Coefficient of the weight decay.
    pub weight_decay: f64,
    /// Kind of the weight decay.
    #[serde(default, skip_serializing_if = "Decay::is_coupled")]
    pub decay: Decay,
    /// Exponent p in (0, 1/2]: 1/2 is AMSGrad, 1/8 GadamX's.
    pub partial: f64,
}

/// The defaults of Kingma & Ba (2015), of `torch.optim` and of the paper's software.
mod published {
    pub(super) fn beta1() -> f64 {
        0.9
    }

    pub(super) fn beta2() -> f64 {
        0.999
    }

    pub(super) fn epsilon() -> f64 {
        1e-8
    }
}

/// Kind of a weight decay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// L2: `weight_decay * theta` is added to the gradient.
    #[default]
    Coupled,
    /// theta <- (1 - rate * weight_decay) * theta before a step.
    Decoupled,
}

impl Decay {
    fn is_coupled(&self) -> bool {
        *self == Self::Coupled
    }
}

/// Parameters without weight decay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecayExclusion {
    /// Those whose names end in `.bias`.
    Biases,
    /// Those of layers that normalise: of batches, layers or groups.
    Normalization,
}

impl OptimizerSpec {
    /// Kind, as in a spec.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sgd { .. } => "sgd",
            Self::Adam(_) => "adam",
            Self::Amsgrad(_) => "amsgrad",
            Self::Padam(_) => "padam",
        }
    }

    /// Initial learning rate.
    #[must_use]
    pub fn learning_rate(&self) -> f64 {
        match *self {
            Self::Sgd { learning_rate, .. } => learning_rate,
            Self::Adam(moments) | Self::Amsgrad(moments) => moments.learning_rate,
            Self::Padam(padam) => padam.learning_rate,
        }
    }

    /// Coefficient and kind of the weight decay.
    #[must_use]
    pub fn weight_decay(&self) -> (f64, Decay) {
        match *self {
            Self::Sgd {
                weight_decay,
                decay,
                ..
            } => (weight_decay, decay),
            Self::Adam(moments) | Self::Amsgrad(moments) => (moments.weight_decay, moments.decay),
            Self::Padam(padam) => (padam.weight_decay, padam.decay),
        }
    }
}

impl MomentSpec {
    /// The published beta1, beta2 and epsilon.
    #[must_use]
    pub fn published(learning_rate: f64, weight_decay: f64, decay: Decay) -> Self {
        Self {
            learning_rate,
            beta1: published::beta1(),
            beta2: published::beta2(),
            epsilon: published::epsilon(),
            weight_decay,
            decay,
        }
    }
}

impl PadamSpec {
    /// Padam of the exponent `partial` with the settings `moments`.
    #[must_use]
    pub fn new(partial: f64, moments: MomentSpec) -> Self {
        Self {
            learning_rate: moments.learning_rate,
            beta1: moments.beta1,
            beta2: moments.beta2,
            epsilon: moments.epsilon,
            weight_decay: moments.weight_decay,
            decay: moments.decay,
            partial,
        }
    }

    /// All settings but the exponent.
    #[must_use]
    pub fn moments(&self) -> MomentSpec {
        MomentSpec {
            learning_rate: self.learning_rate,
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
            decay: self.decay,
        }
    }
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is what serde calls"
)]
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}
