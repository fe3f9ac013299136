//! Threads that stand for the processes of a parallel program.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use flatness_layers::{Ranks, RanksError};

/// What `work` makes on each of so many ranks, in their order. A rank whose work has ended ends the sums of those that
/// go on.
///
/// # Panics
/// When `work` does.
pub fn on_ranks<T: Send>(size: usize, work: impl Fn(Arc<dyn Ranks>) -> T + Sync) -> Vec<T> {
    let (firsts, others): (Vec<Line>, Vec<Line>) = (1..size).map(|_| line()).unzip();
    let lines = std::iter::once(firsts).chain(others.into_iter().map(|other| vec![other]));
    let ranks = lines.enumerate().map(|(rank, lines)| Rank {
        rank,
        size,
        lines: Mutex::new(lines),
    });
    let work = &work;
    thread::scope(|scope| {
        let start = |rank| scope.spawn(move || work(Arc::new(rank)));
        let threads: Vec<_> = ranks.map(start).collect();
        let ends = threads.into_iter().map(thread::ScopedJoinHandle::join);
        ends.map(|end| end.expect("a rank panicked")).collect()
    })
}

/// One end of what rank 0 and another say to each other.
type Line = (Sender<Vec<f64>>, Receiver<Vec<f64>>);

fn line() -> (Line, Line) {
    let ((to, at), (back, here)) = (channel(), channel());
    ((to, here), (back, at))
}

#[derive(Debug)]
struct Rank {
    rank: usize,
    size: usize,
    /// Those of rank 0 to each other rank, and of each other to rank 0.
    lines: Mutex<Vec<Line>>,
}

impl Rank {
    /// The sum of `values`, which `add` adds.
    fn sum(&self, values: Vec<f64>, add: fn(f64, f64) -> f64) -> Result<Vec<f64>, RanksError> {
        let lines = self.lines.lock().expect("no rank panicked");
        let ended = |rank| RanksError::Ended { rank };
        if self.rank > 0 {
            let (to_first, from_first) = &lines[0];
            to_first.send(values).map_err(|_| ended(0))?;
            return from_first.recv().map_err(|_| ended(0));
        }
        let mut sum = values;
        for (index, (_, from)) in lines.iter().enumerate() {
            let addends = from.recv().map_err(|_| ended(index + 1))?;
            if addends.len() != sum.len() {
                return Err(RanksError::Apart {
                    rank: index + 1,
                    expected: sum.len(),
                    got: addends.len(),
                });
            }
            for (sum, addend) in sum.iter_mut().zip(addends) {
                *sum = add(*sum, addend);
            }
        }
        for (index, (to, _)) in lines.iter().enumerate() {
            to.send(sum.clone()).map_err(|_| ended(index + 1))?;
        }
        Ok(sum)
    }
}

impl Ranks for Rank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn sum_f32(&self, values: &mut [f32]) -> Result<(), RanksError> {
        let single = |a: f64, b: f64| f64::from(a as f32 + b as f32);
        let sum = self.sum(
            values.iter().map(|&value| f64::from(value)).collect(),
            single,
        )?;
        let sums = values.iter_mut().zip(sum);
        sums.for_each(|(value, sum)| *value = sum as f32);
        Ok(())
    }

    fn sum_f64(&self, values: &mut [f64]) -> Result<(), RanksError> {
        let sum = self.sum(values.to_vec(), |a, b| a + b)?;
        values.copy_from_slice(&sum);
        Ok(())
    }
}
