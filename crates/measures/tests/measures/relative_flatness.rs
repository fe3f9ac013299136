//! Relative flatness against the double sum over the dense Hessian and under rescaling; its error by coverage.

use candle_core::Tensor;
use flatness_layers::Parameter;
use flatness_measures::{
    Error, RelativeFlatness, RelativeFlatnessSettings, Rescaling, Watch, neuron_weights,
    relative_flatness,
};
use flatness_testkit::{Activation, Problem, assert_close};
use nalgebra::DVector;

use crate::toy::{Toy, check_coverage, classifier, refused, three};

const EXAMPLES: usize = 7;

const SETTINGS: RelativeFlatnessSettings = RelativeFlatnessSettings {
    probes: 40,
    seed: 0,
    block: 16,
};

fn weights(problem: &Problem) -> Vec<String> {
    let weights = neuron_weights(problem.network.layout());
    weights.map(|parameter| parameter.name.clone()).collect()
}

fn measure(
    toy: &Toy,
    theta: &Tensor,
    weight: &str,
    settings: RelativeFlatnessSettings,
) -> Result<RelativeFlatness, Error> {
    let layout = toy.problem.network.layout();
    toy.curved(theta, |curvature| {
        let hessian = curvature.hessian();
        relative_flatness(&hessian, layout, theta, weight, &settings, Watch::NOBODY)
    })
}

/// Σ over s, s', t of ⟨w_s, w_s'⟩ ∂²L / ∂w_st ∂w_s't.
fn double_sum(problem: &Problem, weight: &str) -> f64 {
    let hessian = problem.hessian() / EXAMPLES as f64;
    let layout = problem.network.layout();
    let at = layout
        .parameters()
        .iter()
        .position(|one| one.name == weight)
        .unwrap();
    let (parameter, before) = (&layout.parameters()[at], &layout.parameters()[..at]);
    let (neurons, inputs) = (parameter.shape[0], parameter.len() / parameter.shape[0]);
    let row = |s: usize| before.iter().map(Parameter::len).sum::<usize>() + s * inputs;
    let weights = |s: usize| DVector::from_column_slice(&problem.theta[row(s)..row(s + 1)]);
    let pairs = (0..neurons).flat_map(|s| (0..neurons).map(move |r| (s, r)));
    let terms = pairs.map(|(s, r)| {
        let block = hessian.view((row(s), row(r)), (inputs, inputs));
        weights(s).dot(&weights(r)) * block.trace()
    });
    terms.sum()
}

/// Within 4.5 standard errors of 400 probes.
#[test]
fn it_is_the_double_sum_over_neurons_for_every_layer() {
    for problem in three(Activation::Tanh, EXAMPLES, 41) {
        let toy = Toy::new(problem);
        let weights = weights(&toy.problem);
        assert!(!weights.is_empty());
        for weight in weights {
            let expected = double_sum(&toy.problem, &weight);
            let many = RelativeFlatnessSettings {
                probes: 400,
                ..SETTINGS
            };
            let got = measure(&toy, &toy.theta(), &weight, many).unwrap();
            assert_eq!((got.weight, got.cost.products), (weight.clone(), 400));
            let (away, error) = (
                (got.estimate.value - expected).abs(),
                got.estimate.standard_error,
            );
            assert!(away <= 4.5 * error, "{weight}: {away:e} {error:e}");
            assert!(
                error <= 0.1 * expected.abs(),
                "{weight}: {error:e} {expected:e}"
            );
        }
    }
}

#[test]
fn rescaling_two_layers_does_not_change_it() {
    let toy = Toy::new(classifier(&[4, 6, 3], Activation::Relu, EXAMPLES, 44));
    let pair = Rescaling::pairs(&toy.problem.network).remove(0);
    let rescaled = pair.apply(&toy.theta(), 50.0).unwrap();
    for weight in weights(&toy.problem) {
        let [before, after] = [&toy.theta(), &rescaled].map(|theta| {
            let found = measure(&toy, theta, &weight, SETTINGS).unwrap();
            [found.estimate.value, found.estimate.standard_error]
        });
        assert_close(&weight, &after, &before, 1e-11);
    }
}

#[test]
fn intervals_cover_the_double_sum() {
    let toy = Toy::new(classifier(&[4, 6, 3], Activation::Tanh, EXAMPLES, 42));
    let weight = "fc0.weight";
    let exact = double_sum(&toy.problem, weight);
    check_coverage(weight, |&seed| {
        let settings = RelativeFlatnessSettings { seed, ..SETTINGS };
        let got = measure(&toy, &toy.theta(), weight, settings).unwrap();
        let estimate = got.estimate;
        assert_eq!((estimate.draws, got.cost.products), (40, 40));
        // Student's 97.5 % quantile for 39 degrees of freedom.
        (estimate.value - exact).abs() <= 2.0227 * estimate.standard_error
    });
}

#[test]
fn settings_that_make_no_sense_are_errors() {
    let toy = Toy::new(classifier(&[4, 6, 3], Activation::Tanh, EXAMPLES, 42));
    let of = |weight, probes, block| {
        let settings = RelativeFlatnessSettings {
            probes,
            block,
            ..SETTINGS
        };
        measure(&toy, &toy.theta(), weight, settings)
    };
    refused(of("fc0.weight", 2, 0), "block is 0");
    refused(
        of("fc0.weight", 1, 1),
        "probes is 1, but a standard error needs at least 2",
    );
    let none =
        "there is no weight fc0.bias with a row for each neuron; there are: fc0.weight, fc1.weight";
    refused(of("fc0.bias", 2, 1), none);
}
