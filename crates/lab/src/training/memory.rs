//! What training takes at the least, refused before it begins where the machine does not have it.
//!
//! Vectors of P elements: parameters now and before the epoch, gradient, those of the optimiser and of the average. Of each
//! example of a batch the outputs of all layers.

use anyhow::{Result, bail};
use flatness_layers::Network;
use flatness_records::{AverageSpec, Dtype, OptimizerSpec, Spec};

/// Refuses `spec` for `network` where less memory is `there`, in bytes.
pub(crate) fn check(spec: &Spec, network: &Network, there: Option<u64>) -> Result<()> {
    let needed = least(spec, network);
    let Some(there) = there.filter(|&there| needed > there as f64) else {
        return Ok(());
    };
    let gibibytes = |bytes: f64| bytes / f64::from(1 << 30);
    bail!(
        "training {} takes at least {:.1} GiB, but there are {:.1} GiB; lower train.batch_size or train.average.window",
        spec.model.name,
        gibibytes(needed),
        gibibytes(there as f64)
    )
}

/// Bytes; in floating point, since a spec may ask for more than there are numbers.
fn least(spec: &Spec, network: &Network) -> f64 {
    let train = &spec.train;
    let moments = match train.optimizer {
        OptimizerSpec::Sgd { momentum, .. } => usize::from(momentum > 0.0),
        OptimizerSpec::Adam(_) => 2,
        OptimizerSpec::Amsgrad(_) | OptimizerSpec::Padam(_) => 3,
    };
    let averaged = match train.average {
        None => 0,
        Some(AverageSpec::Tail { window, .. }) => window,
        Some(_) => 1,
    };
    let vectors = (3 + moments) as f64 + averaged as f64;
    let size = match spec.model.dtype {
        Dtype::F32 => 4.0,
        Dtype::F64 => 8.0,
    };
    let outputs = train.batch_size as f64 * network.activations() as f64;
    size * (vectors * network.layout().dim() as f64 + outputs)
}
