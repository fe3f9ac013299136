//! Threads inside one call, for work that cannot be cut into independent calls.
//!
//! A call takes one thread unless its caller grants more by [`with_threads`]. The items of a kernel
//! (images, channels) are cut into as many contiguous parts as threads, and what the parts return
//! comes back in their order, so results depend on the number of threads alone.

use std::cell::Cell;
use std::ops::Range;

use candle_core::Result;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

thread_local! {
    static THREADS: Cell<usize> = const { Cell::new(1) };
}

/// Runs `work` with `threads` threads granted to every kernel that it calls from this thread; they
/// are those of the rayon pool it runs in.
pub fn with_threads<T>(threads: usize, work: impl FnOnce() -> T) -> T {
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            THREADS.set(self.0);
        }
    }
    let _restore = Restore(THREADS.replace(threads.max(1)));
    work()
}

/// Threads granted to this call.
pub(crate) fn threads() -> usize {
    THREADS.get()
}

/// The contiguous parts of `items`, one per thread; none without items.
pub(crate) fn parts(items: usize) -> Vec<Range<usize>> {
    let parts = threads().min(items);
    (0..parts)
        .map(|part| items * part / parts..items * (part + 1) / parts)
        .collect()
}

/// Calls `work` for each part of `items`; its results in the order of the parts.
pub(crate) fn map_parts<R: Send>(
    items: usize,
    work: impl Fn(Range<usize>) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let pieces = parts(items).into_iter().map(|part| (part, ()));
    each_part(pieces.collect(), |part, ()| work(part))
}

/// Calls `work` for each part of `items` with the part of `out` that belongs to it; `out` holds the
/// same number of elements for every item.
pub(crate) fn fill_parts<T: Send>(
    out: &mut [T],
    items: usize,
    work: impl Fn(Range<usize>, &mut [T]) -> Result<()> + Sync,
) -> Result<()> {
    let (parts, width) = (parts(items), out.len() / items.max(1));
    let (mut rest, mut pieces) = (out, Vec::with_capacity(parts.len()));
    for part in parts {
        let (piece, behind) = rest.split_at_mut(part.len() * width);
        rest = behind;
        pieces.push((part, piece));
    }
    each_part(pieces, work).map(drop)
}

/// Calls `work` for each part with the piece that belongs to it; its results in the order of the parts.
pub(crate) fn each_part<P: Send, R: Send>(
    pieces: Vec<(Range<usize>, P)>,
    work: impl Fn(Range<usize>, P) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    if pieces.len() < 2 {
        let results = pieces.into_iter().map(|(part, piece)| work(part, piece));
        return results.collect();
    }
    let results = pieces
        .into_par_iter()
        .map(|(part, piece)| work(part, piece));
    let results: Vec<_> = results.collect();
    results.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::{fill_parts, map_parts, parts, with_threads};

    #[test]
    fn parts_cover_the_items_once_and_in_order() {
        for threads in [1, 2, 3, 8] {
            for items in [0, 1, 2, 7, 8, 100] {
                let covered = with_threads(threads, || parts(items).into_iter().flatten());
                assert!(covered.eq(0..items), "{threads} threads, {items} items");
            }
        }
        assert_eq!(parts(5).len(), 1, "one thread unless more are granted");
    }

    #[test]
    fn every_part_fills_its_own_elements() {
        let filled = with_threads(3, || {
            let mut out = vec![0; 14];
            fill_parts(&mut out, 7, |range, out| {
                for (item, pair) in range.zip(out.chunks_exact_mut(2)) {
                    pair.fill(item);
                }
                Ok(())
            })?;
            Ok::<_, candle_core::Error>(out)
        });
        assert_eq!(filled.unwrap(), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]);
    }

    #[test]
    fn results_come_in_order_and_the_first_error_wins() {
        with_threads(4, || {
            assert_eq!(map_parts(4, |part| Ok(part.start)).unwrap(), [0, 1, 2, 3]);
            let failed = map_parts::<()>(4, |part| candle_core::bail!("part {}", part.start));
            assert!(failed.unwrap_err().to_string().contains("part 0"));
        });
    }
}
