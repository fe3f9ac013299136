//! Quadrature against functions of matrices of a chosen spectrum.

use candle_core::{DType, Device, Tensor};
use flatness_spectrum::{
    Budget, Error, Function, Goal, Probe, Quadrature, QuadratureSettings, quadrature_bytes,
    quadrature_until,
};
use nalgebra::DMatrix;

use crate::matrices::{case, custom, dense, diagonal, identity, matrix, repeated, tensor};
use crate::methods::{RULES, near, quadrature, rules, with};
use crate::probes::KINDS;

fn settings(probes: usize, steps: usize, probe: Probe) -> QuadratureSettings {
    with(RULES, |it| {
        (it.probes, it.steps, it.probe) = (probes, steps, probe)
    })
}

/// dim × the mean of vᵀ B v over the normalised probes.
fn mean_form(function: &DMatrix<f64>, result: &Quadrature) -> f64 {
    let dim = function.nrows();
    let (probes, space) = (result.rules.len(), identity(dim, DType::F64));
    let rows = matrix(&result.probe.rows(&space, 0..probes, result.seed).unwrap());
    let form = |row| {
        let unit = rows.row(row).normalize();
        (&unit * function).dot(&unit)
    };
    dim as f64 * (0..probes).map(form).sum::<f64>() / probes as f64
}

#[test]
fn a_rule_of_m_nodes_is_exact_to_degree_2m_minus_1() {
    let case = case("indefinite");
    for probe in KINDS {
        let result = quadrature(&case.operator(DType::F64), None, &settings(6, 4, probe)).unwrap();
        assert_eq!((result.products, result.dim, result.steps), (24, 60, 4));
        for degree in 0..8 {
            // In units of the norm, 5, so that every power is of order 1.
            let power = |value: f64| (value / 5.0).powi(degree);
            let estimate = result.integrate(power).unwrap();
            let expected = mean_form(&case.function(power), &result);
            near(degree, estimate.value, expected, 1e-11);
        }
        // Degree 2 m is not: the error is the square of the m-th orthogonal polynomial, which no
        // spectrum of 60 points makes vanish.
        let power = |value: f64| (value / 5.0).powi(8);
        let estimate = result.integrate(power).unwrap();
        assert!((estimate.value - mean_form(&case.function(power), &result)).abs() > 1e-6);
    }
}

#[test]
fn with_all_steps_any_function_is_exact_for_its_probes() {
    for (case, distinct) in [(case("indefinite"), 60), (repeated(), 3)] {
        for probe in KINDS {
            let settings = settings(5, case.dim(), probe);
            let result = quadrature(&case.operator(DType::F64), None, &settings).unwrap();
            assert_eq!(result.products, 5 * distinct);
            for function in [f64::exp, f64::sin, f64::abs] {
                let estimate = result.integrate(function).unwrap();
                let expected = mean_form(&case.function(function), &result);
                let counts = (estimate.probes, estimate.products, estimate.seed);
                assert_eq!(counts, (5, 5 * distinct, 23));
                let scale = case.dim() as f64 * case.norm().exp();
                near(case.name, estimate.value, expected, 1e-12 * scale);
            }
        }
    }
}

#[test]
fn the_block_changes_neither_probes_nor_rules() {
    let entries: Vec<f64> = (0..40).map(|i| f64::from(i).sin()).collect();
    let operator = diagonal(&entries, DType::F64);
    let run = |block| {
        let settings = with(settings(7, 12, Probe::Gaussian), |it| it.block = block);
        quadrature(&operator, None, &settings).unwrap()
    };
    let reference = run(1);
    for block in [2, 3, 7, 100] {
        assert_eq!(run(block), reference);
    }
}

/// 4 + block × (steps + 4) vectors of doubles, and the most rows that the operator was given.
#[test]
fn the_bytes_allowed_change_neither_probes_nor_rules_nor_where_it_ends() {
    let entries: Vec<f64> = (0..40).map(|i| f64::from(i).sin()).collect();
    let diagonal = Tensor::new(entries, &Device::Cpu).unwrap();
    let run = |bytes: Option<u64>| {
        let widest = std::cell::Cell::new(0);
        let operator = custom(40, DType::F64, |block: &Tensor| {
            widest.set(widest.get().max(block.dims()[0]));
            block.broadcast_mul(&diagonal)
        });
        let settings = with(settings(8, 12, Probe::Gaussian), |it| it.bytes = bytes);
        let (goal, budget) = (Goal::relative(0.1), Budget::of_products(2000));
        let judged: [Function<'_>; 1] = [&|rules| rules.integrate(f64::exp)];
        let none = &mut |_: &_| ();
        let until = quadrature_until(&operator, &settings, None, &judged, &goal, &budget, none);
        let until = until.unwrap();
        let whole = quadrature(&operator, None, &settings).unwrap();
        (widest.get(), until.result, until.stop, whole)
    };
    let (widest, until, stop, whole) = run(None);
    assert_eq!(widest, 4);
    assert!(until.rules.len() > 8, "the goal is to take several blocks");
    for lockstep in 1..=5 {
        let bytes = (4 + 16 * lockstep) * 40 * 8;
        let said = quadrature_bytes(lockstep as usize, 12, 40, DType::F64);
        assert_eq!(said, bytes);
        for bytes in [bytes, bytes + 40 * 8] {
            let (widest, other, ending, rules) = run(Some(bytes));
            assert_eq!(widest as u64, lockstep.min(4));
            assert_eq!((other, ending, rules), (until.clone(), stop, whole.clone()));
        }
    }
}

#[test]
fn a_probe_beyond_the_bytes_allowed_is_refused_with_the_steps_that_fit() {
    let operator = case("indefinite").operator(DType::F64);
    let refused = |bytes| {
        let settings = with(settings(3, 5, Probe::Gaussian), |it| it.bytes = Some(bytes));
        let error = quadrature(&operator, None, &settings).unwrap_err();
        let Error::TooLarge { needed, fits, .. } = error else {
            panic!("{error}");
        };
        (needed, fits)
    };
    let vector = 60 * 8;
    assert_eq!(refused(13 * vector - 1), (13 * vector, 4));
    assert_eq!(refused(9 * vector), (13 * vector, 1));
    assert_eq!(refused(3), (13 * vector, 0));
}

#[test]
fn a_probe_that_ends_early_leaves_the_others_running() {
    // The matrix of ones has the eigenvector (1, 1, 1): a probe of three equal signs ends after one
    // step, any other after two.
    let ones = DMatrix::from_element(3, 3, 1.0);
    let operator = dense(&tensor(&ones));
    let settings = with(settings(12, 3, Probe::Rademacher), |it| it.block = 12);
    let result = quadrature(&operator, None, &settings).unwrap();
    let probes = Probe::Rademacher.rows(&operator, 0..12, settings.seed);
    let sums: Vec<f64> = probes.unwrap().sum(1).unwrap().to_vec1().unwrap();
    let steps = |sum: &f64| if sum.abs() == 3.0 { 1 } else { 2 };
    let expected: Vec<usize> = sums.iter().map(steps).collect();
    assert!(expected.contains(&1) && expected.contains(&2));
    let nodes: Vec<usize> = result.rules.iter().map(|rule| rule.nodes.len()).collect();
    assert_eq!(nodes, expected);
    assert_eq!(result.products, expected.iter().sum::<usize>());
    let trace = result.integrate(|value| value).unwrap();
    let mean_square = sums.iter().map(|sum| sum * sum).sum::<f64>() / 12.0;
    near("trace", trace.value, mean_square, 1e-13);
}

#[test]
fn a_function_without_a_value_at_a_node_is_refused() {
    let operator = case("indefinite").operator(DType::F64);
    let error = rules(&operator, 3, 5, 23).integrate(f64::ln).unwrap_err();
    assert!(
        matches!(error, Error::NonFiniteIntegrand { node, .. } if node < 0.0),
        "{error}"
    );
}
