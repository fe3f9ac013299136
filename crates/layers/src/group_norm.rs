//! Group normalisation (Wu and He 2018): y = γ x̂ + β, x̂ = (x - mean) r, r = (var + ε)^(-1/2), over groups of channels of
//! each example, with PyTorch's names and ε. As many groups as channels are instance normalisation.
//!
//! The rules are those of [`LayerNorm`](crate::LayerNorm), with γ and β for each channel.

use crate::groups::{EPSILON, Groups, Scaling, by_groups};

/// Normalisation over groups of channels and all further axes: (C, ...) to (C, ...).
#[derive(Debug, Clone)]
pub struct GroupNorm {
    groups: usize,
    channels: usize,
    scaling: Scaling,
    epsilon: f64,
}

impl GroupNorm {
    /// `groups` of neighbouring ones of `channels`, with a weight and a bias for each channel.
    #[must_use]
    pub fn new(groups: usize, channels: usize) -> Self {
        Self {
            groups,
            channels,
            scaling: Scaling::WeightAndBias,
            epsilon: EPSILON,
        }
    }

    /// The same with another ε, which is 1e-5 unless said otherwise.
    #[must_use]
    pub fn with_epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// The same without weight and bias.
    #[must_use]
    pub fn without_parameters(self) -> Self {
        Self {
            scaling: Scaling::None,
            ..self
        }
    }

    fn parameter_shape(&self) -> Vec<usize> {
        vec![self.channels]
    }

    fn groups(&self, input: &[usize]) -> Result<Groups, &'static str> {
        let Some((&channels, behind)) = input.split_first() else {
            return Err("it needs an axis of channels");
        };
        let run: usize = behind.iter().product();
        if channels != self.channels || channels == 0 || run == 0 {
            return Err("it needs as many channels as its weight has, and elements in them");
        }
        if self.groups == 0 || !channels.is_multiple_of(self.groups) {
            return Err("its groups must have equally many channels");
        }
        Ok(Groups {
            width: channels / self.groups * run,
            run,
            epsilon: self.epsilon,
        })
    }
}

by_groups!(GroupNorm);
