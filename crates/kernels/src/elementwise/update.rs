//! (x₁, ..., x_N) <- f(x₁, ..., x_N; y₁, ..., y_M) element by element, in one pass over memory.
//!
//! f is written once, in [`Number`]s: on the CPU they are f32 or f64, for a kernel its text, and on other devices whole
//! tensors. Every element is computed by itself, with the operations that f names and, on the CPU, no fused ones:
//! neither the number of threads nor the instructions of the processor change a bit.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

use candle_core::{DType, Result, Tensor, bail};
use pulp::NullaryFnOnce;

use super::{Update, share_storage};
use crate::launch::{Extents, Launcher, Operand, Source, launcher, map};
use crate::number::{Number, Text, Whole};
use crate::real::{Real, elements, expect_shape, on_cpu};
use crate::vectorised::vectorised;

/// f, for N targets, M sources and K constants, all in the number type of the targets.
pub trait Elementwise<const N: usize, const M: usize, const K: usize>: Sync {
    /// What its kernel is called.
    const NAME: &'static str;

    /// Numbers that may change from one update to the next, such as a learning rate: what is not among them is compiled into
    /// the kernel.
    fn constants(&self) -> [f64; K];

    /// What the elements of the targets become. It is compiled for the vector instructions of the
    /// processor only where it is marked `#[inline(always)]`.
    fn apply<X: Number>(&self, constants: &[X; K], targets: &[X; N], sources: &[X; M]) -> [X; N];
}

/// That many elements take ten microseconds at least; waking a thread takes a few.
const ELEMENTS_PER_THREAD: usize = 1 << 15;

/// Elements that are read before any of them is written, so that the compiler need not ask whether
/// the slices overlap. Fewer would be unrolled before they are vectorised, which costs a half to two
/// thirds of the speed.
const LANES: usize = 128;

/// Names of targets, sources and constants in a kernel.
const TARGETS: [&str; 4] = ["x0", "x1", "x2", "x3"];
const SOURCES: [&str; 2] = ["y0", "y1"];
const CONSTANTS: [&str; 8] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];

/// Applies f to every element of the pieces: ranges of row-major positions with the f of each, in
/// ascending order and disjoint, which differ in their constants alone. Other elements keep their values. All tensors are
/// contiguous and of one shape and number type, but for sources of f32 of targets of f64. On the CPU more than 2^16 elements
/// are shared by the threads of the rayon pool that the caller runs in.
///
/// # Errors
/// Tensors that are not so, or of which a target shares its
/// storage with another tensor; pieces that overlap or reach beyond the elements. Nothing has
/// changed then. A device error.
pub fn update_elements<F, const N: usize, const M: usize, const K: usize>(
    targets: [&Tensor; N],
    sources: [&Tensor; M],
    pieces: &[(Range<usize>, F)],
) -> Result<()>
where
    F: Elementwise<N, M, K>,
{
    const {
        assert!(N > 0, "an update has a target");
        assert!(N <= TARGETS.len() && M <= SOURCES.len() && K <= CONSTANTS.len());
    };
    let first = targets[0];
    for tensor in targets.iter().chain(&sources) {
        expect_shape("a tensor", tensor, first.dims())?;
        if !tensor.is_contiguous() {
            bail!("expected a contiguous tensor, got {:?}", tensor.layout());
        }
    }
    let dtype = first.dtype();
    for target in &targets {
        if target.dtype() != dtype {
            bail!("expected a target of {dtype:?}, got {:?}", target.dtype());
        }
    }
    let of_sources = sources.first().map_or(dtype, |source| source.dtype());
    for source in &sources {
        if source.dtype() != of_sources {
            let got = source.dtype();
            bail!("expected a source of {of_sources:?}, got {got:?}");
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
    match (dtype, of_sources) {
        (DType::F32, DType::F32) if on_cpu(first) => {
            slices::<f32, f32, F, N, M, K>(targets, sources, pieces)
        }
        (DType::F64, DType::F64) if on_cpu(first) => {
            slices::<f64, f64, F, N, M, K>(targets, sources, pieces)
        }
        (DType::F64, DType::F32) if on_cpu(first) => {
            slices::<f64, f32, F, N, M, K>(targets, sources, pieces)
        }
        (DType::F32 | DType::F64, DType::F32) | (DType::F64, DType::F64) => match launcher(first) {
            Some(launcher) => launched(&*launcher, targets, sources, pieces),
            None => whole(targets, sources, pieces),
        },
        _ => bail!("expected tensors of f32 or f64, got {dtype:?} and {of_sources:?}"),
    }
}

/// As one kernel, to which the pieces are a table that each thread looks its own up in.
fn launched<F, const N: usize, const M: usize, const K: usize>(
    launcher: &dyn Launcher,
    targets: [&Tensor; N],
    sources: [&Tensor; M],
    pieces: &[(Range<usize>, F)],
) -> Result<()>
where
    F: Elementwise<N, M, K>,
{
    let pieces: Vec<_> = pieces
        .iter()
        .filter(|(range, _)| !range.is_empty())
        .collect();
    let Some((range, rule)) = pieces.first() else {
        return Ok(());
    };
    let (count, device) = (targets[0].elem_count(), targets[0].device());
    let targets = TARGETS.into_iter().zip(targets);
    let sources = SOURCES.into_iter().zip(sources);
    let mut operands: Vec<_> = targets
        .map(|(name, target)| Operand::written(name, "a", target))
        .chain(sources.map(|(name, source)| Operand::read(name, "a", source)))
        .collect();
    let (mut sizes, mut numbers, mut find) = (Vec::new(), Vec::new(), String::new());
    let table;
    if *range == (0..count) {
        numbers.extend(CONSTANTS.into_iter().zip(rule.constants()));
    } else {
        let rows = pieces.iter().flat_map(|(range, rule)| {
            let bounds = [range.start, range.end].map(|bound| bound as f64);
            bounds.into_iter().chain(rule.constants())
        });
        table = Tensor::from_iter(rows, device)?;
        operands.push(Operand::pointer("table", table.elem_count(), &table));
        sizes.push(("PIECES", pieces.len()));
        let row = K + 2;
        find.push_str(&format!(
            "unsigned piece = 0;
        for (unsigned behind = PIECES; behind - piece > 1;) {{
            const unsigned middle = (piece + behind) / 2;
            if (table[middle * {row}] <= i) piece = middle; else behind = middle;
        }}
        const double *row = table + piece * {row};
        if (i < row[0] || i >= row[1]) continue;
        "
        ));
        let constants = CONSTANTS[..K].iter().zip(2..);
        find.extend(constants.map(|(name, place)| format!("const double {name} = row[{place}]; ")));
    }
    let text = Text::new("");
    let number = |name: &str| text.then(&format!("T({name})"));
    let constants = std::array::from_fn(|index| number(CONSTANTS[index]));
    let old = std::array::from_fn(|index| number(TARGETS[index]));
    let others = std::array::from_fn(|index| number(SOURCES[index]));
    let new = rule.apply(&constants, &old, &others);
    let results: Vec<_> = TARGETS.into_iter().zip(&new).collect();
    let body = find + &Text::giving(&results);
    let source = Source {
        sizes: &sizes,
        numbers: &numbers,
        ..Source::new(F::NAME, &body)
    };
    map(launcher, source, Extents::elements(count), &operands)
}

/// As operations of candle, piece by piece.
fn whole<F, const N: usize, const M: usize, const K: usize>(
    targets: [&Tensor; N],
    sources: [&Tensor; M],
    pieces: &[(Range<usize>, F)],
) -> Result<()>
where
    F: Elementwise<N, M, K>,
{
    let (dtype, device) = (targets[0].dtype(), targets[0].device());
    for (range, rule) in pieces.iter().filter(|(range, _)| !range.is_empty()) {
        let part = |tensor: &Tensor| tensor.flatten_all()?.narrow(0, range.start, range.len());
        let typed =
            |tensor: Result<Tensor>| Whole::of(tensor.and_then(|part| part.to_dtype(dtype)));
        let new = rule.apply(
            &rule
                .constants()
                .map(|constant| typed(Tensor::new(constant, device))),
            &targets.map(|target| typed(part(target))),
            &sources.map(|source| typed(part(source))),
        );
        for (target, new) in targets.iter().zip(new) {
            part(target)?.slice_set(&new.tensor()?, 0, 0)?;
        }
    }
    Ok(())
}

/// On the CPU, with targets of T and sources of S.
fn slices<T: Real + Number, S: Real, F, const N: usize, const M: usize, const K: usize>(
    targets: [&Tensor; N],
    sources: [&Tensor; M],
    pieces: &[(Range<usize>, F)],
) -> Result<()>
where
    F: Elementwise<N, M, K>,
{
    let locked = sources.iter().map(|source| elements::<S>(source));
    let locked: Vec<_> = locked.collect::<Result<_>>()?;
    let slices = locked.iter().map(|source| source.slice());
    let sources: Vec<&[S]> = slices.collect::<Result<_>>()?;
    with_all(&targets, Vec::with_capacity(N), &|mut targets: Vec<
        &mut [T],
    >| {
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

impl<'a, T: Real + Number, S: Real, const N: usize, const M: usize> Block<'a, T, S, N, M> {
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
    fn update<F: Elementwise<N, M, K>, const K: usize>(self, pieces: &[(Range<usize>, F)]) {
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
            vectorised(Run {
                piece,
                rule,
                constants: rule.constants().map(T::from_f64),
            });
            rest = behind;
        }
    }
}

struct Run<'a, T, S, F, const N: usize, const M: usize, const K: usize> {
    piece: Block<'a, T, S, N, M>,
    rule: &'a F,
    constants: [T; K],
}

impl<T: Real + Number, S: Real, F, const N: usize, const M: usize, const K: usize>
    Run<'_, T, S, F, N, M, K>
where
    F: Elementwise<N, M, K>,
{
    #[inline(always)]
    fn new_elements(&self, old: [T; N], place: usize) -> [T; N] {
        let source = |index: usize| T::from_f64(self.piece.sources[index][place].to_f64());
        let sources = std::array::from_fn(source);
        self.rule.apply(&self.constants, &old, &sources)
    }
}

impl<T: Real + Number, S: Real, F, const N: usize, const M: usize, const K: usize> NullaryFnOnce
    for Run<'_, T, S, F, N, M, K>
where
    F: Elementwise<N, M, K>,
{
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        let length = self.piece.len();
        let whole = length - length % LANES;
        for start in (0..whole).step_by(LANES) {
            let lanes = start..start + LANES;
            let mut old = [[self.piece.targets[0][start]; LANES]; N];
            for (old, target) in old.iter_mut().zip(&self.piece.targets) {
                old.copy_from_slice(&target[lanes.clone()]);
            }
            let mut new = old;
            for lane in 0..LANES {
                let old = std::array::from_fn(|index| old[index][lane]);
                let elements = self.new_elements(old, start + lane);
                for (new, element) in new.iter_mut().zip(elements) {
                    new[lane] = element;
                }
            }
            for (target, new) in self.piece.targets.iter_mut().zip(&new) {
                target[lanes.clone()].copy_from_slice(new);
            }
        }
        for place in whole..length {
            let old = std::array::from_fn(|index| self.piece.targets[index][place]);
            let elements = self.new_elements(old, place);
            for (target, element) in self.piece.targets.iter_mut().zip(elements) {
                target[place] = element;
            }
        }
    }
}
