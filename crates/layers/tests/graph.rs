//! Graphs that do not fit together are errors that say where.

use candle_core::{DType, Device, Tensor};
use flatness_layers::{Affine, BatchNorm, Error, Flatten, Graph, Loss, Network, Relu, Tanh, Value};
use flatness_testkit::{Normalization, Problem, gaussian, statistics, vgg};

#[test]
fn a_value_of_another_graph_is_an_error() {
    let mut longer = Graph::new(&[2]);
    let x = longer.layer("relu", Relu, longer.input()).unwrap();
    let foreign = longer.layer("fc", Affine::new(2, 2), x).unwrap();
    let mut graph = Graph::new(&[2]);
    let input = graph.input();
    let results = [
        graph.shape(foreign).map(drop),
        graph.layer("tanh", Tanh, foreign).map(drop),
        graph.add("sum", input, foreign).map(drop),
        graph.add("sum", foreign, input).map(drop),
    ];
    for result in results {
        assert!(matches!(result, Err(Error::Value)), "{result:?}");
    }
    graph.layer("fc", Affine::new(2, 2), input).unwrap();
    assert!(matches!(graph.finish(foreign), Err(Error::Value)));
}

#[test]
fn the_sides_of_a_sum_must_have_one_shape() {
    let mut graph = Graph::new(&[4]);
    let input = graph.input();
    let narrow = graph.layer("fc", Affine::new(4, 3), input).unwrap();
    for (left, right) in [(input, narrow), (narrow, input)] {
        match graph.add("sum", left, right) {
            Err(Error::Input {
                layer,
                input: shape,
                ..
            }) => {
                assert_eq!(layer, "sum");
                assert_eq!(shape, graph.shape(right).unwrap());
            }
            other => panic!("expected an input error, got {other:?}"),
        }
    }
    // A value with itself is a sum like any other.
    assert!(graph.add("twice", narrow, narrow).is_ok());
}

/// The head of a network that ends in `x` of two elements.
fn finished(mut graph: Graph, x: Value) -> Result<Network, Error> {
    let logits = graph.layer("head", Affine::new(2, 2), x)?;
    graph.finish(logits)
}

#[test]
fn a_node_that_leads_nowhere_is_named() {
    let mut graph = Graph::new(&[2]);
    let input = graph.input();
    graph.layer("idle", Tanh, input).unwrap();
    let message = finished(graph, input).unwrap_err().to_string();
    assert!(message.contains("idle leads nowhere"), "{message}");

    // The output must be the last node, or what stands behind it leads nowhere.
    let mut graph = Graph::new(&[2]);
    let first = graph.layer("fc", Affine::new(2, 2), graph.input()).unwrap();
    graph.layer("behind", Relu, first).unwrap();
    assert!(matches!(graph.finish(first), Err(Error::Value)));
}

#[test]
fn a_graph_without_parameters_is_an_error() {
    let mut graph = Graph::new(&[2]);
    let input = graph.input();
    let sum = graph.add("sum", input, input).unwrap();
    assert!(matches!(graph.finish(sum), Err(Error::NoParameters)));
    let empty = Graph::new(&[2]);
    let input = empty.input();
    assert!(matches!(empty.finish(input), Err(Error::NoParameters)));
}

#[test]
fn parameters_and_buffers_of_one_name_are_errors() {
    let build = |names: [&str; 2]| {
        let mut graph = Graph::new(&[1, 1, 2]);
        let mut x = graph.input();
        for name in names {
            x = graph.layer(name, BatchNorm::new(1), x)?;
        }
        x = graph.layer("flatten", Flatten, x)?;
        finished(graph, x)
    };
    let network = build(["bn0", "bn1"]).unwrap();
    let names: Vec<&str> = network
        .buffers()
        .parameters()
        .iter()
        .map(|buffer| buffer.name.as_str())
        .collect();
    let expected = [
        "bn0.running_mean",
        "bn0.running_var",
        "bn1.running_mean",
        "bn1.running_var",
    ];
    assert_eq!(names, expected);
    let message = build(["bn", "bn"]).unwrap_err().to_string();
    assert!(message.contains("two of bn.weight"), "{message}");
    assert!(matches!(build(["head", "bn"]), Err(Error::Names { .. })));
}

#[test]
fn statistics_of_another_length_do_not_freeze_a_network() {
    let network = vgg(Normalization::Batch);
    let dim = network.buffers().dim();
    for shape in [vec![dim - 1], vec![dim + 1], vec![1, dim], vec![]] {
        let error = network.freeze(&gaussian(shape.clone(), 1)).unwrap_err();
        assert!(
            matches!(&error, Error::Shape { got, .. } if *got == shape),
            "{error}"
        );
    }
    // What is frozen, or never normalised, has nothing left to freeze.
    let none = Tensor::zeros(0, DType::F64, &Device::Cpu).unwrap();
    let frozen = network.freeze(&statistics(&network, 1)).unwrap();
    for network in [&frozen, &vgg(Normalization::None)] {
        assert_eq!(network.buffers().dim(), 0);
        assert!(network.freeze(&none).is_ok());
        assert!(network.freeze(&gaussian(1, 1)).is_err());
    }
}

#[test]
fn a_single_value_has_no_batch_statistics() {
    let mut graph = Graph::new(&[2, 1, 1]);
    let x = graph.layer("bn", BatchNorm::new(2), graph.input()).unwrap();
    let x = graph.layer("flatten", Flatten, x).unwrap();
    let network = finished(graph, x).unwrap();
    let statistics = |examples| {
        let problem = Problem::of(network.clone(), Loss::CrossEntropy, examples, 1);
        let point = problem.linearize(&problem.theta);
        point.batch_statistics()
    };
    match statistics(1) {
        Err(Error::OneValue { layer }) => assert_eq!(layer, "bn"),
        other => panic!("expected an error of one value, got {other:?}"),
    }
    assert_eq!(statistics(2).unwrap().dims(), [4]);
}
