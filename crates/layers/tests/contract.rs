//! Every layer against the contract of its four rules.

use candle_core::{DType, Device, Tensor};
use flatness_layers::{
    Activation, Affine, AveragePool, Axis, BatchNorm, Choice, Conv2d, Convolution, Convolved,
    Dropout, Embedding, Error, Factors, Filter, Flatten, GlobalAveragePool, Graph, Grid, Largest,
    Layer, Learned, Loss, MaxPool, Network, Offset, Pad, Point, Reduce, Relu, Reshape, Scale,
    Select, Shift, Softplus, Sum, Tanh, Transpose, WeightedSums, Window,
};
use flatness_testkit::{assert_close, check_layer, check_rules, gaussian, values};

fn conv(sizes: [usize; 3], stride: usize, padding: usize) -> Conv2d {
    Conv2d::new(sizes[0], sizes[1], sizes[2], Window { stride, padding })
}

#[test]
fn every_layer_keeps_its_contract() {
    let pad = Pad {
        axis: 1,
        before: 2,
        behind: 1,
    };
    let sums = |axis| {
        let windows = vec![vec![(0, 0.5), (2, -1.5)], vec![(1, 2.0)], vec![]];
        WeightedSums::new(axis, windows)
    };
    let largest = |axis| Largest::new(axis, vec![vec![0, 2], vec![1], vec![2, 1, 0]]);
    let cases: [(Box<dyn Layer>, &[usize]); 47] = [
        (Box::new(conv([2, 3, 3], 1, 1)), &[2, 4, 5]),
        (Box::new(conv([3, 2, 3], 2, 1).without_bias()), &[3, 5, 4]),
        (Box::new(conv([2, 4, 1], 1, 0)), &[2, 3, 3]),
        (Box::new(conv([1, 2, 2], 2, 0)), &[1, 5, 5]),
        (Box::new(BatchNorm::new(3)), &[3, 2, 3]),
        (Box::new(BatchNorm::new(2).with_epsilon(0.5)), &[2, 2, 2]),
        (Box::new(BatchNorm::new(1)), &[1, 1, 1]),
        (Box::new(BatchNorm::new(2).without_parameters()), &[2, 1, 2]),
        (Box::new(MaxPool::new(2, 2)), &[2, 4, 5]),
        (Box::new(MaxPool::new(3, 1)), &[1, 4, 4]),
        (Box::new(AveragePool::new(2, 1)), &[2, 3, 4]),
        (Box::new(GlobalAveragePool), &[3, 2, 5]),
        (Box::new(Dropout::new(0.5).unwrap()), &[4]),
        (Box::new(Affine::new(1, 1)), &[1]),
        (Box::new(Affine::new(5, 1)), &[5]),
        (Box::new(Affine::new(1, 4)), &[1]),
        (Box::new(Affine::new(6, 3)), &[6]),
        (Box::new(Relu), &[7]),
        (Box::new(Relu), &[2, 3]),
        (Box::new(Tanh), &[7]),
        (Box::new(Tanh), &[2, 3]),
        (Box::new(Softplus), &[7]),
        (Box::new(Softplus), &[2, 3]),
        (Box::new(Flatten), &[2, 3, 2]),
        (Box::new(Flatten), &[5]),
        (Box::new(Reshape::new(&[3, 4])), &[2, 3, 2]),
        (Box::new(Transpose::new(&[2, 0, 1])), &[2, 3, 4]),
        (Box::new(Select::new(1, &[2, 0, 0, 1])), &[2, 3, 2]),
        (Box::new(Select::new(0, &[1])), &[3]),
        (Box::new(pad), &[2, 3]),
        (Box::new(Reduce::sum(&[0, 2])), &[2, 3, 4]),
        (Box::new(Reduce::mean(&[1])), &[2, 3]),
        (Box::new(sums(0)), &[3, 2]),
        (Box::new(sums(1)), &[2, 3, 2]),
        (Box::new(largest(0)), &[3, 2]),
        (Box::new(largest(2)), &[1, 2, 3]),
        (Box::new(Activation::Step { at_zero: 0.5 }), &[2, 3]),
        (Box::new(Factors::new(gaussian((3, 1), 5))), &[2, 3, 4]),
        (Box::new(Factors::new(gaussian((2, 3, 4), 6))), &[3, 1]),
        (Box::new(Shift::new(gaussian((3, 1), 7))), &[2, 3, 4]),
        (Box::new(Learned::new(&[1, 4])), &[2, 3]),
        (Box::new(Offset::new(&[3, 1])), &[2, 3, 4]),
        (Box::new(Offset::new(&[2, 3])), &[2, 3]),
        (Box::new(Offset::new(&[1, 2, 3])), &[2, 3]),
        (Box::new(Scale::new(&[1, 1, 3, 1])), &[2, 3, 4]),
        (Box::new(Scale::new(&[3, 1])), &[2, 3, 4]),
        (Box::new(Scale::new(&[4])), &[4]),
    ];
    for (layer, input_shape) in &cases {
        for seed in [1, 2] {
            check_layer(layer.as_ref(), &[input_shape], seed);
        }
    }
    check_layer(&Sum, &[&[2, 3], &[2, 3]], 1);
    for shapes in [
        [&[2, 3][..], &[2, 3], &[2, 3]],
        [&[3], &[2, 1], &[2, 3]],
        [&[2, 1], &[1], &[3]],
    ] {
        check_layer(&Choice, &shapes, 2);
    }
}

#[test]
fn windows_are_sums_and_the_first_of_the_largest() {
    let of = |layer: &dyn Layer, x: &[f64], shape: &[usize]| {
        let x = Tensor::from_slice(x, [&[1], shape].concat(), &Device::Cpu).unwrap();
        let (y, kept) = layer.forward(&[], &[&x]).unwrap();
        (values(&y), kept)
    };
    let x = [1.0, 5.0, 3.0, 2.0, 3.0, 8.0];
    let sums = WeightedSums::new(0, vec![vec![(0, 0.5), (2, 2.0)], vec![(1, 1.0)]]);
    assert_eq!(of(&sums, &x, &[3, 2]).0, [6.5, 18.5, 3.0, 2.0]);
    let (y, kept) = of(
        &Largest::new(1, vec![vec![0, 1, 2], vec![2, 1]]),
        &x,
        &[2, 3],
    );
    assert_eq!(y, [5.0, 5.0, 8.0, 8.0]);
    let (_, ties) = of(
        &Largest::new(0, vec![vec![0, 1, 2]]),
        &[2.0, 7.0, 7.0],
        &[3],
    );
    assert_eq!(
        ties[0].flatten_all().unwrap().to_vec1::<u32>().unwrap(),
        [1]
    );
    assert_eq!(kept[0].dims(), [1, 2, 2, 1]);
    assert!(of(&Largest::new(0, vec![vec![1, 0]]), &[f64::NAN, 1.0], &[2]).0[0].is_nan());
    let outside = WeightedSums::new(0, vec![vec![(3, 1.0)]]);
    assert!(outside.output_shape(&[&[3, 2]]).is_err());
    assert!(
        Largest::new(2, vec![vec![0]])
            .output_shape(&[&[3, 2]])
            .is_err()
    );
    assert!(Largest::new(0, vec![vec![]]).output_shape(&[&[3]]).is_err());
}

/// Masks change with the data by steps, and choose without touching what is left out, though it be infinite.
#[test]
fn a_choice_takes_nothing_of_the_other() {
    let tensor = |x: &[f64]| Tensor::new(x, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let x = tensor(&[-2.0, 0.0, 3.0]);
    let step = Activation::Step { at_zero: 0.5 };
    let (mask, _) = step.forward(&[], &[&x]).unwrap();
    assert_eq!(values(&mask), [0.0, 0.5, 1.0]);
    let low = tensor(&[f64::NEG_INFINITY]);
    let (y, kept) = Choice.forward(&[], &[&mask, &x, &low]).unwrap();
    assert_eq!(values(&y), [f64::NEG_INFINITY, 0.0, 3.0]);
    let shapes = [vec![3], vec![3], vec![1]];
    let at = Point {
        parameters: &[],
        saved: &kept,
        input_shapes: &shapes,
    };
    let ones = Tensor::ones((1, 1, 3), DType::F64, &Device::Cpu).unwrap();
    let cotangents = [0, 1, 2].map(|input| Choice.vjp_input(at, input, &ones).unwrap());
    let cotangents = cotangents.map(|cotangent| values(&cotangent.into_tensor()));
    assert_eq!(cotangents[0], [0.0; 3]);
    assert_eq!(cotangents[1], [0.0, 1.0, 1.0]);
    assert_eq!(cotangents[2], [1.0]);
}

/// A layer, the shape of an input example, and that of its output where the layer takes it.
type Announcement = (Box<dyn Layer>, &'static [usize], Option<&'static [usize]>);

#[test]
fn layers_announce_their_shapes_and_refuse_others() {
    let cases: [Announcement; 20] = [
        (Box::new(Affine::new(6, 3)), &[6], Some(&[3])),
        (Box::new(Affine::new(6, 3)), &[5], None),
        (Box::new(Affine::new(6, 3)), &[2, 3], None),
        (Box::new(Affine::new(0, 3)), &[0], None),
        (Box::new(Affine::new(6, 0)), &[6], None),
        (Box::new(Relu), &[2, 3], Some(&[2, 3])),
        (Box::new(Tanh), &[4], Some(&[4])),
        (Box::new(Flatten), &[1, 28, 28], Some(&[784])),
        (Box::new(Flatten), &[3], Some(&[3])),
        (
            Box::new(conv([3, 8, 3], 2, 1)),
            &[3, 9, 32],
            Some(&[8, 5, 16]),
        ),
        (Box::new(conv([3, 8, 3], 1, 0)), &[3, 2, 5], None),
        (Box::new(conv([3, 8, 3], 0, 1)), &[3, 5, 5], None),
        (Box::new(conv([3, 8, 3], 1, 1)), &[4, 5, 5], None),
        (Box::new(conv([3, 8, 3], 1, 1)), &[3, 5], None),
        (Box::new(BatchNorm::new(3)), &[3, 2, 2], Some(&[3, 2, 2])),
        (Box::new(BatchNorm::new(3)), &[2, 2, 2], None),
        (Box::new(MaxPool::new(2, 2)), &[3, 5, 4], Some(&[3, 2, 2])),
        (Box::new(MaxPool::new(2, 2)), &[3, 1, 4], None),
        (Box::new(AveragePool::new(2, 0)), &[3, 4, 4], None),
        (Box::new(GlobalAveragePool), &[3, 4, 2], Some(&[3])),
    ];
    for (layer, input, output) in &cases {
        let got = layer.output_shape(&[input]).ok();
        assert_eq!(got.as_deref(), *output, "{layer:?} of {input:?}");
    }
    assert_eq!(Affine::new(6, 3).multiply_adds(&[&[6]]), 18);
    assert_eq!(Relu.multiply_adds(&[&[6]]), 0);
    let multiply_adds = conv([3, 8, 3], 2, 1).multiply_adds(&[&[3, 9, 32]]);
    assert_eq!(multiply_adds, 8 * 3 * 9 * 5 * 16);
    assert_eq!(Relu.patches(&[&[6]]), 0);
    // Of the cotangents, 3 × 3 around each pixel of the input; of the inputs, 4 × 4 offsets at each output.
    let patches = |sizes: [usize; 3]| conv(sizes, 2, 1).patches(&[&[sizes[0], 9, 32]]);
    assert_eq!(patches([3, 8, 3]), 8 * 9 * (9 * 32));
    assert_eq!(patches([64, 1, 3]), 64 * 16 * (5 * 16));
}

/// The only layer of a network in front of a head that lets each channel through.
fn in_a_network(layer: impl Layer + 'static, shape: &[usize], outputs: usize) -> Network {
    let mut graph = Graph::new(shape);
    let x = graph.input();
    let x = graph.layer("layer", layer, x).unwrap();
    let x = graph.layer("flatten", Flatten, x).unwrap();
    let x = graph.layer("head", Affine::new(outputs, 2), x).unwrap();
    graph.finish(x).unwrap()
}

#[test]
fn frozen_batch_norm_keeps_its_contract() {
    for (norm, channels, shape) in [
        (BatchNorm::new(2), 2, [2, 2, 3]),
        (BatchNorm::new(1), 1, [1, 1, 1]),
        (BatchNorm::new(2).without_parameters(), 2, [2, 2, 3]),
    ] {
        let network = in_a_network(norm, &shape, shape.iter().product());
        let mean = values(&gaussian(channels, 4));
        let variance = values(&gaussian(channels, 5).sqr().unwrap());
        let buffers = Tensor::new([mean, variance].concat(), &Device::Cpu).unwrap();
        let frozen = network.freeze(&buffers).unwrap();
        assert!(network.couples_examples() && !frozen.couples_examples());
        check_layer(frozen.layer("layer").unwrap(), &[&shape], 3);
    }
}

#[test]
fn switched_on_dropout_keeps_its_contract_and_its_rate() {
    let network = in_a_network(Dropout::new(0.3).unwrap(), &[400], 400);
    let thin = |seed, first| network.thin(seed, first).unwrap();
    check_rules(thin(7, 0).layer("layer").unwrap(), &[&[5]], 3);

    let ones = Tensor::ones((50, 400), DType::F64, &Device::Cpu).unwrap();
    let mask = |network: &Network, x: &Tensor| {
        let layer = network.layer("layer").unwrap();
        values(&layer.forward(&[], &[x]).unwrap().0)
    };
    let drawn = mask(&thin(7, 0), &ones);
    let mut masks = drawn.iter();
    assert!(masks.all(|&m| m == 0.0 || (m - 1.0 / 0.7).abs() < 1e-15));
    // 20,000 draws: five standard errors of the kept fraction are 0.016.
    let kept = drawn.iter().filter(|&&m| m > 0.0).count() as f64 / 20_000.0;
    assert!((kept - 0.7).abs() < 0.017, "{kept}");

    let without = network.without_dropout().unwrap();
    assert!(network.has_dropout() && !without.has_dropout());
    let undropped = mask(&without.thin(7, 0).unwrap(), &ones);
    assert!(undropped.iter().all(|&m| m == 1.0));

    // A batch in two shares has the masks of the whole; another seed has others.
    let head = ones.narrow(0, 0, 20).unwrap();
    let tail = ones.narrow(0, 20, 30).unwrap();
    let parts = [mask(&thin(7, 0), &head), mask(&thin(7, 20), &tail)].concat();
    assert_eq!(parts, drawn);
    assert_ne!(mask(&thin(8, 0), &ones), drawn);
    assert!(Dropout::new(1.0).is_err() && Dropout::new(f64::NAN).is_err());
}

/// An embedding is the affine map without bias of one-hot inputs.
#[test]
fn an_embedding_is_an_affine_map_of_one_hot_inputs() {
    let head = |mut graph: Graph, x| {
        let x = graph.layer("tanh", Tanh, x).unwrap();
        let x = graph.layer("flat", Flatten, x).unwrap();
        let x = graph.layer("head", Affine::new(4, 3), x).unwrap();
        graph.finish(x).unwrap()
    };
    let mut graph = Graph::new(&[2]);
    let x = graph.layer("embed", Embedding::new(5, 2), graph.input());
    let embedded = head(graph, x.unwrap());
    // Two symbols, one after the other, by the same weight.
    let mut graph = Graph::new(&[2, 5]);
    let half = |graph: &mut Graph, place: u32| {
        let x = Select::new(0, &[place]);
        let x = graph
            .layer(&format!("symbol{place}"), x, graph.input())
            .unwrap();
        let x = graph.layer(&format!("flat{place}"), Flatten, x).unwrap();
        let names = ["embed.weight", "embed.bias"];
        let x = graph
            .tied(&format!("embed{place}"), Affine::new(5, 2), &[x], &names)
            .unwrap();
        // Into its place among the four.
        let (before, behind) = if place == 0 { (0, 2) } else { (2, 0) };
        let pad = Pad {
            axis: 0,
            before,
            behind,
        };
        graph.layer(&format!("pad{place}"), pad, x).unwrap()
    };
    let halves = [half(&mut graph, 0), half(&mut graph, 1)];
    let x = graph.add("both", halves[0], halves[1]).unwrap();
    let affine = head(graph, x);
    let rows = [[0u8, 4], [3, 3], [1, 0]];
    let inputs = Tensor::new(&rows, &Device::Cpu)
        .unwrap()
        .to_dtype(DType::F64)
        .unwrap();
    let mut hot = vec![0.0; 30];
    for (place, &row) in rows.iter().flatten().enumerate() {
        hot[place * 5 + usize::from(row)] = 1.0;
    }
    let hot = Tensor::from_vec(hot, (3, 2, 5), &Device::Cpu).unwrap();
    let labels = Tensor::new(&[0u32, 2, 1], &Device::Cpu).unwrap();
    // Weights in the order embed.weight, (bias), head; W of the affine map is the embedding's transposed.
    let weight = gaussian((5, 2), 1);
    let rest = [gaussian((3, 4), 2), gaussian(3, 3)];
    let product =
        |network: &Network, weights: Vec<Tensor>, inputs: &Tensor, tangents: Vec<Tensor>| {
            let point = network.linearize(&weights, inputs, &labels, Loss::CrossEntropy);
            let sums = network.layout().zeros(1, DType::F64, &Device::Cpu).unwrap();
            let point = point.unwrap().with_cotangents().unwrap();
            point.add_hessian_product(&tangents, &sums).unwrap();
            point.linearization().add_gradient(&sums).unwrap();
            sums
        };
    let tangent = gaussian((1, 5, 2), 4);
    let others = [gaussian((1, 3, 4), 5), gaussian((1, 3), 6)];
    let got = product(
        &embedded,
        [vec![weight.clone()], rest.to_vec()].concat(),
        &inputs,
        [vec![tangent.clone()], others.to_vec()].concat(),
    );
    let zero = |shape: &[usize]| Tensor::zeros(shape, DType::F64, &Device::Cpu).unwrap();
    let t = |x: &Tensor, a, b| x.transpose(a, b).unwrap().contiguous().unwrap();
    let expected = product(
        &affine,
        [vec![t(&weight, 0, 1), zero(&[2])], rest.to_vec()].concat(),
        &hot,
        [vec![t(&tangent, 1, 2), zero(&[1, 2])], others.to_vec()].concat(),
    );
    let expected = [vec![t(&expected[0], 1, 2)], expected[2..].to_vec()].concat();
    for (got, expected) in got.iter().zip(&expected) {
        assert_close("products", &values(got), &values(expected), 1e-13);
    }
    let outside = Tensor::new(&[[0.0, 5.0]], &Device::Cpu).unwrap();
    let parameters = [vec![weight], rest.to_vec()].concat();
    let refused = embedded.forward(&parameters, &outside);
    assert!(
        matches!(refused, Err(Error::Row { rows: 5, .. })),
        "{refused:?}"
    );
}

#[test]
fn convolutions_of_every_form_keep_the_contract() {
    let axis = |[stride, dilation, before, behind]: [usize; 4]| Axis {
        stride,
        dilation,
        before,
        behind,
    };
    let grid = |groups, axes: &[[usize; 4]]| {
        let axes: Vec<Axis> = axes.iter().copied().map(axis).collect();
        Grid::new(groups, &axes)
    };
    let same = [1, 1, 1, 1];
    let depthwise = grid(3, &[same, same]);
    let uneven = grid(2, &[[2, 1, 1, 0], [1, 2, 0, 2]]);
    let twice = grid(1, &[[2, 1, 0, 0], [2, 1, 1, 1]]);
    let signal = grid(2, &[[2, 2, 1, 0]]);
    let volume = grid(1, &[same, [2, 1, 0, 1], [1, 2, 2, 0]]);
    let cases: [(Convolution, &[usize], &[usize]); 9] = [
        (
            Convolution::new(3, 3, &[3, 3], depthwise),
            &[3, 4, 3],
            &[3, 4, 3],
        ),
        (
            Convolution::new(2, 4, &[2, 3], uneven),
            &[2, 4, 5],
            &[4, 2, 3],
        ),
        (
            Convolution::new(3, 6, &[3, 3], depthwise).without_bias(),
            &[3, 2, 3],
            &[6, 2, 3],
        ),
        (
            Convolution::new(2, 3, &[2, 3], twice).transposed(&[0, 1]),
            &[2, 3, 2],
            &[3, 6, 4],
        ),
        (
            Convolution::new(4, 2, &[3, 2], uneven).transposed(&[1, 0]),
            &[4, 2, 3],
            &[2, 5, 3],
        ),
        (Convolution::new(2, 4, &[3], signal), &[2, 7], &[4, 2]),
        (
            Convolution::new(4, 2, &[3], signal).transposed(&[1]),
            &[4, 3],
            &[2, 9],
        ),
        (
            Convolution::new(2, 3, &[3, 2, 2], volume),
            &[2, 2, 3, 2],
            &[3, 2, 2, 2],
        ),
        (
            Convolution::new(2, 1, &[2, 2, 1], volume)
                .without_bias()
                .transposed(&[0, 0, 0]),
            &[2, 2, 2, 3],
            &[1, 1, 3, 1],
        ),
    ];
    for (layer, input, output) in cases {
        assert_eq!(layer.output_shape(&[input]).unwrap(), output, "{layer:?}");
        check_layer(&layer, &[input], 1);
    }
    let kernel = gaussian((4, 1, 2, 3), 5);
    let filter = Filter::new(Convolution::new(2, 4, &[2, 3], uneven), kernel.clone());
    check_layer(&filter, &[&[2, 4, 5]], 1);
    let convolved = Convolved::new(Convolution::new(2, 4, &[2, 3], uneven));
    check_layer(&convolved, &[&[2, 4, 5], &[4, 1, 2, 3]], 1);
    let convolved = Convolved::new(Convolution::new(2, 4, &[3], signal));
    check_layer(&convolved, &[&[2, 7], &[4, 1, 3]], 2);
    assert!(convolved.output_shape(&[&[2, 7], &[4, 2, 3]]).is_err());
    let other = Filter::new(Convolution::new(2, 4, &[3, 2], uneven), kernel);
    assert!(other.output_shape(&[&[2, 4, 5]]).is_err());
    let outside = Convolution::new(2, 3, &[2, 3], twice).transposed(&[2, 0]);
    assert!(outside.output_shape(&[&[2, 3, 2]]).is_err());
    for (kernel, input) in [
        (&[3, 3][..], &[3, 4, 4][..]),
        (&[3, 3], &[3, 4]),
        (&[1, 1, 1, 1], &[3, 1, 1, 1, 1]),
    ] {
        let layer = Convolution::new(3, 4, kernel, depthwise);
        assert!(layer.output_shape(&[input]).is_err(), "{input:?}");
    }
}
