//! Means and variances in the layers that normalise by the batch, over the batches of a pass.

use candle_core::Tensor;
use flatness_data::Batch;
use flatness_kernels::home;
use flatness_layers::Linearization;

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
            chunks[share]
                .iter()
                .try_fold(self.zero_statistics()?, |statistics, chunk| {
                    let Batch { inputs, labels } = self.batch(Selection::All, chunk)?;
                    let point = self
                        .network
                        .linearize(&parameters, &inputs, &labels, self.loss)?;
                    self.add_statistics(&statistics, &point, chunk.len(), self.data.len())
                })
        })?;
        self.total(shares.iter())
    }

    pub(super) fn zero_statistics(&self) -> Result<Tensor, Error> {
        let Settings { dtype, device, .. } = &self.settings;
        let length = self.network.buffers().dim();
        Ok(Tensor::zeros(length, *dtype, home(length, device))?)
    }

    /// Adds the statistics of a batch of `examples` of `count` with their weight.
    pub(super) fn add_statistics(
        &self,
        sum: &Tensor,
        point: &Linearization<'_>,
        examples: usize,
        count: usize,
    ) -> Result<Tensor, Error> {
        if self.network.buffers().dim() == 0 {
            return Ok(sum.clone());
        }
        let weight = examples as f64 / count as f64;
        Ok((sum + (point.batch_statistics()? * weight)?)?)
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
