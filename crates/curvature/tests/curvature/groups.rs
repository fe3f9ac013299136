//! Matrices of named groups of parameters against the whole ones.

use flatness_curvature::{Matrix, Retention};
use flatness_operator::Principal;
use flatness_testkit::{Problem, assert_close, coupled_images, dense_matrix, independent_images};
use nalgebra::DMatrix;

use crate::setup::{data, with_mean_loss};

const EXAMPLES: usize = 10;
const BATCH_SIZE: usize = 4;

/// The entries of `whole` in the rows and columns of the parameters that `chosen` names.
fn entries(problem: &Problem, whole: &DMatrix<f64>, chosen: impl Fn(&str) -> bool) -> DMatrix<f64> {
    let parameters = problem.network.layout().parameters().iter();
    let names = parameters.flat_map(|parameter| vec![parameter.name.as_str(); parameter.len()]);
    let indices: Vec<usize> = names
        .enumerate()
        .filter(|(_, name)| chosen(name))
        .map(|(index, _)| index)
        .collect();
    whole.select_rows(&indices).select_columns(&indices)
}

/// A choice of parameters by patterns, and by other means.
type Group = (&'static [&'static str], fn(&str) -> bool);

#[test]
fn a_group_has_the_entries_of_its_parameters_and_all_is_the_whole() {
    let groups: [Group; 5] = [
        (&["*"], |_| true),
        (&["*.weight"], |name| name.ends_with(".weight")),
        (&["block0.*", "fc.bias"], |name| {
            name.starts_with("block0.") || name == "fc.bias"
        }),
        (&["*conv*"], |name| name.contains("conv")),
        (&["fc.*"], |name| name.starts_with("fc.")),
    ];
    let frozen = independent_images(EXAMPLES, 71).pop();
    let coupled = coupled_images(EXAMPLES, 72).pop();
    for (what, problem) in frozen.into_iter().chain(coupled) {
        let data = data(&problem);
        for matrix in Matrix::ALL {
            with_mean_loss(&problem, &data, (2, BATCH_SIZE), |mean_loss, theta| {
                let curvature = mean_loss.curvature(theta, Retention::Retain).unwrap();
                let operator = &curvature.operator(matrix).unwrap();
                let whole = dense_matrix(operator);
                for (patterns, chosen) in groups {
                    let ranges = problem.network.layout().select(patterns).unwrap();
                    let group = Principal::new(operator, &ranges).unwrap();
                    let expected = entries(&problem, &whole, chosen);
                    let got = dense_matrix(&group);
                    let what = format!("{what}: {matrix} of {patterns:?}");
                    assert_close(&what, got.as_slice(), expected.as_slice(), 1e-13);
                }
            });
        }
    }
}
