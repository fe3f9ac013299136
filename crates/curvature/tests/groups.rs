//! Matrices of named groups of parameters and of parts of the data, against the whole ones.

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{Matrix, MeanLoss, Retention, Settings};
use flatness_data::{Examples, LabelledTensors, Subset};
use flatness_layers::{Loss, Workers};
use flatness_operator::{LinearOperator, Principal, Shifted};
use flatness_testkit::{
    Activation, Problem, assert_close, assert_small, coupled_images, dense_matrix,
    independent_images,
};
use nalgebra::DMatrix;

const EXAMPLES: usize = 10;
const BATCH_SIZE: usize = 4;

fn data(problem: &Problem) -> LabelledTensors {
    LabelledTensors::new("toy", &problem.inputs, &problem.labels, problem.classes()).unwrap()
}

fn with_operator<T>(
    problem: &Problem,
    data: &dyn Examples,
    matrix: Matrix,
    work: impl FnOnce(&dyn LinearOperator) -> T,
) -> T {
    let workers = Workers::new(2).unwrap();
    let settings = Settings {
        dtype: DType::F64,
        device: Device::Cpu,
        batch_size: BATCH_SIZE,
    };
    let mean_loss = MeanLoss::new(&problem.network, data, problem.loss, &workers, settings);
    let theta = Tensor::new(problem.theta.as_slice(), &Device::Cpu).unwrap();
    let mean_loss = mean_loss.unwrap();
    let curvature = mean_loss.curvature(&theta, Retention::Retain).unwrap();
    work(&curvature.operator(matrix).unwrap())
}

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
            with_operator(&problem, &data, matrix, |operator| {
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

/// The L2 term adds its coefficient to the diagonal of a group.
#[test]
fn a_group_takes_an_l2_term() {
    let widths = [4, 5, 3];
    let problem = Problem::new(&widths, Activation::Tanh, Loss::CrossEntropy, EXAMPLES, 73);
    let data = data(&problem);
    with_operator(&problem, &data, Matrix::Hessian, |operator| {
        let ranges = problem.network.layout().select(&["fc1.*"]).unwrap();
        let group = Principal::new(operator, &ranges).unwrap();
        let plain = dense_matrix(&group);
        let got = dense_matrix(&Shifted::new(&group, 0.5).unwrap());
        let expected = plain + DMatrix::identity(group.dim(), group.dim()) * 0.5;
        assert_close("H + γ I", got.as_slice(), expected.as_slice(), 1e-15);
    });
}

/// In a chain of piecewise linear layers the logits are affine in the parameters of each layer.
#[test]
fn layers_of_a_chain_have_no_residual_of_their_own() {
    for (what, problem) in independent_images(EXAMPLES, 74) {
        if !what.contains("VGG") {
            continue;
        }
        let data = data(&problem);
        with_operator(&problem, &data, Matrix::Residual, |operator| {
            let largest = dense_matrix(operator).amax();
            assert!(largest > 1e-3, "{what}: R itself does not vanish");
            for (layer, range) in problem.network.layout().layers() {
                let group = Principal::new(operator, &[range]).unwrap();
                let block = dense_matrix(&group);
                let what = format!("{what}: {layer}");
                assert_small(&what, block.as_slice(), 1e-14 * largest);
            }
        });
    }
}

#[test]
fn the_subset_of_all_examples_is_the_whole_data() {
    for (what, problem) in coupled_images(EXAMPLES, 75) {
        let data = data(&problem);
        let all = Subset::first(&data, EXAMPLES).unwrap();
        for matrix in Matrix::ALL {
            let [whole, part] = [&data as &dyn Examples, &all]
                .map(|data| with_operator(&problem, data, matrix, |a| dense_matrix(a)));
            assert_eq!(whole, part, "{what}: {matrix}");
        }
    }
}

/// Where examples are independent, the matrices of two halves average to that of the whole.
#[test]
fn means_over_halves_average_to_the_mean() {
    for (what, problem) in independent_images(EXAMPLES, 76) {
        let data = data(&problem);
        let halves = [vec![0, 2, 4, 6, 8], vec![9, 7, 5, 3, 1]];
        for matrix in [Matrix::Hessian, Matrix::Residual, Matrix::EmpiricalFisher] {
            let whole = with_operator(&problem, &data, matrix, |a| dense_matrix(a));
            let sum = halves
                .iter()
                .map(|half| {
                    let half = Subset::new(&data, half.clone()).unwrap();
                    with_operator(&problem, &half, matrix, |a| dense_matrix(a))
                })
                .fold(whole.scale(0.0), |sum, part| sum + part);
            let what = format!("{what}: {matrix}");
            assert_close(&what, (sum / 2.0).as_slice(), whole.as_slice(), 1e-13);
        }
    }
}
