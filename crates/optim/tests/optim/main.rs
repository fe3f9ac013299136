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
