//! Probes: a function of seed and index alone, with the moments the estimators assume.

use candle_core::{DType, Tensor};
use flatness_spectrum::{Error, Probe};

use crate::matrices::identity;
use crate::methods::near;

pub(crate) const KINDS: [Probe; 2] = [Probe::Gaussian, Probe::Rademacher];

fn rows(probe: Probe, first: usize, count: usize, dim: usize, seed: u64) -> Vec<Vec<f64>> {
    let rows = probe.rows(&identity(dim, DType::F64), first..first + count, seed);
    let rows = rows.unwrap();
    assert_eq!(rows.dims(), [count, dim]);
    rows.to_vec2().unwrap()
}

#[test]
fn a_probe_is_the_same_in_every_block() {
    for probe in KINDS {
        let all = rows(probe, 0, 7, 130, 5);
        for first in 0..7 {
            for count in 1..=7 - first {
                assert_eq!(rows(probe, first, count, 130, 5), all[first..first + count]);
            }
        }
        for row in 1..7 {
            assert_ne!(all[row], all[0], "{probe:?}");
        }
        assert_ne!(rows(probe, 0, 7, 130, 6), all, "{probe:?}");
    }
}

#[test]
fn float32_probes_are_the_rounded_float64_ones() {
    for probe in KINDS {
        let single = probe.rows(&identity(100, DType::F32), 3..5, 1).unwrap();
        let double = probe.rows(&identity(100, DType::F64), 3..5, 1).unwrap();
        let rounded = double.to_dtype(DType::F32).unwrap();
        let entries = |tensor: &Tensor| tensor.to_vec2::<f32>().unwrap();
        assert_eq!(entries(&single), entries(&rounded));
    }
}

#[test]
fn entries_have_mean_zero_variance_one_and_no_correlation() {
    let (count, dim) = (200, 500);
    for probe in KINDS {
        let rows = rows(probe, 0, count, dim, 9);
        let n = (count * dim) as f64;
        let mean: f64 = rows.iter().flatten().sum::<f64>() / n;
        let square = rows
            .iter()
            .flatten()
            .map(|entry| entry * entry)
            .sum::<f64>()
            / n;
        // Neighbours within a probe, and the same entry of successive probes.
        let neighbours = rows.iter().flat_map(|row| row.windows(2));
        let within: f64 = neighbours.map(|pair| pair[0] * pair[1]).sum();
        let successive = rows
            .windows(2)
            .flat_map(|pair| pair[0].iter().zip(&pair[1]));
        let between: f64 = successive.map(|(left, right)| left * right).sum();
        // Five standard deviations of a mean of n products of variance 1; a Gaussian square has
        // variance 2.
        let bound = 5.0 / n.sqrt();
        near("mean", mean, 0.0, bound);
        near("square", square, 1.0, bound * 2.0_f64.sqrt());
        near("within", within / n, 0.0, bound);
        near("between", between / n, 0.0, bound);
    }
}

#[test]
fn rademacher_entries_are_signs_at_every_length() {
    for dim in [1, 63, 64, 65, 128, 1000] {
        let row = rows(Probe::Rademacher, 0, 1, dim, 4).remove(0);
        assert_eq!(row.len(), dim);
        assert!(row.iter().all(|entry| entry.abs() == 1.0));
    }
}

#[test]
fn other_element_types_are_refused() {
    for dtype in [DType::U8, DType::I64, DType::BF16] {
        let error = Probe::Gaussian.rows(&identity(3, dtype), 0..1, 0);
        assert!(matches!(error, Err(Error::UnsupportedDType { got }) if got == dtype));
    }
}
