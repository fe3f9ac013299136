//! Tests of the optimisers, averages and schedules; `golden/trajectories.py` made the numbers of
//! PyTorch.

mod averages;
mod clip;
mod decay;
mod errors;
mod golden;
mod ranges;
mod schedule;
mod sharpness_aware;
mod state;
mod trajectories;
mod vars;

use candle_core::Tensor;
use flatness_optim::{Adam, Decay, MomentSettings, Momentum, Optimizer, Sgd};

/// One of each rule, with this decay.
fn optimizers(decay: &Decay, theta: &Tensor) -> Vec<Box<dyn Optimizer>> {
    let (decay, published) = (|| decay.clone(), MomentSettings::PUBLISHED);
    vec![
        Box::new(Sgd::new(Momentum::HeavyBall(0.9), decay(), theta).unwrap()),
        Box::new(Sgd::new(Momentum::Nesterov(0.9), decay(), theta).unwrap()),
        Box::new(Adam::new(published, decay(), theta).unwrap()),
        Box::new(Adam::amsgrad(published, decay(), theta).unwrap()),
        Box::new(Adam::padam(published, 0.125, decay(), theta).unwrap()),
    ]
}
