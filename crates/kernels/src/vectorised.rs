//! Loops over runs of contiguous elements, compiled for the vector instructions of the processor
//! that runs them as well as for the oldest one that the build supports.

use pulp::{Arch, NullaryFnOnce};

use crate::real::Real;

/// Runs a loop with the best instructions there are. A closure must be short, since only one that
/// the compiler inlines is compiled for them; a longer loop is a type whose `call` is always
/// inlined.
#[inline(always)]
pub(crate) fn vectorised<W: NullaryFnOnce>(work: W) -> W::Output {
    Arch::new().dispatch(work)
}

/// sum += values.
pub(crate) fn add_to<T: Real>(sum: &mut [T], values: impl Iterator<Item = T>) {
    vectorised(|| {
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum += value;
        }
    });
}

/// Partial sums side by side, so that additions need not wait for each other.
const LANES: usize = 32;

/// Terms that are added up in the number type of their elements before float64 takes over.
const TERMS: usize = 4096;

/// What is added up of an element a, one of another run b, and a number that all have in common.
/// Functions, since a closure cannot ask to be inlined always.
pub(crate) mod terms {
    use crate::real::Real;

    /// a
    #[inline(always)]
    pub(crate) fn value<T: Real>(a: T, _: T, _: T) -> [T; 1] {
        [a]
    }

    /// a b
    #[inline(always)]
    pub(crate) fn product<T: Real>(a: T, b: T, _: T) -> [T; 1] {
        [a * b]
    }

    /// a - center and its square.
    #[inline(always)]
    pub(crate) fn deviation<T: Real>(a: T, _: T, center: T) -> [T; 2] {
        [a - center, (a - center) * (a - center)]
    }

    /// b and (a - center) b.
    #[inline(always)]
    pub(crate) fn centred_product<T: Real>(a: T, b: T, center: T) -> [T; 2] {
        [b, (a - center) * b]
    }
}

/// Sums of the K numbers that `term` makes of the elements of two runs of one length and `center`.
pub(crate) fn reduce<T: Real, const K: usize>(
    a: &[T],
    b: &[T],
    center: T,
    term: impl Fn(T, T, T) -> [T; K],
) -> [f64; K] {
    let mut totals = [0.0; K];
    for (a, b) in a.chunks(TERMS).zip(b.chunks(TERMS)) {
        let sums = vectorised(Lanes {
            a,
            b,
            center,
            term: &term,
        });
        for (total, sum) in totals.iter_mut().zip(sums) {
            *total += sum.to_f64();
        }
    }
    totals
}

/// Mean of a run, and sum of squared deviations from it, by deviations from a mean that rounding may have shifted.
pub(crate) fn mean_and_deviations<T: Real>(run: &[T]) -> (f64, f64) {
    let entries = run.len() as f64;
    let [sum] = reduce(run, run, T::ZERO, terms::value);
    let near = T::from_f64(sum / entries);
    let [shift, squares] = reduce(run, run, near, terms::deviation);
    (
        near.to_f64() + shift / entries,
        squares - shift * shift / entries,
    )
}

struct Lanes<'a, T, F> {
    a: &'a [T],
    b: &'a [T],
    center: T,
    term: F,
}

impl<T: Real, const K: usize, F: Fn(T, T, T) -> [T; K]> NullaryFnOnce for Lanes<'_, T, F> {
    type Output = [T; K];

    #[inline(always)]
    fn call(self) -> [T; K] {
        let (center, term) = (self.center, self.term);
        let mut sums = [[T::ZERO; LANES]; K];
        let ((a, a_rest), (b, b_rest)) = (self.a.as_chunks::<LANES>(), self.b.as_chunks::<LANES>());
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                let terms = term(a[lane], b[lane], center);
                for (sums, term) in sums.iter_mut().zip(terms) {
                    sums[lane] += term;
                }
            }
        }
        for (lane, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
            for (sums, term) in sums.iter_mut().zip(term(a, b, center)) {
                sums[lane] += term;
            }
        }
        sums.map(|mut sums| {
            let mut width = LANES / 2;
            while width > 0 {
                for lane in 0..width {
                    let other = sums[lane + width];
                    sums[lane] += other;
                }
                width /= 2;
            }
            sums[0]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{LANES, TERMS, add_to, reduce, terms};

    #[test]
    fn every_pair_is_added_once_whatever_the_length() {
        let long = 2 * TERMS + LANES + 1;
        for length in [0, 1, LANES - 1, LANES, 3 * LANES + 5, TERMS, long] {
            let a: Vec<f64> = (0..length).map(|index| index as f64).collect();
            let b: Vec<f64> = a.iter().map(|a| 2.0 * a + 1.0).collect();
            // Whole numbers below 2^53: the sums are exact in any order.
            let products = a.iter().zip(&b).map(|(a, b)| (a - 3.0) * b);
            let expected = [b.iter().sum::<f64>(), products.sum()];
            let sums = reduce(&a, &b, 3.0, terms::centred_product);
            assert_eq!(sums, expected, "{length}");
        }
    }

    #[test]
    fn long_sums_of_single_precision_are_taken_over_by_double() {
        let a = vec![0.1f32; 1 << 22];
        let [sum] = reduce(&a, &a, 0.0, terms::value);
        let exact = f64::from(0.1f32) * f64::from(1 << 22);
        // 4096 terms in 32 lanes leave a relative error below 133 · 2^-24.
        assert!((sum - exact).abs() < exact * 8e-6, "{sum} for {exact}");
    }

    #[test]
    fn values_are_added_in_place() {
        let mut sum = [1.0f32, 2.0, 3.0];
        add_to(&mut sum, [10.0, 20.0, 30.0].into_iter());
        assert_eq!(sum, [11.0, 22.0, 33.0]);
    }
}
