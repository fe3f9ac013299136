//! (x₁, ..., x_N) <- f(x₁, ..., x_N; y₁, ..., y_M) element by element, in one pass over memory.
//!
//! Every element is computed by itself, with the operations that `f` names and no fused ones:
//! neither the number of threads nor the instructions of the processor change a bit.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

use candle_core::{Result, Tensor, WithDType, bail};
use pulp::NullaryFnOnce;

use super::{Update, share_storage};
use crate::real::{Real, elements, expect_shape};
use crate::vectorised::vectorised;

/// f, for N targets and M sources.
pub trait Elementwise<const N: usize, const M: usize>: Sync {
    /// Number type of the targets.
    type Target: Real;
    /// Number type of the sources.
    type Source: WithDType;

    /// What the elements of the targets become. It is compiled for the vector instructions of the
    /// processor only where it is marked `#[inline(always)]`.
    fn apply(&self, targets: [Self::Target; N], sources: [Self::Source; M]) -> [Self::Target; N];
}

/// That many elements take ten microseconds at least; waking a thread takes a few.
const ELEMENTS_PER_THREAD: usize = 1 << 15;

/// Elements that are read before any of them is written, so that the compiler need not ask whether
/// the slices overlap. Fewer would be unrolled before they are vectorised, which costs a half to two
/// thirds of the speed.
const LANES: usize = 128;

/// Applies f to every element of the pieces: ranges of row-major positions with the f of each, in
/// ascending order and disjoint. Other elements keep their values. All tensors are on the CPU,
/// contiguous and of one shape; more than 2^16 elements are shared by the threads of the rayon pool
/// that the caller runs in.
///
/// # Errors
/// Tensors that are not so, whose number types are not those of f, or of which a target shares its
/// storage with another tensor; pieces that overlap or reach beyond the elements. Nothing has
/// changed then.
pub fn update_elements<F, const N: usize, const M: usize>(
    targets: [&Tensor; N],
    sources: [&Tensor; M],
    pieces: &[(Range<usize>, F)],
) -> Result<()>
where
    F: Elementwise<N, M>,
{
    const { assert!(N > 0, "an update has a target") };
    let first = targets[0];
    for tensor in targets.iter().chain(&sources) {
        expect_shape("a tensor", tensor, first.dims())?;
        if !tensor.device().is_cpu() {
            bail!("expected a CPU tensor");
        }
        if !tensor.is_contiguous() {
            bail!("expected a contiguous tensor, got {:?}", tensor.layout());
        }
    }
    for target in &targets {
        if target.dtype() != F::Target::DTYPE {
            bail!(
                "expected a target of {:?}, got {:?}",
                F::Target::DTYPE,
                target.dtype()
            );
        }
    }
    for (index, target) in targets.iter().enumerate() {
        let others = targets[index + 1..].iter().chain(&sources);
        if others.clone().any(|other| share_storage(target, other)) {
            bail!("expected targets that share no storage with each other or with a source");
        }
    }
    let mut behind = 0;
    for (range, _) in pieces {
        if range.start < behind || range.end < range.start || range.end > first.elem_count() {
            bail!(
                "expected ascending pieces of {} elements, got {range:?}",
                first.elem_count()
            );
        }
        behind = range.end;
    }
    let locked = sources.iter().map(|source| elements::<F::Source>(source));
    let locked: Vec<_> = locked.collect::<Result<_>>()?;
    let slices = locked.iter().map(|source| source.slice());
    let sources: Vec<&[F::Source]> = slices.collect::<Result<_>>()?;
    with_all(&targets, Vec::with_capacity(N), &|mut targets| {
        let mut targets = targets.iter_mut();
        let block = Block {
            start: 0,
            targets: std::array::from_fn(|_| targets.next().map_or(&mut [][..], |target| target)),
            sources: std::array::from_fn(|index| sources[index]),
        };
        block.update(pieces);
        Ok(())
    })
}

/// Calls `kernel` with the elements `collected` so far and those of all `targets`.
fn with_all<T: Real>(
    targets: &[&Tensor],
    collected: Vec<&mut [T]>,
    kernel: &dyn Fn(Vec<&mut [T]>) -> Result<()>,
) -> Result<()> {
    let Some((first, rest)) = targets.split_first() else {
        return kernel(collected);
    };
    let collected = Cell::new(collected);
    first.inplace_op1(&Update {
        kernel: |target: &mut [T]| {
            let mut collected = collected.take();
            collected.push(target);
            with_all(rest, collected, kernel)
        },
        element: PhantomData,
    })
}

/// Consecutive elements of all tensors.
struct Block<'a, T, S, const N: usize, const M: usize> {
    /// Position of the first of them in the tensors.
    start: usize,
    targets: [&'a mut [T]; N],
    sources: [&'a [S]; M],
}

impl<'a, T: Real, S: WithDType, const N: usize, const M: usize> Block<'a, T, S, N, M> {
    fn len(&self) -> usize {
        self.targets[0].len()
    }

    /// The first `length` elements and the others.
    fn split(self, length: usize) -> (Self, Self) {
        let mut behind: [&'a mut [T]; N] = std::array::from_fn(|_| &mut [][..]);
        let mut behinds = behind.iter_mut();
        let targets = self.targets.map(|target| {
            let (front, rest) = target.split_at_mut(length);
            if let Some(behind) = behinds.next() {
                *behind = rest;
            }
            front
        });
        let front = Self {
            start: self.start,
            targets,
            sources: self.sources.map(|source| &source[..length]),
        };
        let behind = Self {
            start: self.start + length,
            targets: behind,
            sources: self.sources.map(|source| &source[length..]),
        };
        (front, behind)
    }

    /// Halves go to two threads as long as each has enough to do.
    fn update<F>(self, pieces: &[(Range<usize>, F)])
    where
        F: Elementwise<N, M, Target = T, Source = S>,
    {
        if self.len() > 2 * ELEMENTS_PER_THREAD {
            let half = self.len() / 2;
            let (front, behind) = self.split(half);
            rayon::join(|| front.update(pieces), || behind.update(pieces));
            return;
        }
        let mut rest = self;
        let reached = pieces.partition_point(|(range, _)| range.end <= rest.start);
        for (range, rule) in &pieces[reached..] {
            let end = rest.start + rest.len();
            if range.start >= end {
                return;
            }
            let before = range.start.saturating_sub(rest.start);
            let (_, within) = rest.split(before);
            let covered = range.end.min(end) - within.start;
            let (piece, behind) = within.split(covered);
            vectorised(Run { piece, rule });
            rest = behind;
        }
    }
}

struct Run<'a, F: Elementwise<N, M>, const N: usize, const M: usize> {
    piece: Block<'a, F::Target, F::Source, N, M>,
    rule: &'a F,
}

impl<F: Elementwise<N, M>, const N: usize, const M: usize> NullaryFnOnce for Run<'_, F, N, M> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (mut targets, sources) = (self.piece.targets, self.piece.sources);
        let length = targets[0].len();
        let whole = length - length % LANES;
        for start in (0..whole).step_by(LANES) {
            let lanes = start..start + LANES;
            let mut old = [[targets[0][start]; LANES]; N];
            for (old, target) in old.iter_mut().zip(&targets) {
                old.copy_from_slice(&target[lanes.clone()]);
            }
            let mut new = old;
            for lane in 0..LANES {
                let elements = self.rule.apply(
                    std::array::from_fn(|index| old[index][lane]),
                    std::array::from_fn(|index| sources[index][start + lane]),
                );
                for (new, element) in new.iter_mut().zip(elements) {
                    new[lane] = element;
                }
            }
            for (target, new) in targets.iter_mut().zip(&new) {
                target[lanes.clone()].copy_from_slice(new);
            }
        }
        for place in whole..length {
            let elements = self.rule.apply(
                std::array::from_fn(|index| targets[index][place]),
                std::array::from_fn(|index| sources[index][place]),
            );
            for (target, element) in targets.iter_mut().zip(elements) {
                target[place] = element;
            }
        }
    }
}
