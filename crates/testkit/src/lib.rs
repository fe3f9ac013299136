//! Oracles for tests: slow, plain, and sharing no code with what they judge.
//!
//! [`finite_difference`] differentiates any function of a flat vector; [`Autograd`] and
//! [`ResidualAutograd`] are networks in plain candle operations, differentiated by candle's own
//! backward pass once or twice; [`dense_matrix`] writes a
//! [`LinearOperator`](flatness_operator::LinearOperator) out; [`check_layer`] holds a layer to its
//! contract; [`Problem`] is a small network at a point, whose sweeps it writes out as dense
//! matrices, and [`independent_images`] and [`coupled_images`] are tables of convolutional ones;
//! [`cuda`] is the device that other paths are compared on; [`Recorder`] counts what such a device would be asked for, and
//! [`as_cpp`] runs its kernels as C++; [`on_ranks`] makes processes of threads.
//! Everything random is seeded, everything is float64.
//!
//! `cargo run --release --example differences`:
//!
//! ```
#![doc = include_str!("../examples/differences.rs")]
//! ```
//!
//! A failed check panics and says what, by how much and where, and so does every function for shapes
//! that do not fit: this crate is for tests only, and no other crate may depend on it otherwise. It
//! does not know models, optimisers or eigensolvers.

mod autograd;
mod close;
mod dense;
mod device;
pub mod finite_difference;
mod images;
mod launches;
mod layer_contract;
mod network;
mod problem;
mod ranks;
mod samples;
mod twin;

pub use autograd::{Autograd, Oracle, ResidualAutograd, Statistics};
pub use close::{assert_close, assert_matrices, assert_small, values};
pub use dense::dense_matrix;
pub use device::cuda;
pub use flatness_layers::Activation;
pub use images::{
    Normalization, Residual, coupled_images, independent_images, moved, residual, statistics, vgg,
};
pub use launches::{Asked, Recorder, Work};
pub use layer_contract::{check_layer, check_layer_at, check_rules};
pub use network::network;
pub use problem::Problem;
pub use ranks::on_ranks;
pub use samples::{dataset, gaussian, gaussian_away_from_zero, labels};
pub use twin::{as_cpp, compiled_by_nvrtc};
