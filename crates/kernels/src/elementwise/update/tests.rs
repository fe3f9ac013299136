//! The pass against a loop over vectors, its bits for any number of threads, and the refusals.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use super::{ELEMENTS_PER_THREAD, Elementwise, LANES, update_elements};
use crate::Number;
use crate::seeded::{uniform, values};

/// x <- a x + y, z <- √(z² + x y + 2): the second target reads the old first one.
struct Pair(f64);

impl Elementwise<2, 1, 1> for Pair {
    const NAME: &'static str = "pair";

    fn constants(&self) -> [f64; 1] {
        [self.0]
    }

    #[inline(always)]
    fn apply<X: Number>(&self, [a]: &[X; 1], [x, z]: &[X; 2], [y]: &[X; 1]) -> [X; 2] {
        let square = z.times(z).plus(&x.times(y));
        [a.times(x).plus(y), square.plus(&z.constant(2.0)).sqrt()]
    }
}

/// x <- x + y.
struct Sum;

impl Elementwise<1, 1, 0> for Sum {
    const NAME: &'static str = "sum";

    fn constants(&self) -> [f64; 0] {
        []
    }

    fn apply<X: Number>(&self, []: &[X; 0], [x]: &[X; 1], [y]: &[X; 1]) -> [X; 1] {
        [x.plus(y)]
    }
}

/// What `Pair` makes of three vectors: a loop in float64.
fn expected(
    x: &[f64],
    z: &[f64],
    y: &[f64],
    factors: impl Fn(usize) -> Option<f64>,
) -> [Vec<f64>; 2] {
    let (mut new_x, mut new_z) = (x.to_vec(), z.to_vec());
    for place in 0..x.len() {
        if let Some(factor) = factors(place) {
            new_x[place] = factor * x[place] + y[place];
            new_z[place] = (z[place].powi(2) + x[place] * y[place] + 2.0).sqrt();
        }
    }
    [new_x, new_z]
}

#[test]
fn every_element_is_updated_once_whatever_the_length() {
    for length in [
        1,
        LANES - 1,
        LANES,
        3 * LANES + 5,
        2 * ELEMENTS_PER_THREAD + 3,
        300_001,
    ] {
        let [x, z, y] = [1, 2, 3].map(|seed| uniform(length, seed, DType::F64));
        let want = expected(&values(&x), &values(&z), &values(&y), |_| Some(0.5));
        update_elements([&x, &z], [&y], &[(0..length, Pair(0.5))]).unwrap();
        assert_eq!([values(&x), values(&z)], want, "{length}");
    }
}

#[test]
fn pieces_have_their_own_rules_and_gaps_keep_their_values() {
    let length = 3 * ELEMENTS_PER_THREAD;
    let end = length - 1;
    let bounds = [0..0, 1..2, 2..40, 50..70_000, 70_000..70_001, 80_000..end];
    let pieces: Vec<(Range<usize>, Pair)> = (bounds.iter().cloned())
        .zip([9.0, 0.5, -1.0, 2.0, 0.0, 0.25].map(Pair))
        .collect();
    let [x, z, y] = [1, 2, 3].map(|seed| uniform(length, seed, DType::F64));
    let factor = |place: usize| {
        let piece = pieces.iter().find(|(range, _)| range.contains(&place));
        piece.map(|(_, rule)| rule.0)
    };
    let want = expected(&values(&x), &values(&z), &values(&y), factor);
    update_elements([&x, &z], [&y], &pieces).unwrap();
    assert_eq!([values(&x), values(&z)], want);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let length = 10 * ELEMENTS_PER_THREAD + 7;
    let results = [1, 2, 3, 5].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let [x, z, y] = [1, 2, 3].map(|seed| uniform(length, seed, DType::F32));
        pool.unwrap()
            .install(|| update_elements([&x, &z], [&y], &[(0..length, Pair(0.3))]))
            .unwrap();
        [values(&x), values(&z)]
    });
    assert!(results.iter().all(|result| *result == results[0]));
}

#[test]
fn a_source_may_have_another_number_type() {
    let sum = Tensor::new(&[1.0f64, 2.0], &Device::Cpu).unwrap();
    let addend = Tensor::new(&[0.1f32, 0.2], &Device::Cpu).unwrap();
    update_elements([&sum], [&addend], &[(0..2, Sum)]).unwrap();
    assert_eq!(
        values(&sum),
        [1.0 + f64::from(0.1f32), 2.0 + f64::from(0.2f32)]
    );
}

#[test]
fn what_does_not_fit_is_an_error_and_changes_nothing() {
    let [x, z, y] = [1, 2, 3].map(|seed| uniform((2, 3), seed, DType::F64));
    let whole = uniform(12, 4, DType::F64);
    let [front, behind] = [0, 6].map(|start| {
        whole
            .narrow(0, start, 6)
            .and_then(|part| part.reshape((2, 3)))
            .unwrap()
    });
    let [single, other_single] = [5, 6].map(|seed| uniform((2, 3), seed, DType::F32));
    let flat = uniform(6, 5, DType::F64);
    let strided = uniform((3, 2), 5, DType::F64).t().unwrap();
    let before = [&x, &z, &y, &whole].map(values);
    let fits = &[(0, 6)][..];
    // What the message names, the tensors, and the pieces.
    type Case<'a> = (&'a str, [&'a Tensor; 3], &'a [(usize, usize)]);
    let cases: [Case<'_>; 11] = [
        ("storage", [&x, &x, &y], fits),
        ("storage", [&x, &z, &x], fits),
        ("storage", [&front, &behind, &y], fits),
        ("storage", [&front, &z, &behind], fits),
        ("F32", [&x, &single, &y], fits),
        ("F64", [&single, &other_single, &y], fits),
        ("[6]", [&x, &z, &flat], fits),
        ("contiguous", [&x, &strided, &y], fits),
        ("contiguous", [&x, &z, &strided], fits),
        ("0..7", [&x, &z, &y], &[(0, 7)]),
        ("1..3", [&x, &z, &y], &[(0, 2), (1, 3)]),
    ];
    for (named, [x, z, y], ranges) in cases {
        let pieces: Vec<_> = (ranges.iter())
            .map(|&(start, end)| (start..end, Pair(0.5)))
            .collect();
        let message = update_elements([x, z], [y], &pieces)
            .unwrap_err()
            .to_string();
        assert!(message.contains(named), "{named}: {message}");
    }
    assert_eq!([&x, &z, &y, &whole].map(values), before);
}
