//! XDiag against the dense diagonal.

use candle_core::DType;
use flatness_spectrum::{Probe, XDiagSettings, xdiag};
use nalgebra::{DMatrix, DVector};

use crate::matrices::{Matrix, case, identity, matrix};

fn host(tensor: &candle_core::Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

#[test]
fn it_is_the_mean_of_its_definition() {
    // The definition leaves each probe out and orthonormalises the others anew.
    let case = case("indefinite");
    let (dim, count, seed) = (case.dim(), 6, 2);
    let rows = Probe::Rademacher
        .rows(&identity(dim, DType::F64), 0..count, seed)
        .unwrap();
    let rows = matrix(&rows);
    let values: Vec<DVector<f64>> = (0..count)
        .map(|left_out| {
            let others: Vec<_> = (0..count)
                .filter(|&index| index != left_out)
                .map(|index| &case.entries * rows.row(index).transpose())
                .collect();
            let basis: DMatrix<f64> = DMatrix::from_columns(&others).qr().q();
            let projector = &basis * basis.transpose();
            let probe = rows.row(left_out).transpose();
            let outside = (DMatrix::identity(dim, dim) - &projector) * &case.entries * &probe;
            (projector * &case.entries).diagonal() + probe.component_mul(&outside)
        })
        .collect();
    for block in [1, 4, 6] {
        let settings = XDiagSettings {
            probes: count,
            block,
            seed,
        };
        let result = xdiag(&case.operator(DType::F64), &settings).unwrap();
        assert_eq!((result.probes, result.products), (count, 2 * count));
        let found = (host(&result.values), host(&result.standard_errors));
        for index in 0..dim {
            let mean = values.iter().map(|value| value[index]).sum::<f64>() / count as f64;
            let squares: f64 = values
                .iter()
                .map(|value| (value[index] - mean).powi(2))
                .sum();
            let standard_error = (squares / (count * (count - 1)) as f64).sqrt();
            assert!((found.0[index] - mean).abs() <= 1e-11);
            assert!((found.1[index] - standard_error).abs() <= 1e-11);
        }
    }
}

#[test]
fn a_sketch_of_the_whole_range_or_space_gives_the_dense_diagonal() {
    let low_rank = [9.0, 4.0, 1.0, -1.0, -6.0].into_iter().chain([0.0; 55]);
    for (case, probes) in [
        (Matrix::new("rank 5", low_rank.collect()), 12),
        (Matrix::new("zero", vec![0.0; 20]), 6),
        (case("indefinite"), 60),
    ] {
        for dtype in [DType::F64, DType::F32] {
            let tolerance = if dtype == DType::F64 { 1e-11 } else { 1e-4 };
            let settings = XDiagSettings {
                probes,
                block: 5,
                seed: 2,
            };
            let result = xdiag(&case.operator(dtype), &settings).unwrap();
            for (index, value) in host(&result.values).into_iter().enumerate() {
                let difference = (value - case.entries[(index, index)]).abs();
                assert!(
                    difference <= tolerance * case.norm() + 1e-17,
                    "{}: {difference:e}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn errors_fall_with_the_probes_where_the_spectrum_decays() {
    let case = Matrix::new("fast", (0..150).map(|i| 0.8_f64.powi(i)).collect());
    let error = |probes| -> f64 {
        let settings = XDiagSettings {
            probes,
            block: probes,
            seed: 3,
        };
        let values = host(&xdiag(&case.operator(DType::F64), &settings).unwrap().values);
        let differences = values.iter().enumerate();
        differences
            .map(|(index, value)| (value - case.entries[(index, index)]).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    // 0.8^20 = 0.01 from 20 more probes; a method without a sketch would gain a factor of √2.
    assert!(error(40) <= 0.1 * error(20));
}
