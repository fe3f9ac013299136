//! The layers that networks of other people are made of, against the contract of the four rules.

use candle_core::Tensor;
use flatness_layers::{
    Activation, Affine, Concat, Elementwise, Function, GroupNorm, Homogeneity, Layer, LayerNorm,
    LogSoftmax, MatMul, Number, Product, SecondOrder, Softmax, Sum,
};
use flatness_testkit::{check_layer, check_layer_at, gaussian};

/// All of which take any number.
const FUNCTIONS: [Activation; 17] = [
    Activation::Sigmoid,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Silu,
    Activation::LeakyRelu { slope: 0.2 },
    Activation::Elu { alpha: 1.3 },
    Activation::HardSigmoid {
        slope: 0.4,
        shift: 0.5,
    },
    Activation::HardSwish,
    Activation::Mish,
    Activation::Clip {
        lowest: 0.0,
        highest: 0.7,
    },
    Activation::Exp,
    Activation::Erf,
    Activation::Abs,
    Activation::Linear {
        scale: -1.7,
        shift: 0.3,
    },
    Activation::Sin,
    Activation::Cos,
    Activation::Power { exponent: 2.0 },
];

/// Of positive numbers.
const POSITIVE: [Activation; 5] = [
    Activation::Log,
    Activation::Sqrt,
    Activation::Reciprocal,
    Activation::Power { exponent: 1.7 },
    Activation::Power { exponent: -0.5 },
];

#[test]
fn elementwise_functions_keep_the_contract() {
    for activation in FUNCTIONS {
        check_layer(&activation, &[&[7]], 1);
        check_layer(&activation, &[&[2, 3]], 2);
    }
    for activation in POSITIVE {
        for (shape, seed) in [(&[3, 7][..], 1), (&[3, 2, 3], 2)] {
            let x = gaussian(shape, seed).abs().and_then(|x| x + 1.0).unwrap();
            check_layer_at(&activation, &[x], seed);
        }
    }
}

/// x³
#[derive(Debug)]
struct Cube;

impl Function for Cube {
    fn derivatives<N: Number>(&self, x: &N) -> [N; 3] {
        let square = x.squared();
        [square.times(x), square.affine(3.0, 0.0), x.affine(6.0, 0.0)]
    }
}

/// Twice x above zero.
#[derive(Debug)]
struct Bent;

impl Function for Bent {
    fn derivatives<N: Number>(&self, x: &N) -> [N; 3] {
        let [zero, two] = [0.0, 2.0].map(|value| x.constant(value));
        let y = x.choose(0.0, &x.affine(2.0, 0.0), &zero);
        [y, x.choose(0.0, &two, &zero), zero]
    }

    fn is_piecewise_linear(&self) -> bool {
        true
    }
}

#[test]
fn functions_of_ones_own_keep_the_contract() {
    check_layer(&Elementwise(Cube), &[&[2, 3]], 1);
    check_layer(&Elementwise(Bent), &[&[5]], 2);
    let order = Elementwise(Bent);
    assert!(matches!(order.second_order(), SecondOrder::Zero));
}

#[test]
fn layers_of_one_input_keep_the_contract() {
    let group = |groups, channels| Box::new(GroupNorm::new(groups, channels).with_epsilon(0.1));
    let norm = |shape: &[usize]| LayerNorm::new(shape).with_epsilon(0.1);
    let cases: [(Box<dyn Layer>, &[usize]); 29] = [
        (Box::new(Affine::new(6, 3).without_bias()), &[6]),
        (Box::new(Affine::new(6, 3).with_inputs_first()), &[6]),
        (Box::new(Affine::new(4, 3)), &[5, 4]),
        (Box::new(Affine::new(4, 3)), &[1, 4]),
        (Box::new(Affine::new(3, 5).without_bias()), &[2, 4, 3]),
        (Box::new(Affine::new(3, 5).with_inputs_first()), &[2, 4, 3]),
        (Box::new(Affine::new(1, 1).with_inputs_first()), &[2, 1]),
        (
            Box::new(Affine::new(2, 3).with_inputs_first().without_bias()),
            &[4, 2],
        ),
        (Box::new(Softmax), &[1]),
        (Box::new(Softmax), &[5]),
        (Box::new(Softmax), &[2, 3, 4]),
        (Box::new(LogSoftmax), &[1]),
        (Box::new(LogSoftmax), &[5]),
        (Box::new(LogSoftmax), &[2, 3, 4]),
        (Box::new(norm(&[5])), &[5]),
        (Box::new(norm(&[4])), &[3, 4]),
        (Box::new(norm(&[3, 4])), &[3, 4]),
        (Box::new(norm(&[2, 3])), &[4, 2, 3]),
        (Box::new(norm(&[1])), &[3, 1]),
        (Box::new(norm(&[4]).without_bias()), &[3, 4]),
        (Box::new(norm(&[4]).without_parameters()), &[3, 4]),
        (group(2, 4), &[4, 3, 2]),
        (group(1, 4), &[4, 3]),
        (group(2, 6), &[6]),
        // Instance normalisation.
        (group(3, 3), &[3, 2, 2]),
        (group(3, 3), &[3]),
        (
            Box::new(GroupNorm::new(2, 4).with_epsilon(0.1).without_parameters()),
            &[4, 2],
        ),
        (Box::new(LayerNorm::new(&[7])), &[7]),
        (Box::new(GroupNorm::new(2, 4)), &[4, 5]),
    ];
    for (layer, input_shape) in &cases {
        for seed in [1, 2] {
            check_layer(layer.as_ref(), &[input_shape], seed);
        }
    }
}

#[test]
fn layers_of_several_inputs_keep_the_contract() {
    let cases: [(&dyn Layer, &[&[usize]]); 21] = [
        (&Product, &[&[4], &[4]]),
        (&Product, &[&[2, 3], &[2, 3]]),
        (&Product, &[&[2, 3], &[3]]),
        (&Product, &[&[2, 1, 3], &[4, 1]]),
        (&Product, &[&[3, 1, 1], &[3, 2, 4]]),
        (&Product, &[&[1], &[1]]),
        (&MatMul, &[&[2, 3], &[3, 4]]),
        (&MatMul, &[&[1, 1], &[1, 1]]),
        (&MatMul, &[&[2, 4, 3], &[2, 3, 5]]),
        (&MatMul, &[&[4, 3], &[2, 3, 5]]),
        (&MatMul, &[&[2, 4, 3], &[1, 3, 5]]),
        (&Sum, &[&[2, 3], &[2, 3]]),
        (&Sum, &[&[2, 3], &[3]]),
        (&Sum, &[&[1], &[2, 3]]),
        (&Sum, &[&[2, 1, 3], &[4, 1]]),
        (&Concat::new(0), &[&[2], &[3]]),
        (&Concat::new(0), &[&[3]]),
        (&Concat::new(0), &[&[2, 3], &[1, 3], &[2, 3]]),
        (&Concat::new(1), &[&[2, 3], &[2, 1]]),
        (&Concat::new(2), &[&[2, 1, 3], &[2, 1, 4]]),
        (&Concat::new(1), &[&[1, 2], &[1, 2]]),
    ];
    for (layer, input_shapes) in cases {
        for seed in [1, 2] {
            check_layer(layer, input_shapes, seed);
        }
    }
}

/// A layer, the shapes of the inputs, and that of the output where the layer takes them.
type Announcement = (
    Box<dyn Layer>,
    &'static [&'static [usize]],
    Option<&'static [usize]>,
);

#[test]
fn layers_announce_their_shapes_and_refuse_others() {
    let cases: [Announcement; 34] = [
        (Box::new(Affine::new(6, 3)), &[&[2, 6]], Some(&[2, 3])),
        (Box::new(Affine::new(6, 3)), &[&[6, 2]], None),
        (Box::new(Affine::new(6, 3)), &[&[]], None),
        (Box::new(Affine::new(6, 3)), &[&[0, 6]], None),
        (Box::new(Affine::new(6, 3)), &[&[6], &[6]], None),
        (Box::new(Activation::Gelu), &[&[2, 3]], Some(&[2, 3])),
        (Box::new(Elementwise(Cube)), &[&[2, 3]], Some(&[2, 3])),
        (Box::new(Elementwise(Cube)), &[], None),
        (Box::new(Softmax), &[&[2, 3]], Some(&[2, 3])),
        (Box::new(Softmax), &[&[2, 0]], None),
        (Box::new(Softmax), &[&[]], None),
        (Box::new(LogSoftmax), &[&[2], &[2]], None),
        (Box::new(LayerNorm::new(&[3])), &[&[2, 3]], Some(&[2, 3])),
        (Box::new(LayerNorm::new(&[3])), &[&[3, 2]], None),
        (Box::new(LayerNorm::new(&[2, 3])), &[&[3]], None),
        (Box::new(LayerNorm::new(&[])), &[&[3]], None),
        (Box::new(LayerNorm::new(&[0])), &[&[0]], None),
        (Box::new(GroupNorm::new(2, 4)), &[&[4, 3]], Some(&[4, 3])),
        (Box::new(GroupNorm::new(2, 4)), &[&[2, 3]], None),
        (Box::new(GroupNorm::new(3, 4)), &[&[4, 3]], None),
        (Box::new(GroupNorm::new(0, 4)), &[&[4, 3]], None),
        (Box::new(GroupNorm::new(2, 4)), &[&[4, 0]], None),
        (Box::new(GroupNorm::new(2, 4)), &[&[]], None),
        (Box::new(Product), &[&[2, 3], &[2, 1]], Some(&[2, 3])),
        (Box::new(Product), &[&[2, 3], &[2]], None),
        (Box::new(Product), &[&[2, 3]], None),
        (Box::new(MatMul), &[&[2, 3], &[5, 3, 4]], Some(&[5, 2, 4])),
        (Box::new(MatMul), &[&[2, 3], &[4, 3]], None),
        (Box::new(MatMul), &[&[3], &[3]], None),
        (Box::new(Sum), &[&[2, 3], &[3]], Some(&[2, 3])),
        (Box::new(Sum), &[&[2, 3], &[2]], None),
        (Box::new(Concat::new(1)), &[&[2, 3], &[2, 1]], Some(&[2, 4])),
        (Box::new(Concat::new(1)), &[&[2, 3], &[3, 1]], None),
        (Box::new(Concat::new(2)), &[&[2, 3], &[2, 3]], None),
    ];
    for (layer, inputs, output) in &cases {
        let got = layer.output_shape(inputs).ok();
        assert_eq!(got.as_deref(), *output, "{layer:?} of {inputs:?}");
    }
    assert_eq!(Affine::new(6, 3).multiply_adds(&[&[5, 6]]), 5 * 18);
    assert_eq!(MatMul.multiply_adds(&[&[2, 3], &[5, 3, 4]]), 5 * 2 * 3 * 4);
    assert_eq!(Product.multiply_adds(&[&[2, 3], &[2, 3]]), 0);
    let names = |layer: &dyn Layer| -> Vec<(String, Vec<usize>)> {
        let parameters = layer.parameters().into_iter();
        parameters.map(|own| (own.name, own.shape)).collect()
    };
    let named = |pairs: &[(&str, &[usize])]| -> Vec<(String, Vec<usize>)> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, shape)| ((*name).to_owned(), shape.to_vec()))
            .collect()
    };
    let affine = Affine::new(6, 3).with_inputs_first().without_bias();
    assert_eq!(names(&affine), named(&[("weight", &[6, 3])]));
    let both = named(&[("weight", &[2, 3]), ("bias", &[2, 3])]);
    assert_eq!(names(&LayerNorm::new(&[2, 3])), both);
    assert_eq!(names(&LayerNorm::new(&[2, 3]).without_parameters()), []);
    assert_eq!(
        names(&LayerNorm::new(&[3]).without_bias()),
        named(&[("weight", &[3])])
    );
    assert_eq!(
        names(&GroupNorm::new(2, 4)),
        named(&[("weight", &[4]), ("bias", &[4])])
    );
}

/// f(c x) = c f(x) for c > 0, where it is said.
#[test]
fn homogeneous_functions_are_homogeneous() {
    let x = gaussian((3, 5), 1);
    let y = |layer: &dyn Layer, x: &Tensor| layer.forward(&[], &[x]).unwrap().0;
    let linear = Activation::Linear {
        scale: -2.0,
        shift: 0.0,
    };
    let mut found = 0;
    for activation in FUNCTIONS.into_iter().chain([linear]) {
        if activation.homogeneity() == Homogeneity::Input {
            found += 1;
            let [scaled, of_scaled] = [
                y(&activation, &x) * 2.0,
                Ok(y(&activation, &(&x * 2.0).unwrap())),
            ]
            .map(Result::unwrap);
            let apart =
                (scaled - of_scaled).and_then(|apart| apart.abs()?.sum_all()?.to_scalar::<f64>());
            assert_eq!(apart.unwrap(), 0.0, "{activation:?}");
        }
    }
    assert_eq!(found, 3);
}
