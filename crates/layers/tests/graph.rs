//! Graphs that do not fit together are errors that say where.

use candle_core::{DType, Device, Tensor};
use flatness_layers::{
    Affine, BatchNorm, Error, Flatten, Graph, Layer, Loss, Network, Relu, Tanh, Value,
};
use flatness_testkit::{Problem, assert_close, values};

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
        let message = graph.add("sum", left, right).unwrap_err().to_string();
        let shapes = [left, right].map(|value| graph.shape(value).unwrap());
        let [left, right] = shapes;
        let expected =
            format!("layer sum cannot take inputs of shape {left:?} and {right:?}: both sides");
        assert!(message.starts_with(&expected), "{message}");
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
    let buffers = network.buffers().parameters().iter();
    let names: Vec<&str> = buffers.map(|buffer| buffer.name.as_str()).collect();
    let expected = "bn0.running_mean bn0.running_var bn1.running_mean bn1.running_var";
    assert_eq!(names.join(" "), expected);
    let message = build(["bn", "bn"]).unwrap_err().to_string();
    assert!(message.contains("two of bn.weight"), "{message}");
    assert!(matches!(build(["head", "bn"]), Err(Error::Names { .. })));
}

/// As `torch.nn.BatchNorm2d` called twice: one scale, one pair of running statistics, each use by those of its own batch.
#[test]
fn a_batch_norm_that_is_used_twice_has_one_pair_of_statistics() {
    let mut graph = Graph::new(&[2, 1, 1]);
    let names = ["bn.weight", "bn.bias"];
    let x = graph.input();
    let x = graph.tied("bn", BatchNorm::new(2), &[x], &names).unwrap();
    let x = graph.layer("relu", Relu, x).unwrap();
    let x = graph.tied("bn", BatchNorm::new(2), &[x], &names).unwrap();
    let x = graph.layer("flatten", Flatten, x).unwrap();
    let network = finished(graph, x).unwrap();
    let problem = Problem::of(network.clone(), Loss::CrossEntropy, 4, 1);
    let both = values(
        &problem
            .linearize(&problem.theta)
            .batch_statistics()
            .unwrap(),
    );
    assert_eq!(both.len(), 4);
    // Those of each use, with the other left out.
    let alone = |front: &Tensor| {
        let mut graph = Graph::new(&[2, 1, 1]);
        let x = graph.layer("bn", BatchNorm::new(2), graph.input()).unwrap();
        let x = graph.layer("flatten", Flatten, x).unwrap();
        let network = finished(graph, x).unwrap();
        let views = network
            .layout()
            .views(&Tensor::new(&*problem.theta, front.device()).unwrap());
        let labels = Tensor::zeros(4, DType::U32, front.device()).unwrap();
        let point = network.linearize(&views.unwrap(), front, &labels, Loss::CrossEntropy);
        values(&point.unwrap().batch_statistics().unwrap())
    };
    let layer = BatchNorm::new(2);
    let scaling =
        [0..2, 2..4].map(|range| Tensor::new(&problem.theta[range], &Device::Cpu).unwrap());
    let (once, _) = layer.forward(&scaling, &[&problem.inputs]).unwrap();
    let [first, second] = [alone(&problem.inputs), alone(&once.relu().unwrap())];
    let means: Vec<f64> = first
        .iter()
        .zip(second)
        .map(|(a, b)| (a + b) / 2.0)
        .collect();
    assert_close("statistics", &both, &means, 1e-14);
    let frozen = network
        .freeze(&Tensor::new(&*both, &Device::Cpu).unwrap())
        .unwrap();
    assert!(!frozen.couples_examples());
    let untied = ["x.weight", "x.bias"];
    let mut graph = Graph::new(&[2, 1, 1]);
    let x = graph
        .tied("bn", BatchNorm::new(2), &[graph.input()], &untied)
        .unwrap();
    let again = graph.layer("bn", BatchNorm::new(2).without_parameters(), x);
    let message = again.unwrap_err().to_string();
    assert!(message.contains("two of bn.running_mean"), "{message}");
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
    assert!(matches!(statistics(1), Err(Error::OneValue { layer }) if layer == "bn"));
    assert_eq!(statistics(2).unwrap().dims(), [4]);
}

#[test]
fn parameters_of_one_whole_name_are_one_parameter() {
    let mut graph = Graph::new(&[2]);
    let weights = ["shared.weight", "shared.bias"];
    let x = graph.input();
    let x = graph
        .tied("first", Affine::new(2, 2), &[x], &weights)
        .unwrap();
    let x = graph.layer("relu", Relu, x).unwrap();
    let x = graph
        .tied("again", Affine::new(2, 2), &[x], &weights)
        .unwrap();
    let other = graph.tied("larger", Affine::new(2, 3), &[x], &weights);
    let message = other.unwrap_err().to_string();
    let expected = "shared.weight is [2, 2], and larger needs [3, 2]";
    assert!(message.contains(expected), "{message}");
    let few = graph.tied("few", Affine::new(2, 2), &[x], &weights[..1]);
    let message = few.unwrap_err().to_string();
    assert!(
        message.contains("few takes 2 parameters, got 1 names"),
        "{message}"
    );
    let network = graph.finish(x).unwrap();
    let names = network
        .layout()
        .parameters()
        .iter()
        .map(|own| own.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), weights);
    assert_eq!(network.layout().dim(), 6);
    assert_eq!(
        network.without_dropout().unwrap().layout(),
        network.layout()
    );
}
