//! The measured network in double precision, for what takes small differences of losses or eigenvalues.

use anyhow::Result;
use candle_core::DType;
use flatness_curvature::MeanLoss;
use flatness_layers::Network;
use flatness_records::{BatchNorm, Dtype, ModelSpec};

use super::Instrument;
use crate::setting::{Model, Weights};

pub(crate) struct Double {
    model: Model,
    batch_norm: BatchNorm,
    pub(crate) weights: Weights,
}

impl Instrument<'_> {
    /// The same network and `weights` in double precision, whatever the run's own.
    pub(crate) fn double(&self, weights: &Weights) -> Result<Double> {
        let spec = ModelSpec {
            name: self.model.name.clone(),
            dtype: Dtype::F64,
        };
        Ok(Double {
            model: Model::new(&spec, self.splits.get(self.spec.split)?)?,
            batch_norm: self.spec.batch_norm,
            weights: weights.to(DType::F64, weights.theta.device())?,
        })
    }
}

impl Double {
    /// The network whose curvature is measured.
    pub(crate) fn network(&self) -> Result<Network> {
        self.model.measured(self.batch_norm, &self.weights.buffers)
    }

    /// The mean loss of `network` over the curvature split.
    pub(crate) fn mean_loss<'a>(
        &self,
        network: &'a Network,
        instrument: &'a Instrument<'_>,
    ) -> Result<MeanLoss<'a>> {
        let split = instrument.splits.get(instrument.spec.split)?;
        let batch_size = instrument.spec.batch_size;
        self.model
            .mean_loss(network, split, instrument.machine, batch_size)
    }
}
