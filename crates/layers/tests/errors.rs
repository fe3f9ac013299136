//! What does not fit is an error that says where, never a panic and never a wrong number.

use candle_core::{DType, Device, Module, Tensor};
use flatness_layers::{Affine, Error, Flatten, Layer, Loss, Network, Predictor, Relu, Tanh};
use flatness_testkit::{Activation, Problem, gaussian, labels};

fn chain(input_shape: &[usize], layers: Vec<(&str, Box<dyn Layer>)>) -> Result<Network, Error> {
    let layers = layers
        .into_iter()
        .map(|(name, layer)| (name.to_owned(), layer));
    Network::chain(input_shape, layers.collect())
}

fn problem() -> Problem {
    Problem::new(&[4, 5, 3], Activation::Tanh, Loss::CrossEntropy, 6, 1)
}

fn views(problem: &Problem) -> Vec<Tensor> {
    let theta = Tensor::new(problem.theta.as_slice(), &Device::Cpu).unwrap();
    problem.network.layout().views(&theta).unwrap()
}

#[test]
fn a_layer_that_cannot_take_its_input_is_named() {
    let error = chain(
        &[4],
        vec![
            ("first", Box::new(Affine::new(4, 5))),
            ("between", Box::new(Tanh)),
            ("last", Box::new(Affine::new(6, 2))),
        ],
    );
    match error {
        Err(Error::Input { layer, input, .. }) => {
            assert_eq!((layer.as_str(), input.as_slice()), ("last", &[5][..]));
        }
        other => panic!("expected an input error, got {other:?}"),
    }
    assert!(chain(&[2, 2], vec![("fc", Box::new(Affine::new(4, 2)))]).is_err());
}

#[test]
fn a_network_without_parameters_is_an_error() {
    let layers: Vec<(&str, Box<dyn Layer>)> =
        vec![("relu", Box::new(Relu)), ("flat", Box::new(Flatten))];
    assert!(matches!(chain(&[2, 2], layers), Err(Error::NoParameters)));
    assert!(matches!(chain(&[2], vec![]), Err(Error::NoParameters)));
}

#[test]
fn shapes_and_costs_are_those_of_the_chain() {
    let network = chain(
        &[2, 2],
        vec![
            ("flat", Box::new(Flatten)),
            ("fc0", Box::new(Affine::new(4, 5))),
            ("relu", Box::new(Relu)),
            ("fc1", Box::new(Affine::new(5, 3))),
        ],
    )
    .unwrap();
    assert_eq!(network.input_shape(), [2, 2]);
    assert_eq!(network.output_shape(), [3]);
    assert_eq!(network.multiply_adds(), 4 * 5 + 5 * 3);
    // Flattened 4, hidden 5 twice, logits 3.
    assert_eq!(network.activations(), 4 + 5 + 5 + 3);
    let names: Vec<&str> = network
        .layout()
        .parameters()
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    assert_eq!(names, ["fc0.weight", "fc0.bias", "fc1.weight", "fc1.bias"]);
}

#[test]
fn inputs_and_labels_that_do_not_fit_are_errors() {
    let problem = problem();
    let (network, views) = (&problem.network, views(&problem));
    let (loss, six) = (problem.loss, &problem.labels);
    for shape in [vec![6, 5], vec![6], vec![6, 2, 2], vec![]] {
        let inputs = gaussian(shape.clone(), 2);
        let error = network.forward(&views, &inputs).unwrap_err();
        assert!(
            matches!(&error, Error::Shape { got, .. } if *got == shape),
            "{error}"
        );
        assert!(network.linearize(&views, &inputs, six, loss).is_err());
    }
    let inputs = &problem.inputs;
    assert!(network.linearize(&views, inputs, six, loss).is_ok());
    assert!(
        network
            .linearize(&views, inputs, &labels(5, 3, 1), loss)
            .is_err()
    );
    let beyond = Tensor::new(&[0u32, 1, 2, 3, 0, 1], &Device::Cpu).unwrap();
    let error = network
        .linearize(&views, inputs, &beyond, loss)
        .unwrap_err()
        .to_string();
    assert!(error.contains("below 3, got 3"), "{error}");
    let single = inputs.to_dtype(DType::F32).unwrap();
    assert!(network.forward(&views, &single).is_err());
    let strided = gaussian((4, 6), 2).t().unwrap();
    assert!(network.forward(&views, &strided).is_err());
}

#[test]
fn parameters_that_do_not_fit_are_errors() {
    let problem = problem();
    let views = views(&problem);
    let wrong_shape = [&views[..1], &views[3..4], &views[2..]].concat();
    let too_many = [&views[..], &views[..1]].concat();
    for parameters in [&views[..3], &[], &wrong_shape, &too_many] {
        let network = &problem.network;
        assert!(network.forward(parameters, &problem.inputs).is_err());
        let (inputs, labels) = (&problem.inputs, &problem.labels);
        assert!(
            network
                .linearize(parameters, inputs, labels, problem.loss)
                .is_err()
        );
    }
    let short = gaussian(problem.dim() - 1, 1);
    assert!(matches!(
        Predictor::new(&problem.network, &short),
        Err(Error::Shape { .. })
    ));
}

#[test]
fn tangents_cotangents_and_sums_that_do_not_fit_are_errors() {
    let problem = problem();
    let curved = || problem.linearize(&problem.theta).with_cotangents().unwrap();
    let point = problem.linearize(&problem.theta);
    let tangents = problem.split(&gaussian((2, problem.dim()), 3));
    let mixed = [
        &tangents[..3],
        &problem.split(&gaussian((1, problem.dim()), 3))[3..],
    ]
    .concat();
    for wrong in [&tangents[..3], &[], &mixed] {
        assert!(point.jacobian_product(wrong).is_err());
        assert!(
            point
                .add_gauss_newton_product(wrong, &problem.zeros(2))
                .is_err()
        );
        let (curved, zeros) = (curved(), problem.zeros(2));
        assert!(point.add_empirical_fisher_product(wrong, &zeros).is_err());
        assert!(curved.add_hessian_product(wrong, &zeros).is_err());
        assert!(curved.add_residual_product(wrong, &zeros).is_err());
    }
    for sums in [
        &problem.zeros(2)[..3],
        &[],
        &problem.zeros(1),
        &problem.zeros(3),
    ] {
        assert!(point.add_gauss_newton_product(&tangents, sums).is_err());
        assert!(point.add_empirical_fisher_product(&tangents, sums).is_err());
        assert!(curved().add_hessian_product(&tangents, sums).is_err());
        assert!(curved().add_residual_product(&tangents, sums).is_err());
    }
    assert!(point.add_gradient(&problem.zeros(2)).is_err());
    for shape in [vec![6, 2, 4], vec![5, 2, 3], vec![6, 3], vec![6, 1, 3]] {
        let cotangent = gaussian(shape.clone(), 4);
        let sums = problem.zeros(2);
        let result = point.add_transposed_jacobian_product(&cotangent, &sums);
        assert!(result.is_err(), "{shape:?}");
    }
}

#[test]
fn a_predictor_is_a_module_with_the_errors_of_its_network() {
    let problem = problem();
    let theta = Tensor::new(problem.theta.as_slice(), &Device::Cpu).unwrap();
    let predictor = Predictor::new(&problem.network, &theta).unwrap();
    let logits = problem.inputs.apply(&predictor).unwrap();
    let expected = problem
        .network
        .forward(&views(&problem), &problem.inputs)
        .unwrap();
    assert_eq!(
        logits.to_vec2::<f64>().unwrap(),
        expected.to_vec2::<f64>().unwrap()
    );
    let error = predictor
        .forward(&gaussian((6, 5), 1))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("expected shape [6, 4], got [6, 5]"),
        "{error}"
    );
}

#[test]
fn two_layers_of_one_name_are_an_error() {
    let layers: Vec<(&str, Box<dyn Layer>)> = vec![
        ("fc", Box::new(Affine::new(2, 2))),
        ("fc", Box::new(Affine::new(2, 2))),
    ];
    assert!(matches!(chain(&[2], layers), Err(Error::Names { .. })));
}
