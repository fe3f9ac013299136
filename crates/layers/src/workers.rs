//! Threads with fixed shares, and processes with fixed parts: the same shares, sums and bits for the same number of both.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Tensor};
use flatness_kernels::with_threads;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::{Error, Ranks, RanksError};

/// A pool of threads that each take one contiguous share of the work, in one process or in several, each with one
/// contiguous part of the examples.
#[derive(Debug, Clone)]
pub struct Workers {
    pool: Option<Arc<rayon::ThreadPool>>,
    threads: usize,
    /// None for a process by itself.
    ranks: Option<Arc<dyn Ranks>>,
}

impl Workers {
    /// Starts `threads` threads; one means the caller's own.
    ///
    /// # Errors
    /// [`Error::Workers`] for no threads, or when the system refuses them.
    pub fn new(threads: usize) -> Result<Self, Error> {
        let failed = |reason: String| Error::Workers { threads, reason };
        let pool = match threads {
            0 => return Err(failed("at least one is needed".to_owned())),
            1 => None,
            _ => {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                Some(Arc::new(pool.map_err(|error| failed(error.to_string()))?))
            }
        };
        Ok(Self {
            pool,
            threads,
            ranks: None,
        })
    }

    /// The threads of one of the `ranks`, where there are several.
    #[must_use]
    pub fn among(mut self, ranks: Arc<dyn Ranks>) -> Self {
        self.ranks = Some(ranks).filter(|ranks| ranks.size() > 1);
        self
    }

    /// Which of the processes this is, from 0.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.ranks.as_ref().map_or(0, |ranks| ranks.rank())
    }

    /// Number of processes.
    #[must_use]
    pub fn ranks(&self) -> usize {
        self.ranks.as_ref().map_or(1, |ranks| ranks.size())
    }

    /// Which of so many `items` are this process's.
    #[must_use]
    pub fn part(&self, items: usize) -> Range<usize> {
        let (rank, ranks) = (self.rank(), self.ranks());
        items * rank / ranks..items * (rank + 1) / ranks
    }

    /// Replaces `values` by their sums over the processes, the same on each.
    ///
    /// # Errors
    /// [`Error::Ranks`].
    pub fn sum(&self, values: &mut [f64]) -> Result<(), Error> {
        match &self.ranks {
            Some(ranks) => Ok(ranks.sum_f64(values)?),
            None => Ok(()),
        }
    }

    /// The sum of a tensor, of the same shape and of float32 or float64, over the processes.
    ///
    /// # Errors
    /// [`Error::Ranks`], or a device error.
    pub fn sum_tensor(&self, tensor: Tensor) -> Result<Tensor, Error> {
        let Some(ranks) = self.ranks.as_ref().filter(|_| tensor.elem_count() > 0) else {
            return Ok(tensor);
        };
        if let Some(sum) = ranks.sum_on_devices(&tensor)? {
            return Ok(sum);
        }
        let flat = tensor.flatten_all()?;
        let (shape, device) = (tensor.shape(), tensor.device());
        if tensor.dtype() == DType::F32 {
            let mut values = flat.to_vec1::<f32>()?;
            ranks.sum_f32(&mut values)?;
            return Ok(Tensor::from_vec(values, shape, device)?);
        }
        let mut values = flat.to_vec1::<f64>()?;
        ranks.sum_f64(&mut values)?;
        Ok(Tensor::from_vec(values, shape, device)?)
    }

    /// What each process says, in their order.
    ///
    /// # Errors
    /// [`Error::Ranks`].
    pub fn gather(&self, value: f64) -> Result<Vec<f64>, Error> {
        let mut values = vec![0.0; self.ranks()];
        values[self.rank()] = value;
        self.sum(&mut values)?;
        Ok(values)
    }

    /// Goes on if all processes have the same `words`, each a hash with the name of what it is of.
    ///
    /// # Errors
    /// [`Error::Ranks`], with [`RanksError::Differ`] on all of them.
    pub fn agree(&self, words: &[(&str, u64)]) -> Result<(), Error> {
        let width = 2 * words.len();
        if self.ranks() == 1 || width == 0 {
            return Ok(());
        }
        let own = self.rank() * width;
        let mut said = vec![0.0; self.ranks() * width];
        // Halves, which a float holds exactly.
        let halves = (words.iter()).flat_map(|&(_, word)| [word >> 32, word & u64::from(u32::MAX)]);
        for (said, half) in said[own..].iter_mut().zip(halves) {
            *said = half as f64;
        }
        self.sum(&mut said)?;
        for (rank, its) in said.chunks(width).enumerate() {
            let pairs = its.chunks(2).zip(said.chunks(2)).zip(words);
            let differ = pairs.filter(|((its, of_first), _)| its != of_first);
            let differ: Vec<&str> = differ.map(|(_, &(name, _))| name).collect();
            if !differ.is_empty() {
                let what = differ.join(", ");
                return Err(RanksError::Differ { rank, what }.into());
            }
        }
        Ok(())
    }

    /// What the first process decides.
    ///
    /// # Errors
    /// [`Error::Ranks`].
    pub fn says(&self, decision: bool) -> Result<bool, Error> {
        match self.ranks() {
            1 => Ok(decision),
            _ => Ok(self.gather(f64::from(u8::from(decision)))?[0] > 0.0),
        }
    }

    /// What the first process has, a tensor like `like` or none: files and clocks are its alone.
    ///
    /// # Errors
    /// [`Error::Ranks`], or a device error.
    pub fn of_first(&self, value: Option<Tensor>, like: &Tensor) -> Result<Option<Tensor>, Error> {
        if self.ranks() == 1 {
            return Ok(value);
        }
        let value = value.filter(|_| self.rank() == 0);
        if !self.says(value.is_some())? {
            return Ok(None);
        }
        let value = value.map_or_else(|| like.zeros_like(), Ok)?;
        Ok(Some(self.sum_tensor(value)?))
    }

    /// Number of threads of this process, and so of shares.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `work` once per share of the `items`, each share a contiguous range; results in order.
    /// With fewer items than threads, only as many shares as items; a single share may use all
    /// threads inside the kernels.
    ///
    /// # Errors
    /// The first error in the order of the shares.
    pub fn shares<T: Send, E: Send>(
        &self,
        items: usize,
        work: impl Fn(Range<usize>) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E> {
        let shares = self.threads.min(items.max(1));
        let share = |index: usize| items * index / shares..items * (index + 1) / shares;
        match &self.pool {
            Some(pool) if shares > 1 => pool
                .install(|| {
                    (0..shares)
                        .into_par_iter()
                        .map(|index| work(share(index)))
                        .collect::<Vec<_>>()
                })
                .into_iter()
                .collect(),
            Some(_) => Ok(vec![self.together(|| work(share(0)))?]),
            None => (0..shares).map(|index| work(share(index))).collect(),
        }
    }

    /// Calls `work` once, with all threads granted to its kernels.
    pub fn together<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.pool {
            Some(pool) => pool.install(|| with_threads(self.threads, work)),
            None => work(),
        }
    }
}
