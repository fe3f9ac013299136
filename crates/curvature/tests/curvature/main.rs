//! Tests of `flatness-curvature` from the outside, one module per subject.

mod confidence;
mod coupled;
mod device;
mod frobenius_sampling;
mod matrices;
mod mean_loss;
mod non_finite;
mod operators;
mod owned;
mod peers;
mod ranks;
mod sampling;
mod setup;
