//! Norms and the Fisher-Rao norm against loops over the elements.

use candle_core::Tensor;
use flatness_layers::Loss;
use flatness_measures::{
    Rescaling, WeightNorms, distance_from_initialization, fisher_rao, weight_norms,
};
use flatness_testkit::{Activation, Normalization, Problem, assert_close, gaussian, values, vgg};

use crate::toy::{Toy, vector};

const EXAMPLES: usize = 7;

fn problems() -> [Problem; 3] {
    [
        Problem::new(&[4, 3], Activation::Relu, Loss::CrossEntropy, EXAMPLES, 21),
        Problem::new(
            &[4, 6, 3],
            Activation::Relu,
            Loss::CrossEntropy,
            EXAMPLES,
            22,
        ),
        Problem::of(vgg(Normalization::None), Loss::CrossEntropy, EXAMPLES, 23),
    ]
}

fn check_norms(problem: &Problem, elements: &[f64], got: &WeightNorms) {
    let length = |piece: &[f64]| piece.iter().map(|x| x * x).sum::<f64>().sqrt();
    assert_close("total", &[got.total], &[length(elements)], 1e-14);
    let names: Vec<&str> = got.layers.iter().map(|layer| layer.name.as_str()).collect();
    let layers = problem.layers();
    assert_eq!(
        names,
        layers.iter().map(|layer| layer.0).collect::<Vec<_>>()
    );
    let norms: Vec<f64> = got.layers.iter().map(|layer| layer.norm).collect();
    let expected: Vec<f64> = layers
        .iter()
        .map(|(_, range)| length(&elements[range.clone()]))
        .collect();
    assert_close("layers", &norms, &expected, 1e-14);
}

#[test]
fn norms_are_roots_of_sums_of_squares() {
    for problem in problems() {
        let (layout, theta) = (problem.network.layout(), vector(&problem.theta));
        check_norms(
            &problem,
            &problem.theta,
            &weight_norms(layout, &theta).unwrap(),
        );
        let initial = gaussian(problem.dim(), 24);
        let pairs = problem.theta.iter().zip(values(&initial));
        let moved: Vec<f64> = pairs.map(|(theta, initial)| theta - initial).collect();
        let distance = distance_from_initialization(layout, &theta, &initial).unwrap();
        check_norms(&problem, &moved, &distance);
        let short = theta.narrow(0, 1, problem.dim() - 1).unwrap();
        assert!(weight_norms(layout, &short).is_err());
        let message = distance_from_initialization(layout, &theta, &short).unwrap_err();
        assert!(
            message
                .to_string()
                .starts_with("the initial parameters: expected shape")
        );
    }
}

/// zᵀ (diag p − p pᵀ) z is the variance of z under p, here with z = J θ.
#[test]
fn the_fisher_rao_norm_is_the_mean_variance_of_the_logits_along_theta() {
    for problem in problems() {
        let variances: Vec<f64> = problem
            .jacobians()
            .iter()
            .zip(problem.probabilities())
            .map(|(jacobian, p)| {
                let z: Vec<f64> = (0..problem.classes())
                    .map(|c| {
                        (0..problem.dim())
                            .map(|i| jacobian[(c, i)] * problem.theta[i])
                            .sum()
                    })
                    .collect();
                let mean: f64 = (0..z.len()).map(|c| p[c] * z[c]).sum();
                (0..z.len()).map(|c| p[c] * (z[c] - mean).powi(2)).sum()
            })
            .collect();
        let expected = variances.iter().sum::<f64>() / EXAMPLES as f64;
        let pairs = Rescaling::pairs(&problem.network);
        let toy = Toy::new(problem);
        let (mean_loss, theta) = (toy.mean_loss(), toy.theta());
        let at = |theta: &Tensor| {
            let retention = flatness_curvature::Retention::Retain;
            let curvature = mean_loss.curvature(theta, retention).unwrap();
            fisher_rao(&curvature.gauss_newton(), theta).unwrap()
        };
        assert_close("Fisher-Rao", &[at(&theta)], &[expected], 1e-12);
        for pair in pairs {
            let rescaled = pair.apply(&theta, 30.0).unwrap();
            assert_close("rescaled", &[at(&rescaled)], &[expected], 1e-11);
        }
    }
}
