//! XDiag against the dense diagonal.

use candle_core::DType;
use flatness_spectrum::{Diagonal, Probe};
use nalgebra::{DMatrix, DVector};

use crate::matrices::{Matrix, case, ending, identity, matrix};
use crate::methods::{SKETCH, near, with, xdiag};

pub(crate) fn host(tensor: &candle_core::Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

fn run(case: &Matrix, dtype: DType, probes: usize, block: usize, seed: u64) -> Diagonal {
    let settings = with(SKETCH, |it| {
        (it.probes, it.block, it.seed) = (probes, block, seed)
    });
    xdiag(&case.operator(dtype), &settings).unwrap()
}

/// ‖d − diag A‖
pub(crate) fn distance(result: &Diagonal, case: &Matrix) -> f64 {
    let values = DVector::from_vec(host(&result.values));
    (values - case.entries.diagonal()).norm()
}

#[test]
fn it_and_its_error_are_their_definitions() {
    check_definitions(&case("indefinite"), 6, &[1, 4, 6]);
    // So large that not all entries are at work at a time.
    let large = Matrix::by("large", 200, |i| (50.0 - i).cbrt());
    check_definitions(&large, 45, &[45]);
}

/// The definition leaves each probe out and orthonormalises the others anew.
fn check_definitions(case: &Matrix, count: usize, blocks: &[usize]) {
    let dim = case.dim();
    let rows = Probe::Rademacher
        .rows(&identity(dim, DType::F64), 0..count, 2)
        .unwrap();
    let rows = matrix(&rows);
    let value = |probe: usize, without: &[usize]| -> DVector<f64> {
        let others: Vec<_> = (0..count)
            .filter(|index| !without.contains(index))
            .map(|index| &case.entries * rows.row(index).transpose())
            .collect();
        let basis: DMatrix<f64> = DMatrix::from_columns(&others).qr().q();
        let probe = rows.row(probe).transpose();
        let product = &case.entries * &probe;
        let outside = &product - &basis * basis.tr_mul(&product);
        let image = &case.entries * &basis;
        let inside = basis.component_mul(&image).column_sum();
        inside + probe.component_mul(&outside)
    };
    let values: Vec<_> = (0..count).map(|probe| value(probe, &[probe])).collect();
    let mut debts = DVector::zeros(dim);
    for (i, j) in (0..count).flat_map(|i| (0..i).map(move |j| (i, j))) {
        let (owed, due) = (value(i, &[i, j]), value(j, &[i, j]));
        debts += (&values[i] - owed).component_mul(&(&values[j] - due));
    }
    assert!(debts.min() < 0.0 && debts.max() > 0.0);
    for &block in blocks {
        let result = run(case, DType::F64, count, block, 2);
        assert_eq!((result.probes, result.products), (count, 2 * count));
        let found = (host(&result.values), host(&result.standard_errors));
        for index in 0..dim {
            let mean = values.iter().map(|value| value[index]).sum::<f64>() / count as f64;
            let squares = values.iter().map(|value| (value[index] - mean).powi(2));
            let sum = squares.sum::<f64>() + 2.0 * debts[index].max(0.0);
            let standard_error = (sum / (count * (count - 1)) as f64).sqrt();
            near(case.name, found.0[index], mean, 1e-11);
            near(case.name, found.1[index], standard_error, 1e-11);
        }
    }
}

#[test]
fn a_sketch_of_the_whole_range_gives_the_dense_diagonal() {
    let [_, (rank_5, _), _, (zero, _), ..] = ending();
    for (case, probes) in [(rank_5, 12), (zero, 6), (case("indefinite"), 60)] {
        for (dtype, tolerance) in [(DType::F64, 1e-11), (DType::F32, 1e-4)] {
            let result = run(&case, dtype, probes, 5, 2);
            let tolerance = tolerance * case.norm() + 1e-17;
            let errors = host(&result.standard_errors);
            for (index, value) in host(&result.values).into_iter().enumerate() {
                near(case.name, value, case.entries[(index, index)], tolerance);
                near(case.name, errors[index], 0.0, tolerance);
            }
        }
    }
}

#[test]
fn errors_fall_with_the_probes_where_the_spectrum_decays() {
    let case = Matrix::by("fast", 150, |i| 0.8_f64.powf(i));
    let error = |probes| distance(&run(&case, DType::F64, probes, probes, 3), &case);
    // 0.8^20 = 0.01 from 20 more probes; a method without a sketch would gain a factor of √2.
    assert!(error(40) <= 0.1 * error(20));
}

#[test]
fn float32_agrees_with_float64_at_any_size() {
    for name in ["indefinite", "tiny", "large"] {
        let case = case(name);
        let [double, single] = [DType::F64, DType::F32].map(|dtype| {
            let result = run(&case, dtype, 8, 8, 3);
            [result.values, result.standard_errors]
                .map(|tensor| host(&tensor))
                .concat()
        });
        for (double, single) in double.iter().zip(single) {
            // Float32 rounds at 6e-8, and a sketch of eight loses two digits of that.
            near(name, single, *double, 1e-5 * case.norm());
        }
    }
}
