//! Means and variances in the layers that normalise by the batch, over the batches of a pass.

use candle_core::Tensor;
use flatness_data::Batch;
use flatness_kernels::home;

use super::{MeanLoss, Selection, Settings};
use crate::Error;

impl MeanLoss<'_> {
    /// Means and unbiased variances in the layers that normalise by the batch, (Q), averaged over
    /// the batches of all examples: what
    /// [`Network::freeze`](flatness_layers::Network::freeze) takes after training.
    ///
    /// # Errors
    /// A `theta` of another length, number type or device, a batch of one value per channel, or a
    /// device error.
    pub fn batch_statistics(&self, theta: &Tensor) -> Result<Tensor, Error> {
        let parameters = self.parameters(theta)?;
        let chunks = self.chunks(self.data.len());
        let shares = self.shares(chunks.len(), |share| {
            let statistics = self.zero_statistics()?;
            for chunk in &chunks[share] {
                let Batch { inputs, labels } = self.batch(Selection::All, chunk)?;
                let point = (self.network).linearize(&parameters, &inputs, &labels, self.loss)?;
                let weight = chunk.len() as f64 / self.data.len() as f64;
                point.add_batch_statistics(&statistics, weight)?;
            }
            Ok::<_, Error>(statistics)
        })?;
        self.total(shares.iter())
    }

    pub(super) fn zero_statistics(&self) -> Result<Tensor, Error> {
        let Settings { dtype, device, .. } = &self.settings;
        let length = self.network.buffers().dim();
        Ok(Tensor::zeros(length, *dtype, home(length, device))?)
    }

    /// The sum of the shares, in order, and of those of the other processes.
    pub(super) fn total<'t>(
        &self,
        mut shares: impl Iterator<Item = &'t Tensor>,
    ) -> Result<Tensor, Error> {
        let first = shares.next().cloned();
        let first = first.map_or_else(|| self.zero_statistics(), Ok)?;
        let total = shares.try_fold(first, |sum, share| Ok::<_, Error>((sum + share)?))?;
        Ok(self.workers.sum_tensor(total)?)
    }
}
