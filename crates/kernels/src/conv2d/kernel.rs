//! Register-blocked products of a few rows with one panel of columns, the arithmetic under every
//! convolution pass.
//!
//! ```text
//! dot     C[i, j]  = c[j] + Σ_s Σ_k A_s,i[k] B_s[k, j]      rows A that lie anywhere
//! outer   C[i, j] += Σ_k A_k[i] B[k, j]                     neighbouring elements of every A_k
//! ```
//!
//! j runs over a panel of [`Vectors::WIDTH`] neighbouring channels or pixels, 64 bytes. B is packed,
//! one panel row behind the other.

use pulp::Simd;

use crate::vectors::Vectors;

/// Rows of sums that sixteen registers hold next to their operands: 6 x 2 vectors, 2 and 1.
pub(super) const ROWS: usize = 6;

/// Calls `$function::<_, _, M, N>` with as many rows M as asked for, once for each group of N
/// vectors of a panel, of which the last argument is the first.
macro_rules! blocks {
    ($type:ident, $simd:ty, $rows:expr, $function:ident ( $($argument:expr),* $(,)? )) => {{
        let vectors = vectors_per_panel::<$simd, $type>();
        let mut first = 0;
        while first < vectors {
            let pair = vectors - first > 1;
            match ($rows, pair) {
                (1, false) => $function::<$simd, $type, 1, 1>($($argument,)* first),
                (2, false) => $function::<$simd, $type, 2, 1>($($argument,)* first),
                (3, false) => $function::<$simd, $type, 3, 1>($($argument,)* first),
                (4, false) => $function::<$simd, $type, 4, 1>($($argument,)* first),
                (5, false) => $function::<$simd, $type, 5, 1>($($argument,)* first),
                (_, false) => $function::<$simd, $type, ROWS, 1>($($argument,)* first),
                (1, true) => $function::<$simd, $type, 1, 2>($($argument,)* first),
                (2, true) => $function::<$simd, $type, 2, 2>($($argument,)* first),
                (3, true) => $function::<$simd, $type, 3, 2>($($argument,)* first),
                (4, true) => $function::<$simd, $type, 4, 2>($($argument,)* first),
                (5, true) => $function::<$simd, $type, 5, 2>($($argument,)* first),
                (_, true) => $function::<$simd, $type, ROWS, 2>($($argument,)* first),
            }
            first += 2;
        }
    }};
}

#[inline(always)]
fn vectors_per_panel<S: Simd, T: Vectors>() -> usize {
    T::WIDTH * size_of::<T>() / size_of::<T::Vector<S>>()
}

/// `C[i, j] = start[j] + Σ_s Σ_k A_s,i[k] B_s[k, j]` for `count` ≤ [`ROWS`] rows: `left(s, i)` is
/// A_s,i, all of one length within s, and row i of C is the panel row of `out` at `place(i)`.
#[inline(always)]
pub(super) fn dot<'a, S: Simd, T: Vectors>(
    simd: S,
    (count, segments): (usize, usize),
    left: impl Fn(usize, usize) -> &'a [T],
    panel: &[T],
    start: &[T],
    out: &mut [T],
    place: impl Fn(usize) -> usize,
) {
    blocks!(
        T,
        S,
        count,
        dot_block(simd, segments, &left, panel, start, out, &place)
    );
}

#[inline(always)]
#[allow(
    clippy::too_many_arguments,
    reason = "the operands of `dot` and the block"
)]
fn dot_block<'a, S: Simd, T: Vectors, const M: usize, const N: usize>(
    simd: S,
    segments: usize,
    left: &impl Fn(usize, usize) -> &'a [T],
    panel: &[T],
    start: &[T],
    out: &mut [T],
    place: &impl Fn(usize) -> usize,
    first: usize,
) {
    let vectors = vectors_per_panel::<S, T>();
    let start = &T::vectors::<S>(start)[first..first + N];
    let mut sums = [[start[0]; N]; M];
    for row in &mut sums {
        row.copy_from_slice(start);
    }
    let mut panel = T::vectors::<S>(panel);
    for segment in 0..segments {
        let mut rows = [&[][..]; M];
        for (index, row) in rows.iter_mut().enumerate() {
            *row = left(segment, index);
        }
        let length = rows[0].len();
        for row in &mut rows {
            *row = &row[..length];
        }
        let (here, behind) = panel.split_at(length * vectors);
        panel = behind;
        for k in 0..length {
            let right = &here[k * vectors + first..][..N];
            for (sums, row) in sums.iter_mut().zip(&rows) {
                let value = T::splat(simd, row[k]);
                for (sum, &right) in sums.iter_mut().zip(right) {
                    *sum = T::mul_add(simd, value, right, *sum);
                }
            }
        }
    }
    for (index, sums) in sums.iter().enumerate() {
        let row = T::vectors_mut::<S>(&mut out[place(index)..][..T::WIDTH]);
        row[first..first + N].copy_from_slice(sums);
    }
}

/// `C[i, j] = Σ_k A_k[i] B[k, j]`, added to C or written over it, for `count` ≤ [`ROWS`] neighbours
/// i and k < `steps`: A_k starts at `left(k)` of `values`, row i of C is the panel row of `out` at
/// `place(i)`.
#[inline(always)]
#[allow(
    clippy::too_many_arguments,
    reason = "two operands, a result and their places"
)]
pub(super) fn outer<S: Simd, T: Vectors>(
    simd: S,
    (count, steps): (usize, usize),
    values: &[T],
    left: impl Fn(usize) -> usize,
    panel: &[T],
    out: &mut [T],
    place: impl Fn(usize) -> usize,
    store: Store,
) {
    blocks!(
        T,
        S,
        count,
        outer_block(simd, steps, values, &left, panel, out, &place, store)
    );
}

#[inline(always)]
#[allow(
    clippy::too_many_arguments,
    reason = "the operands of `outer` and the block"
)]
fn outer_block<S: Simd, T: Vectors, const M: usize, const N: usize>(
    simd: S,
    steps: usize,
    values: &[T],
    left: &impl Fn(usize) -> usize,
    panel: &[T],
    out: &mut [T],
    place: &impl Fn(usize) -> usize,
    store: Store,
    first: usize,
) {
    let vectors = vectors_per_panel::<S, T>();
    let mut sums = [[T::splat(simd, T::ZERO); N]; M];
    let panel = &T::vectors::<S>(panel)[..steps * vectors];
    for k in 0..steps {
        let right = &panel[k * vectors + first..][..N];
        let row = &values[left(k)..][..M];
        for (sums, &value) in sums.iter_mut().zip(row) {
            let value = T::splat(simd, value);
            for (sum, &right) in sums.iter_mut().zip(right) {
                *sum = T::mul_add(simd, value, right, *sum);
            }
        }
    }
    for (index, sums) in sums.iter().enumerate() {
        let row = T::vectors_mut::<S>(&mut out[place(index)..][..T::WIDTH]);
        let row = &mut row[first..first + N];
        match store {
            Store::Write => row.copy_from_slice(sums),
            Store::Add => {
                for (there, &sum) in row.iter_mut().zip(sums) {
                    *there = T::plus(simd, *there, sum);
                }
            }
        }
    }
}

/// What becomes of what stood at the place of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    Write,
    Add,
}

impl Store {
    #[inline(always)]
    pub(super) fn put<T: Vectors>(self, target: &mut [T], values: &[T]) {
        match self {
            Self::Write => target.copy_from_slice(values),
            Self::Add => {
                for (there, &value) in target.iter_mut().zip(values) {
                    *there += value;
                }
            }
        }
    }
}
