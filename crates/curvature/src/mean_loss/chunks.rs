//! How the examples are cut up, and how the sums over the parts become a mean.
//!
//! Examples are cut into chunks, chunks into one contiguous share per worker. Every share sums in
//! order and the shares are added in order, so the bits depend on the number of workers alone. Where
//! batch-norm couples the examples of a batch, a chunk is a whole batch: the partition is part of
//! what L means.

use std::ops::Range;

use candle_core::Tensor;
use flatness_data::{Batch, Examples};
use flatness_layers::{Parameter, Sums};

use super::{MeanLoss, Selection, Settings};
use crate::Error;

/// Bytes of one chunk's inputs and activations on the CPU: the fastest power of two for the products of
/// the small networks, by up to a tenth; wider ones do not care.
const CHUNK_BYTES: usize = 2 << 20;

/// Examples that a chunk holds even beyond [`CHUNK_BYTES`], to spread the work on the weights.
const CHUNK_EXAMPLES: usize = 64;

/// Bytes that a chunk of so many examples may have on the CPU; wide networks take fewer.
const CHUNK_BYTES_AT_MOST: usize = 128 << 20;

impl<'a> MeanLoss<'a> {
    /// Most examples in one sweep.
    #[must_use]
    pub fn examples_per_sweep(&self) -> usize {
        self.chunk_examples(self.data.len())
    }

    /// Sweeps over all examples that go on at a time.
    #[must_use]
    pub fn sweeps_at_a_time(&self) -> usize {
        if self.kernels_prevail() {
            return 1;
        }
        let chunks = self.data.len().div_ceil(self.examples_per_sweep());
        self.workers.threads().min(chunks)
    }

    /// Contiguous chunks of `count` examples.
    pub(crate) fn chunks(&self, count: usize) -> Vec<Range<usize>> {
        let size = self.chunk_examples(count);
        (0..count)
            .step_by(size)
            .map(|start| start..(start + size).min(count))
            .collect()
    }

    /// The same over a part of its data, which may be smaller than a batch.
    pub(crate) fn part<'b>(&self, data: &'b dyn Examples) -> Result<MeanLoss<'b>, Error>
    where
        'a: 'b,
    {
        let mut settings = self.settings.clone();
        settings.batch_size = settings.batch_size.min(data.len());
        MeanLoss::new(self.network, data, self.loss, self.workers, settings)
    }

    /// Calls `work` once per share of the `chunks`; results in order. Where the work on the weights
    /// prevails there is one share, and the threads meet in its kernels.
    pub(crate) fn shares<T: Send>(
        &self,
        chunks: usize,
        work: impl Fn(Range<usize>) -> Result<T, Error> + Sync + Send,
    ) -> Result<Vec<T>, Error> {
        if self.kernels_prevail() {
            return Ok(vec![self.workers.together(|| work(0..chunks))?]);
        }
        self.workers.shares(chunks, work)
    }

    pub(crate) fn batch(
        &self,
        examples: Selection<'_>,
        chunk: &Range<usize>,
    ) -> Result<Batch, Error> {
        let Settings { dtype, device, .. } = &self.settings;
        Ok(match examples {
            Selection::All => self.data.batch(chunk.clone(), *dtype, device)?,
            Selection::At(indices) => self.data.gather(&indices[chunk.clone()], *dtype, device)?,
        })
    }

    pub(crate) fn zeros(&self, vectors: usize) -> Result<Sums<'a>, Error> {
        let Settings { dtype, device, .. } = &self.settings;
        let layout = self.network.layout();
        Ok(Sums::zeros(layout, vectors, *dtype, device)?)
    }

    /// The sums of the shares, added in order and divided by the examples: (V, P).
    pub(crate) fn mean(
        &self,
        shares: impl IntoIterator<Item = Sums<'a>>,
        examples: usize,
    ) -> Result<Tensor, Error> {
        let mut shares = shares.into_iter();
        let total = shares.next().map_or_else(|| self.zeros(1), Ok)?;
        for share in shares {
            total.add(&share)?;
        }
        Ok(total.scaled(1.0 / examples as f64)?)
    }

    /// Whether passes over the convolutions' kernels weigh more than those over the activations: then
    /// every thread is to have a part of each kernel instead of some examples.
    fn kernels_prevail(&self) -> bool {
        let parameters = self.network.layout().parameters().iter();
        let kernels = parameters.filter(|parameter| parameter.shape.len() == 4);
        let elements: usize = kernels.map(Parameter::len).sum();
        let share = self.settings.batch_size.div_ceil(self.workers.threads());
        elements > 0 && 2 * elements >= share * self.network.activations()
    }

    /// Examples per chunk: a whole batch where examples are coupled, else on the CPU small enough for
    /// the cache and for every worker to have one.
    fn chunk_examples(&self, count: usize) -> usize {
        let Settings {
            dtype,
            device,
            batch_size,
        } = &self.settings;
        if !device.is_cpu() || self.network.couples_examples() {
            return *batch_size;
        }
        let threads = self.workers.threads();
        let (threads, shares) = if self.kernels_prevail() {
            (threads, 1)
        } else {
            (1, threads)
        };
        let inputs: usize = self.network.input_shape().iter().product();
        let bytes = (inputs + self.network.activations()) * dtype.size_in_bytes();
        let spread = threads * CHUNK_EXAMPLES.min(CHUNK_BYTES_AT_MOST / bytes);
        let cached = (CHUNK_BYTES / bytes).max(spread);
        cached.min(*batch_size).min(count.div_ceil(shares)).max(1)
    }
}
