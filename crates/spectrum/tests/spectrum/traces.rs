//! Hutchinson, Hutch++ and XTrace against the chosen spectrum, against their definitions, and
//! against each other.

use candle_core::DType;
use flatness_operator::LinearOperator;
use flatness_spectrum::{
    Error, HutchPlusPlusSettings, HutchinsonSettings, Probe, XTraceSettings, hutch_plus_plus,
    hutchinson, xtrace,
};
use nalgebra::{DMatrix, DVector};

use crate::matrices::{Diagonal, Matrix, case, cases, identity, matrix, repeated};

fn by_hutchinson(operator: &dyn LinearOperator, products: usize, seed: u64) -> f64 {
    let settings = HutchinsonSettings {
        probes: products,
        block: products,
        probe: Probe::Rademacher,
        seed,
    };
    hutchinson(operator, &settings).unwrap().value
}

fn by_hutch_plus_plus(operator: &dyn LinearOperator, products: usize, seed: u64) -> f64 {
    let settings = HutchPlusPlusSettings {
        rank: products / 3,
        probes: products / 3,
        block: products,
        seed,
    };
    let estimate = hutch_plus_plus(operator, &settings).unwrap();
    assert_eq!(estimate.products, products);
    estimate.value
}

fn by_xtrace(operator: &dyn LinearOperator, products: usize, seed: u64) -> f64 {
    let settings = XTraceSettings {
        probes: products / 2,
        block: products,
        seed,
    };
    let estimate = xtrace(operator, &settings).unwrap();
    assert_eq!(estimate.products, products);
    estimate.value
}

#[test]
fn sketches_beat_hutchinson_where_the_spectrum_decays() {
    let case = Matrix::new("fast", (0..150).map(|i| 0.8_f64.powi(i)).collect());
    let operator = case.operator(DType::F64);
    let truth: f64 = case.eigenvalues.iter().sum();
    let error = |method: fn(&dyn LinearOperator, usize, u64) -> f64| {
        let squares: f64 = (0..30)
            .map(|seed| (method(&operator, 60, seed) - truth).powi(2))
            .sum();
        (squares / 30.0).sqrt()
    };
    let plain = error(by_hutchinson);
    let plus_plus = error(by_hutch_plus_plus);
    let exchangeable = error(by_xtrace);
    // What is left beyond the 20 and 30 directions of the sketches is 0.8^20 and 0.8^30 of the
    // whole: 1e-2 and 1e-3.
    assert!(plus_plus < 0.1 * plain, "{plus_plus} {plain}");
    assert!(exchangeable < 0.3 * plus_plus, "{exchangeable} {plus_plus}");
}

#[test]
fn xtrace_and_its_error_are_their_definitions() {
    // The definition leaves each probe out and orthonormalises the others anew.
    let case = case("indefinite");
    let (dim, count, seed) = (case.dim(), 7, 3);
    let rows = Probe::Gaussian
        .rows(&identity(dim, DType::F64), 0..count, seed)
        .unwrap();
    let rows = matrix(&rows);
    let probes: Vec<DVector<f64>> = (0..count)
        .map(|row| rows.row(row).transpose().normalize() * (dim as f64).sqrt())
        .collect();
    // trⱼ from a basis of the products of all probes but those named.
    let value = |probes: &[DVector<f64>], probe: usize, without: &[usize]| -> f64 {
        let others: Vec<_> = (0..count)
            .filter(|index| !without.contains(index))
            .map(|index| &case.entries * &probes[index])
            .collect();
        let basis: DMatrix<f64> = DMatrix::from_columns(&others).qr().q();
        let probe = &probes[probe];
        let outside = probe - &basis * (basis.transpose() * probe);
        let scale = (dim - others.len()) as f64 / outside.norm_squared();
        (basis.transpose() * &case.entries * &basis).trace()
            + scale * outside.dot(&(&case.entries * &outside))
    };
    let values: Vec<f64> = (0..count)
        .map(|left_out| value(&probes, left_out, &[left_out]))
        .collect();
    let mean = values.iter().sum::<f64>() / count as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let debt = |of: usize, to: usize| values[of] - value(&probes, of, &[of, to]);
    let debts: f64 = (0..count)
        .flat_map(|i| (0..count).map(move |j| (i, j)))
        .filter(|(i, j)| i != j)
        .map(|(i, j)| debt(i, j) * debt(j, i))
        .sum();
    assert!(debts > 0.0, "the covariance has to count");
    let standard_error = ((squares + debts) / (count * (count - 1)) as f64).sqrt();
    for block in [1, 2, 7] {
        let settings = XTraceSettings {
            probes: count,
            block,
            seed,
        };
        let estimate = xtrace(&case.operator(DType::F64), &settings).unwrap();
        assert!((estimate.value - mean).abs() <= 1e-10, "{}", estimate.value);
        assert!((estimate.standard_error - standard_error).abs() <= 1e-10);
        assert_eq!((estimate.probes, estimate.products), (count, 2 * count));
    }
}

#[test]
fn a_sketch_of_the_whole_range_is_exact() {
    let low_rank = [9.0, 4.0, 1.0, -1.0, -6.0].into_iter().chain([0.0; 55]);
    let exact = [
        (Matrix::new("rank 5", low_rank.collect()), 12),
        (Matrix::new("zero", vec![0.0; 20]), 6),
        (Matrix::new("two by two", vec![3.0, -4.0]), 2),
        (repeated(), 30),
    ];
    for (case, probes) in exact.into_iter().chain(cases().into_iter().map(|case| {
        let dim = case.dim();
        (case, dim)
    })) {
        let truth: f64 = case.eigenvalues.iter().sum();
        // Forms of probes of squared length dim, whose rounding the leaving-out cancels.
        let tolerance = 1e-11 * case.norm() * case.dim() as f64 + 1e-100;
        let operator = case.operator(DType::F64);
        let settings = XTraceSettings {
            probes,
            block: 5,
            seed: 1,
        };
        let estimate = xtrace(&operator, &settings).unwrap();
        assert!(
            (estimate.value - truth).abs() <= tolerance,
            "{}: {} {truth}",
            case.name,
            estimate.value
        );
        assert!(estimate.standard_error <= tolerance, "{}", case.name);
        let settings = HutchPlusPlusSettings {
            rank: probes,
            probes: 2,
            block: 5,
            seed: 1,
        };
        let estimate = hutch_plus_plus(&operator, &settings).unwrap();
        assert!((estimate.value - truth).abs() <= tolerance, "{}", case.name);
    }
}

#[test]
fn settings_and_operators_that_make_no_sense_are_refused() {
    let operator = Diagonal::new(vec![1.0, 2.0, 3.0], DType::F64);
    let settings = |probes, block| XTraceSettings {
        probes,
        block,
        seed: 0,
    };
    for (probes, block, sentence) in [
        (
            0,
            1,
            "probes is 0, but a standard error needs at least 2; ask for more probes",
        ),
        (
            4,
            1,
            "probes is 4, but the operator has dimension 3; ask for at most 3",
        ),
        (2, 0, "block is 0; set it to at least 1"),
    ] {
        let error = xtrace(&operator, &settings(probes, block)).unwrap_err();
        assert_eq!(error.to_string(), sentence);
    }
    let poisoned = Diagonal::new(vec![1.0, f64::NAN, 0.0], DType::F64);
    let error = xtrace(&poisoned, &settings(2, 1)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::NonFiniteProduct {
                probe: 0,
                product: 0
            }
        ),
        "{error}"
    );
    let settings = HutchPlusPlusSettings {
        rank: 0,
        probes: 2,
        block: 1,
        seed: 0,
    };
    let error = hutch_plus_plus(&operator, &settings).unwrap_err();
    assert_eq!(error.to_string(), "rank is 0; set it to at least 1");
}
