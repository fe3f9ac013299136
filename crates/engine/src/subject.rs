//! What is measured, and with what.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use flatness_data::Examples;
use flatness_kernels::home;
use flatness_layers::{Loss, Network, Workers};

/// What training changes.
#[derive(Debug, Clone)]
pub struct Weights {
    /// Parameters, (P).
    pub theta: Tensor,
    /// Running statistics of batch-norm, (Q).
    pub buffers: Tensor,
}

impl Weights {
    /// In another number type, on another device; running statistics that there are none of stay on the CPU.
    ///
    /// # Errors
    /// A device error.
    pub fn to(&self, dtype: DType, device: &Device) -> Result<Self, candle_core::Error> {
        let to = |tensor: &Tensor| {
            let home = home(tensor.elem_count(), device);
            tensor.to_dtype(dtype)?.to_device(home)
        };
        Ok(Self {
            theta: to(&self.theta)?,
            buffers: to(&self.buffers)?,
        })
    }

    /// Replaces the values by those of `weights`, of the same shapes and number type.
    ///
    /// # Errors
    /// Other shapes or another number type, or a device error.
    pub fn set(&self, weights: &Self) -> Result<(), candle_core::Error> {
        self.theta.slice_set(&weights.theta, 0, 0)?;
        self.buffers.slice_set(&weights.buffers, 0, 0)
    }

    /// A copy that training does not change.
    ///
    /// # Errors
    /// A device error.
    pub fn copy(&self) -> Result<Self, candle_core::Error> {
        Ok(Self {
            theta: self.theta.copy()?,
            buffers: self.buffers.copy()?,
        })
    }
}

/// A network at given parameters over given examples.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// As it is trained: batch-norm takes the statistics of the batch.
    pub network: &'a Network,
    /// Parameters in the number type that they are measured in, on the device of the [`Resources`]. The running
    /// statistics are looked at where the request freezes batch-norm, and may be empty otherwise.
    pub weights: &'a Weights,
    /// Initial parameters (P), for the distance from them.
    pub initial: Option<&'a Tensor>,
    /// The whole split, of which the request may take a part.
    pub examples: &'a dyn Examples,
    /// Loss of an example.
    pub loss: Loss<'a>,
    /// L2 coefficient of the training, of the loss that `keskar-ball` climbs; 0 where none is known.
    pub weight_decay: f64,
}

/// What measuring may take.
#[derive(Clone, Copy)]
pub struct Resources<'a> {
    /// Threads.
    pub workers: &'a Workers,
    /// Where it is computed.
    pub device: &'a Device,
    /// Memory for activations kept between products, in bytes.
    pub activations: usize,
    /// Memory for vectors, in bytes.
    pub vectors: u64,
    /// Asked before every block of products, every loss and every gradient: `true` ends the measurement at hand with what
    /// there is.
    pub interrupt: &'a dyn Fn() -> bool,
    /// Where products are written down, to go on after a kill with the same bits.
    pub journal: Option<JournalFile<'a>>,
}

/// A journal of products.
#[derive(Debug, Clone, Copy)]
pub struct JournalFile<'a> {
    /// The file; where several matrices or groups are measured, a number is put behind its name for each.
    pub path: &'a Path,
    /// What the engine does not see and the products depend on: a digest of the data, and how they were split. Behind its first
    /// line, a line `name: value` for what a refusal is to say.
    pub identity: &'a str,
}

/// Who sees the work go on, or looks away, as `()` does.
pub trait Observer {
    /// A stage begins, of `total` units at least, and the one before has ended.
    fn begin(&self, _name: &str, _unit: &'static str, _total: u64) {}

    /// The stage is now expected to take so many units.
    fn expect(&self, _total: u64) {}

    /// So many more units are done.
    fn advance(&self, _units: u64) {}

    /// The state now.
    fn message(&self, _message: &str) {}

    /// A line to keep.
    fn say(&self, _line: &str) {}
}

impl Observer for () {}
