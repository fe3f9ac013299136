//! Relative flatness against the double sum over the dense Hessian, the closed form of the last layer,
//! and under rescaling; its error by coverage.

use candle_core::Tensor;
use flatness_layers::Loss;
use flatness_measures::{
    Error, RelativeFlatness, RelativeFlatnessSettings, RelativeTrace, Rescaling, Watch,
    neuron_weights, relative_flatness,
};
use flatness_testkit::{Activation, Normalization, Problem, assert_close, vgg};

use crate::toy::{Toy, classifier};

const EXAMPLES: usize = 7;

const EXACT: RelativeFlatnessSettings = RelativeFlatnessSettings {
    trace: RelativeTrace::Exact,
    block: 5,
};

fn problems() -> [Problem; 3] {
    [
        classifier(&[4, 3], Activation::Relu, EXAMPLES, 41),
        classifier(&[4, 6, 3], Activation::Tanh, EXAMPLES, 42),
        Problem::of(vgg(Normalization::None), Loss::CrossEntropy, EXAMPLES, 43),
    ]
}

fn weights(problem: &Problem) -> Vec<String> {
    let weights = neuron_weights(problem.network.layout());
    weights.map(|parameter| parameter.name.clone()).collect()
}

/// κ at θ, by whichever way.
fn measure(
    toy: &Toy,
    theta: &Tensor,
    weight: &str,
    settings: &RelativeFlatnessSettings,
) -> RelativeFlatness {
    try_measure(toy, theta, weight, settings).unwrap()
}

fn try_measure(
    toy: &Toy,
    theta: &Tensor,
    weight: &str,
    settings: &RelativeFlatnessSettings,
) -> Result<RelativeFlatness, Error> {
    let layout = toy.problem.network.layout();
    toy.curved(theta, |curvature| {
        let hessian = curvature.hessian();
        relative_flatness(&hessian, layout, theta, weight, settings, Watch::NOBODY)
    })
}

/// Σ over s, s', t of ⟨w_s, w_s'⟩ ∂²L / ∂w_st ∂w_s't.
fn double_sum(problem: &Problem, weight: &str) -> f64 {
    let hessian = problem.hessian();
    let mut start = 0;
    for parameter in problem.network.layout().parameters() {
        if parameter.name == weight {
            let (neurons, inputs) = (parameter.shape[0], parameter.len() / parameter.shape[0]);
            let at = |s: usize, t: usize| start + s * inputs + t;
            let mut sum = 0.0;
            for (s, r) in (0..neurons).flat_map(|s| (0..neurons).map(move |r| (s, r))) {
                let inner: f64 = (0..inputs)
                    .map(|t| problem.theta[at(s, t)] * problem.theta[at(r, t)])
                    .sum();
                let trace: f64 = (0..inputs).map(|t| hessian[(at(s, t), at(r, t))]).sum();
                sum += inner * trace;
            }
            return sum / EXAMPLES as f64;
        }
        start += parameter.len();
    }
    panic!("no parameter {weight}");
}

#[test]
fn it_is_the_double_sum_over_neurons_for_every_layer() {
    for problem in problems() {
        let toy = Toy::new(problem);
        let weights = weights(&toy.problem);
        assert!(!weights.is_empty());
        for weight in weights {
            let expected = double_sum(&toy.problem, &weight);
            let got = measure(&toy, &toy.theta(), &weight, &EXACT);
            assert_close(&weight, &[got.estimate.value], &[expected], 1e-11);
            assert_eq!((got.estimate.draws, got.estimate.standard_error), (0, 0.0));
            let error = (got.estimate.value - expected).abs();
            assert!(error <= got.estimate.rounding, "{error:e}: {got:?}");
            // One product per neuron and input, fewer where the rows depend on each other.
            let parameter = neuron_weights(toy.problem.network.layout())
                .find(|parameter| parameter.name == weight)
                .unwrap();
            let inputs = parameter.len() / parameter.shape[0];
            let rank = parameter.shape[0].min(inputs);
            assert_eq!(got.cost.products, (rank * inputs) as u64);
        }
    }
}

/// Logistic regression: H_ss' = (1/N) Σ A_ss' x xᵀ, so that κ = (1/N) Σ ‖x‖² Tr Wᵀ A W.
#[test]
fn the_last_layer_has_its_closed_form() {
    let [problem, ..] = problems();
    let inputs = problem.inputs.to_vec2::<f64>().unwrap();
    let mut sum = 0.0;
    for (x, p) in inputs.iter().zip(problem.probabilities()) {
        let square: f64 = x.iter().map(|x| x * x).sum();
        // Tr Wᵀ A W is the sum over inputs of the variance of the weights under p.
        for t in 0..4 {
            let weight = |s: usize| problem.theta[4 * s + t];
            let mean: f64 = (0..3).map(|s| p[s] * weight(s)).sum();
            sum += square
                * (0..3)
                    .map(|s| p[s] * (weight(s) - mean).powi(2))
                    .sum::<f64>();
        }
    }
    let toy = Toy::new(problem);
    let got = measure(&toy, &toy.theta(), "fc0.weight", &EXACT);
    assert_close(
        "closed form",
        &[got.estimate.value],
        &[sum / EXAMPLES as f64],
        1e-12,
    );
}

#[test]
fn rescaling_two_layers_does_not_change_it() {
    let problem = classifier(&[4, 6, 3], Activation::Relu, EXAMPLES, 44);
    let toy = Toy::new(problem);
    let pair = Rescaling::pairs(&toy.problem.network).remove(0);
    let rescaled = pair.apply(&toy.theta(), 50.0).unwrap();
    for weight in weights(&toy.problem) {
        let [before, after] = [toy.theta(), rescaled.clone()]
            .map(|theta| measure(&toy, &theta, &weight, &EXACT).estimate.value);
        assert_close(&weight, &[after], &[before], 1e-11);
    }
}

#[test]
fn intervals_of_the_random_trace_cover_the_exact_one() {
    let problem = classifier(&[4, 6, 3], Activation::Tanh, EXAMPLES, 42);
    let toy = Toy::new(problem);
    let weight = "fc0.weight";
    let exact = measure(&toy, &toy.theta(), weight, &EXACT).estimate.value;
    let mut covered = 0;
    for seed in 0..200 {
        let settings = RelativeFlatnessSettings {
            trace: RelativeTrace::Probes { probes: 40, seed },
            block: 16,
        };
        let got = measure(&toy, &toy.theta(), weight, &settings);
        let estimate = got.estimate;
        assert_eq!((estimate.draws, got.cost.products), (40, 40));
        // Student's 97.5 % quantile for 39 degrees of freedom.
        covered += usize::from((estimate.value - exact).abs() <= 2.0227 * estimate.standard_error);
    }
    assert!((184..=196).contains(&covered), "{covered} of 200");
}

#[test]
fn settings_that_make_no_sense_are_errors() {
    let [_, problem, _] = problems();
    let toy = Toy::new(problem);
    let one = RelativeTrace::Probes { probes: 1, seed: 0 };
    let cases = [
        ("fc0.weight", RelativeTrace::Exact, 0, "block is 0"),
        (
            "fc0.weight",
            one,
            1,
            "probes is 1, but a standard error needs at least 2",
        ),
        (
            "fc0.bias",
            RelativeTrace::Exact,
            1,
            "there is no weight fc0.bias with a row for each neuron; there are: fc0.weight, fc1.weight",
        ),
    ];
    for (weight, trace, block, expected) in cases {
        let settings = RelativeFlatnessSettings { trace, block };
        let error = try_measure(&toy, &toy.theta(), weight, &settings).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with(expected), "{message}");
    }
}
