//! One of the matrices of a mean loss at a fixed θ, owning all that it is made of.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use flatness_data::Examples;
use flatness_layers::{Loss, Network, Workers};
use flatness_operator::{LinearOperator, check_block};

use crate::{Curvature, Error, Matrix, MeanLoss, Retention, Settings};

/// As [`CurvatureOperator`](crate::CurvatureOperator), without a lifetime: it can be kept in a struct and moved to a thread.
///
/// The activations are computed anew for each block of vectors, as by [`Retention::Recompute`], and give its bits.
#[derive(Debug, Clone)]
pub struct OwnedOperator {
    network: Arc<Network>,
    data: Arc<dyn Examples>,
    loss: Loss<'static>,
    workers: Arc<Workers>,
    settings: Settings,
    /// (P).
    theta: Tensor,
    matrix: Matrix,
    scale: f64,
}

impl OwnedOperator {
    /// The operator of `matrix` at `theta` (P), which is copied.
    ///
    /// # Errors
    /// As [`MeanLoss::new`], [`MeanLoss::curvature`] and [`Curvature::operator`].
    pub fn new(
        network: Arc<Network>,
        data: Arc<dyn Examples>,
        loss: Loss<'static>,
        workers: Arc<Workers>,
        settings: Settings,
        theta: &Tensor,
        matrix: Matrix,
    ) -> Result<Self, Error> {
        let mut operator = Self {
            network,
            data,
            loss,
            workers,
            settings,
            theta: theta.copy()?,
            matrix,
            scale: 0.0,
        };
        operator.scale = operator.with(|curvature| Ok(curvature.operator(matrix)?.scale()))?;
        Ok(operator)
    }

    fn with<T>(&self, work: impl FnOnce(&Curvature<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let (data, settings) = (self.data.as_ref(), self.settings.clone());
        let mean_loss = MeanLoss::new(&self.network, data, self.loss, &self.workers, settings)?;
        work(&mean_loss.curvature(&self.theta, Retention::Recompute)?)
    }
}

impl LinearOperator for OwnedOperator {
    fn dim(&self) -> usize {
        self.network.layout().dim()
    }

    fn dtype(&self) -> DType {
        self.settings.dtype
    }

    fn device(&self) -> &Device {
        &self.settings.device
    }

    fn scale(&self) -> f64 {
        self.scale
    }

    fn apply_block(&self, vectors: &Tensor) -> Result<Tensor, flatness_operator::Error> {
        check_block(self, vectors)?;
        let product = self.with(|curvature| curvature.operator(self.matrix)?.product(vectors));
        product.map_err(flatness_operator::Error::from_source)
    }
}
