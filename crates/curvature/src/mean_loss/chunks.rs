//! How the examples are cut up, and how the sums over the parts become a mean.
//!
//! Every process has a contiguous part of the examples, which is cut into chunks, and the chunks into one contiguous
//! share per thread. Every share sums in order, the shares are added in order and then the parts, so the bits depend on the
//! numbers of threads and processes alone. Where batch-norm couples the examples of a batch, a chunk is a whole batch: the
//! partition is part of what L means.

use std::ops::Range;

use candle_core::Tensor;
use flatness_data::{Batch, Examples};
use flatness_kernels::{ELEMENTS_AT_MOST, free_memory, takes_cpu_path};
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

/// The share of a device's memory that the tangents of a sweep take. Vectors have half and kept activations a quarter where the
/// user does not say.
const TANGENTS_SHARE: u64 = 4;

/// Vectors whose tangents fit beside each other where nobody says how large a chunk is. With fewer, activations are computed
/// anew for too few vectors at a time; with more, chunks of deep networks are so small that launches bound them.
const FITTING_VECTORS: usize = 4;

/// Examples of a chunk on a device with so many `free` bytes where nobody says, of which each keeps `kept` bytes, of `allowed` ones,
/// and has `tangents` bytes a vector: a power of two, so that a little more or less memory changes no bit.
fn examples_in_memory([kept, tangents]: [usize; 2], allowed: usize, free: Option<u64>) -> usize {
    let fitting = allowed / kept.max(1);
    let fitting = fitting.min(vectors_of(FITTING_VECTORS * tangents, free));
    power_of_two_below(fitting)
}

/// Vectors that may go through a chunk of so many examples together on a device with so many `free` bytes, of `tangents` bytes
/// each: a power of two, so that eight go in equal parts, and as above.
fn vectors_in_memory(examples: usize, tangents: usize, free: Option<u64>) -> usize {
    power_of_two_below(vectors_of(examples.saturating_mul(tangents), free))
}

/// How often so many bytes fit the memory for tangents; any number of times where a device does not say what it has.
fn vectors_of(bytes: usize, free: Option<u64>) -> usize {
    free.map_or(usize::MAX, |free| {
        let share = free / TANGENTS_SHARE;
        usize::try_from(share / bytes.max(1) as u64).unwrap_or(usize::MAX)
    })
}

/// The largest power of two up to `number`, at least 1.
fn power_of_two_below(number: usize) -> usize {
    1 << number.max(1).ilog2()
}

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

    /// Most examples in one sweep where nobody says: `most`, or on a device, where they are independent, those whose
    /// activations at `theta` (P) fit the `allowed` bytes and whose tangents fit the device, if these are fewer.
    ///
    /// # Errors
    /// As [`MeanLoss::bytes_per_example`].
    pub fn fitting_batch_size(
        &self,
        theta: &Tensor,
        most: usize,
        allowed: usize,
    ) -> Result<usize, Error> {
        if !self.on_device() || self.network.couples_examples() {
            return Ok(most);
        }
        let bytes = [self.bytes_per_example(theta)?, self.tangent_bytes()];
        let free = free_memory(&self.settings.device)?;
        Ok(examples_in_memory(bytes, allowed, free).min(most))
    }

    /// Bytes per example and vector of all values of a sweep: those of tangents are not kept for every layer, but a few more are at
    /// work.
    fn tangent_bytes(&self) -> usize {
        let inputs: usize = self.network.input_shape().iter().product();
        (inputs + self.network.activations()) * self.settings.dtype.size_in_bytes()
    }

    /// Vectors that may go through a sweep together, the same number in all processes: any number on the CPU.
    pub(crate) fn vectors_per_sweep(&self) -> usize {
        if !self.on_device() {
            return usize::MAX;
        }
        let (examples, dim) = (self.examples_per_sweep(), self.network.layout().dim());
        let counted = device_vectors(examples, self.network.largest_tensor(), dim);
        // A device that does not say what is free has no limit but its kernels', and a process that does not hear of the
        // others fails in the sum that follows.
        let free = free_memory(&self.settings.device).unwrap_or(None);
        let own = counted.min(vectors_in_memory(examples, self.tangent_bytes(), free));
        let all = self.workers.gather(own as f64).unwrap_or_default();
        all.into_iter()
            .fold(own, |least, one| least.min(one as usize))
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
    use candle_core::{DType, Device};
    use flatness_kernels::with_candle_path;
    use flatness_layers::{Loss, Workers};
    use flatness_testkit::{Normalization, dataset, vgg};

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

    /// Bytes of an example in f32: kept, as [`MeanLoss::bytes_per_example`] says of the frozen network on the CPU, and of all layer
    /// outputs, as `flatness models` says.
    const PRERESNET_164: [usize; 2] = [49 << 20, (44.361 * MIB) as usize];
    const WRN_28_10: [usize; 2] = [42 << 20, (36.128 * MIB) as usize];
    const MIB: f64 = (1 << 20) as f64;

    /// What is free on an A100 and on an H200.
    const CARDS: [u64; 2] = [79 << 30, 139 << 30];

    #[test]
    fn chunks_and_vectors_of_deep_networks_fit_the_quarters_of_the_memory() {
        let chunks =
            |bytes| CARDS.map(|free| examples_in_memory(bytes, free as usize / 4, Some(free)));
        assert_eq!(chunks(PRERESNET_164), [64, 128]);
        assert_eq!(chunks(WRN_28_10), [128, 128]);
        for bytes in [PRERESNET_164, WRN_28_10] {
            for free in CARDS {
                let quarter = free as usize / 4;
                for examples in [1, 32, 64, 128, 256] {
                    let vectors = vectors_in_memory(examples, bytes[1], Some(free));
                    assert!(vectors * examples * bytes[1] <= quarter, "{examples}");
                    assert!(2 * vectors * examples * bytes[1] > quarter, "{examples}");
                }
                let examples = examples_in_memory(bytes, quarter, Some(free));
                assert!(examples * bytes[0] <= quarter);
                let vectors = vectors_in_memory(examples, bytes[1], Some(free));
                assert!(vectors >= FITTING_VECTORS);
                // A hundredth less of the memory changes nothing.
                let less = free - free / 100;
                assert_eq!(
                    examples_in_memory(bytes, quarter - quarter / 100, Some(less)),
                    examples
                );
                assert_eq!(vectors_in_memory(examples, bytes[1], Some(less)), vectors);
            }
        }
        // What the user allows for activations holds, and so does what a batch of a thousand that batch-norm couples needs.
        assert_eq!(
            examples_in_memory(PRERESNET_164, 500 << 20, Some(CARDS[0])),
            8
        );
        assert_eq!(examples_in_memory(PRERESNET_164, 0, Some(CARDS[0])), 1);
        assert_eq!(vectors_in_memory(1000, PRERESNET_164[1], Some(CARDS[0])), 1);
        assert_eq!(
            examples_in_memory([1 << 20, 1 << 20], 1 << 30, None),
            1 << 10
        );
        assert_eq!(
            vectors_in_memory(1000, 1 << 20, None),
            1 << (usize::BITS - 1)
        );
    }

    #[test]
    fn the_memory_decides_on_devices_and_where_no_batch_is_coupled_alone() {
        let workers = Workers::new(1).unwrap();
        let images = dataset(20, [2, 4, 4], 3, 1);
        for (normalization, on_device) in [(Normalization::None, 4), (Normalization::Batch, 16)] {
            let network = vgg(normalization);
            let settings = Settings {
                dtype: DType::F64,
                device: Device::Cpu,
                batch_size: 16,
            };
            let loss = Loss::CrossEntropy;
            let mean_loss = MeanLoss::new(&network, &images, loss, &workers, settings).unwrap();
            let theta = network.layout().initialize(2, DType::F64, &Device::Cpu);
            let theta = theta.unwrap();
            let size = || {
                let allowed = 7 * mean_loss.bytes_per_example(&theta).unwrap();
                mean_loss.fitting_batch_size(&theta, 16, allowed).unwrap()
            };
            assert_eq!(size(), 16);
            assert_eq!(with_candle_path(size), on_device);
        }
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
