//! Threads with fixed shares: the same shares, sums and bits for the same number of threads.

use std::ops::Range;

use flatness_kernels::with_threads;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::Error;

/// A pool of threads that each take one contiguous share of the work.
#[derive(Debug)]
pub struct Workers {
    pool: Option<rayon::ThreadPool>,
    threads: usize,
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
            _ => Some(
                rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .map_err(|error| failed(error.to_string()))?,
            ),
        };
        Ok(Self { pool, threads })
    }

    /// Number of threads, and so of shares.
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
