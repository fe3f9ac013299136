//! How the examples are cut up, and how the sums over the parts become a mean.
//!
//! Every process has a contiguous part of the examples, which is cut into chunks, and the chunks into one contiguous
//! share per thread. Every share sums in order, the shares are added in order and then the parts, so the bits depend on the
//! numbers of threads and processes alone. Where batch-norm couples the examples of a batch, a chunk is a whole batch: the
//! partition is part of what L means.

use std::ops::Range;

use candle_core::Tensor;
use flatness_data::{Batch, Examples};
use flatness_kernels::{ELEMENTS_AT_MOST, takes_cpu_path};
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

/// Vectors that go through a chunk together on a device, at the least: beyond, there is little left to share.
const DEVICE_VECTORS: usize = 8;

/// Examples of a chunk on a device, of `elements` per example and vector in the largest tensor.
fn device_examples(batch_size: usize, elements: usize) -> usize {
    let fits = ELEMENTS_AT_MOST / (DEVICE_VECTORS * elements.max(1));
    fits.clamp(1, batch_size)
}

/// Vectors of length `dim` that may go through a chunk of so many examples together on a device.
fn device_vectors(examples: usize, elements: usize, dim: usize) -> usize {
    // The gradient of a kernel of stride two has up to four times its elements before it is cut.
    let largest = (examples * elements).max(4 * dim).max(1);
    (ELEMENTS_AT_MOST / largest).max(1)
}

/// Refuses examples that must go through the network together and have too large a tensor for a device.
pub(super) fn check_elements(examples: usize, elements: usize) -> Result<(), Error> {
    let (elements, each) = (examples.saturating_mul(elements), elements);
    if elements > ELEMENTS_AT_MOST {
        return Err(Error::Elements {
            examples,
            elements,
            allowed: ELEMENTS_AT_MOST,
            fits: ELEMENTS_AT_MOST / each,
        });
    }
    Ok(())
}

impl<'a> MeanLoss<'a> {
    /// Most examples in one sweep.
    #[must_use]
    pub fn examples_per_sweep(&self) -> usize {
        self.chunk_examples(self.examples_per_rank())
    }

    /// Most examples that one process goes over.
    #[must_use]
    pub fn examples_per_rank(&self) -> usize {
        let (examples, unit) = (self.data.len(), self.unit());
        let units = examples.div_ceil(unit).div_ceil(self.workers.ranks());
        (units * unit).min(examples)
    }

    /// Examples that stay together.
    fn unit(&self) -> usize {
        if self.network.couples_examples() {
            self.settings.batch_size
        } else {
            1
        }
    }

    /// Sweeps over all examples that go on at a time.
    #[must_use]
    pub fn sweeps_at_a_time(&self) -> usize {
        if self.on_device() || self.kernels_prevail() {
            return 1;
        }
        let chunks = (self.examples_per_rank()).div_ceil(self.examples_per_sweep());
        self.workers.threads().min(chunks)
    }

    /// Vectors that may go through a sweep together: any number on the CPU.
    pub(crate) fn vectors_per_sweep(&self) -> usize {
        if !self.on_device() {
            return usize::MAX;
        }
        let (examples, dim) = (self.examples_per_sweep(), self.network.layout().dim());
        device_vectors(examples, self.network.largest_tensor(), dim)
    }

    /// Whether the arithmetic is done elsewhere than on the CPU.
    fn on_device(&self) -> bool {
        !takes_cpu_path(&self.settings.device)
    }

    /// Contiguous chunks of this process's part of `count` examples.
    pub(crate) fn chunks(&self, count: usize) -> Vec<Range<usize>> {
        let unit = self.unit();
        let units = self.workers.part(count.div_ceil(unit));
        let (first, end) = (units.start * unit, (units.end * unit).min(count));
        let size = self.chunk_examples(end.saturating_sub(first));
        (first..end)
            .step_by(size)
            .map(|start| start..(start + size).min(end))
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
    /// prevails there is one share, and the threads meet in its kernels; on a device there is one, of this thread.
    pub(crate) fn shares<T: Send>(
        &self,
        chunks: usize,
        work: impl Fn(Range<usize>) -> Result<T, Error> + Sync + Send,
    ) -> Result<Vec<T>, Error> {
        if self.on_device() {
            return Ok(vec![work(0..chunks)?]);
        }
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
        let mean = total.scaled(1.0 / examples as f64)?;
        Ok(self.workers.sum_tensor(mean)?)
    }

    /// The first of the ranges that the processes have found.
    pub(crate) fn first_of(
        &self,
        range: Option<Range<usize>>,
    ) -> Result<Option<Range<usize>>, Error> {
        let Range { start, end } = range.unwrap_or(usize::MAX..usize::MAX);
        let starts = self.workers.gather(start as f64)?;
        let ends = self.workers.gather(end as f64)?;
        let found = starts.into_iter().zip(ends);
        let found = found.filter(|(start, _)| *start < self.data.len() as f64);
        let first = found.min_by(|a, b| a.0.total_cmp(&b.0));
        Ok(first.map(|(start, end)| start as usize..end as usize))
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
    /// the cache and for every worker to have one, and on a device for its kernels to count.
    fn chunk_examples(&self, count: usize) -> usize {
        let Settings {
            dtype, batch_size, ..
        } = &self.settings;
        if self.network.couples_examples() {
            return *batch_size;
        }
        if self.on_device() {
            return device_examples(*batch_size, self.network.largest_tensor());
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Elements of an image's patches under the second convolution of vgg-16-bn, and its parameters.
    const VGG: (usize, usize) = (64 * 9 * 32 * 32, 15_299_748);

    #[test]
    fn sweeps_of_vgg_16_bn_fit_a_device_and_no_larger_ones_do() {
        let (elements, dim) = VGG;
        let examples = device_examples(1000, elements);
        assert!(8 * examples * elements <= ELEMENTS_AT_MOST);
        assert!(8 * (examples + 1) * elements > ELEMENTS_AT_MOST);
        let vectors = device_vectors(examples, elements, dim);
        assert_eq!(vectors, 8);
        // A batch that batch-norm holds together has fewer vectors at a time instead.
        let vectors = device_vectors(1000, elements, dim);
        assert!(vectors * 1000 * elements <= ELEMENTS_AT_MOST);
        assert!((vectors + 1) * 1000 * elements > ELEMENTS_AT_MOST);
    }

    #[test]
    fn small_networks_have_whole_batches_and_no_size_is_zero() {
        assert_eq!(device_examples(1000, 784), 1000);
        assert_eq!(device_examples(7, 0), 7);
        assert_eq!(device_examples(7, ELEMENTS_AT_MOST), 1);
        assert_eq!(device_vectors(1, ELEMENTS_AT_MOST, 1), 1);
        assert_eq!(device_vectors(1, 1, ELEMENTS_AT_MOST), 1);
    }

    #[test]
    fn a_batch_that_no_kernel_can_count_is_refused_with_one_that_fits() {
        let (elements, _) = VGG;
        check_elements(1000, elements).unwrap();
        let error = check_elements(4000, elements).unwrap_err();
        let Error::Elements { fits, .. } = error else {
            panic!("{error}");
        };
        check_elements(fits, elements).unwrap();
        assert!(check_elements(fits + 1, elements).is_err());
    }
}
