//! Checkpoints: round trips, what PyTorch writes, where in a file the weights are, and every refusal.

mod files;
mod places;
mod pytorch;
mod safetensor;
mod tensors;
mod torch;

use flatness_layers::Network;
use flatness_models::Architecture;

/// 21 parameters: weight (3, 6) and bias (3).
fn network() -> Network {
    let logistic = Architecture::find("logistic").unwrap();
    logistic.network(&[1, 2, 3], 3).unwrap()
}
