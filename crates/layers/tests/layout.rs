//! The flat vector and its pieces: round trips, views without copies, and refusals.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use flatness_kernels::add_in_place;
use flatness_layers::{Error, Initializer, ParamLayout, Parameter, Sums};
use flatness_testkit::{gaussian, values};

fn layout() -> ParamLayout {
    let parameter = |(name, shape): (&str, &[usize])| Parameter {
        name: name.to_owned(),
        shape: shape.to_vec(),
        initializer: Initializer::Uniform { bound: 0.5 },
    };
    let shapes: [(&str, &[usize]); 4] =
        [("a", &[2, 3]), ("b", &[4]), ("c", &[1, 2, 2]), ("d", &[])];
    ParamLayout::new(shapes.map(parameter).into())
}

/// 6 + 4 + 4 + 1
const DIM: usize = 15;

#[test]
fn pieces_lie_one_behind_the_other() {
    let layout = layout();
    assert_eq!(layout.dim(), DIM);
    let theta = Tensor::arange(0f64, DIM as f64, &Device::Cpu).unwrap();
    let views = layout.views(&theta).unwrap();
    let shapes: Vec<&[usize]> = views.iter().map(Tensor::dims).collect();
    assert_eq!(shapes, [&[2, 3][..], &[4], &[1, 2, 2], &[]]);
    let all: Vec<f64> = views.iter().flat_map(values).collect();
    assert_eq!(all, values(&theta));
    let sizes: Vec<usize> = layout.parameters().iter().map(Parameter::len).collect();
    assert_eq!(sizes, [6, 4, 4, 1]);
}

#[test]
fn views_share_the_storage_of_the_flat_vector() {
    let layout = layout();
    let theta = Tensor::zeros(DIM, DType::F64, &Device::Cpu).unwrap();
    let views = layout.views(&theta).unwrap();
    theta.slice_set(&gaussian(DIM, 1), 0, 0).unwrap();
    let all: Vec<f64> = views.iter().flat_map(values).collect();
    assert_eq!(all, values(&theta));
}

#[test]
fn split_and_join_are_inverse_and_pieces_are_contiguous() {
    let layout = layout();
    for vectors in [1, 2, 5] {
        let block = gaussian((vectors, DIM), 2);
        let pieces = layout.split(&block).unwrap();
        for (piece, parameter) in pieces.iter().zip(layout.parameters()) {
            assert_eq!(piece.dims()[0], vectors);
            assert_eq!(piece.dims()[1..], parameter.shape);
            assert!(piece.is_contiguous());
        }
        assert_eq!(values(&layout.join(&pieces).unwrap()), values(&block));
        // Row v of the pieces is the views of row v.
        let last = block.get(vectors - 1).unwrap();
        for (piece, view) in pieces.iter().zip(layout.views(&last).unwrap()) {
            assert_eq!(values(&piece.get(vectors - 1).unwrap()), values(&view));
        }
    }
}

#[test]
fn sums_start_at_zero_and_are_added_in_place() {
    let layout = layout();
    let sums = layout.zeros(2, DType::F64, &Device::Cpu).unwrap();
    let block = gaussian((2, DIM), 3);
    let pieces = layout.split(&block).unwrap();
    layout.add(&sums, &pieces).unwrap();
    assert_eq!(values(&layout.join(&sums).unwrap()), values(&block));
    layout.add(&sums, &pieces).unwrap();
    let twice = (block * 2.0).unwrap();
    assert_eq!(values(&layout.join(&sums).unwrap()), values(&twice));
    let single = layout.zeros(2, DType::F32, &Device::Cpu).unwrap();
    assert!(single.iter().all(|piece| piece.dtype() == DType::F32));
}

#[test]
fn sums_of_blocks_are_scaled_once_all_is_added() {
    let layout = layout();
    for vectors in [1, 3] {
        let zeros = || Sums::zeros(&layout, vectors, DType::F64, &Device::Cpu).unwrap();
        let (first, second) = (zeros(), zeros());
        let [a, b, c] = [4, 5, 6].map(|seed| gaussian((vectors, DIM), seed));
        for (sums, block) in [(&first, &a), (&first, &b), (&second, &c)] {
            for (sum, piece) in sums.pieces().iter().zip(layout.split(block).unwrap()) {
                add_in_place(sum, &piece).unwrap();
            }
        }
        first.add(&second).unwrap();
        let [a_, b_, c_] = [&a, &b, &c].map(values);
        let expected: Vec<f64> = (0..vectors * DIM)
            .map(|at| (a_[at] + b_[at] + c_[at]) * 0.25)
            .collect();
        let mean = first.scaled(0.25).unwrap();
        assert_eq!(mean.dims(), [vectors, DIM]);
        assert_eq!(values(&mean), expected);
        let pair = Sums::zeros(&layout, 2, DType::F64, &Device::Cpu).unwrap();
        assert!(pair.add(&second).is_err());
    }
}

#[test]
fn vectors_of_another_length_are_errors() {
    let layout = layout();
    let error = |result: Result<Vec<Tensor>, Error>| result.unwrap_err().to_string();
    for shape in [vec![DIM - 1], vec![DIM + 1], vec![1, DIM], vec![0]] {
        let message = error(layout.views(&gaussian(shape.clone(), 1)));
        assert!(message.ends_with(&format!("expected shape [{DIM}], got {shape:?}")));
    }
    for shape in [vec![2, DIM - 1], vec![DIM], vec![1, 1, DIM]] {
        let message = error(layout.split(&gaussian(shape.clone(), 1)));
        assert!(message.ends_with(&format!(", got {shape:?}")), "{message}");
    }
}

#[test]
fn pieces_of_another_network_are_errors() {
    let layout = layout();
    let zeros = |vectors| layout.zeros(vectors, DType::F64, &Device::Cpu).unwrap();
    let whole = zeros(2);
    assert!(layout.join(&whole[..3]).is_err());
    assert!(layout.join(&[]).is_err());
    assert!(layout.join(&[&whole[..], &whole[..1]].concat()).is_err());
    let mut mixed = zeros(2);
    mixed[1] = zeros(1)[1].clone();
    assert!(layout.join(&mixed).is_err());
    mixed[1] = whole[0].clone();
    assert!(layout.join(&mixed).is_err());
    assert!(layout.add(&whole, &zeros(1)).is_err());
    assert!(layout.add(&whole, &zeros(2)[..3]).is_err());
}

#[test]
fn gather_puts_named_tensors_in_the_order_of_the_layout() {
    let layout = layout();
    let theta = gaussian(DIM, 4);
    let views = layout.views(&theta).unwrap();
    let names = layout.parameters().iter().map(|p| p.name.clone());
    let named: HashMap<String, Tensor> = names.zip(views).collect();
    assert_eq!(values(&layout.gather(&named).unwrap()), values(&theta));
}

#[test]
fn gather_lists_every_problem_at_once() {
    let tensor = |shape: &[usize]| gaussian(shape, 5);
    let mut named = HashMap::from([
        ("b".to_owned(), tensor(&[2, 2])),
        ("c".to_owned(), tensor(&[1, 2, 2])),
        ("d".to_owned(), tensor(&[])),
    ]);
    // Enough unknown names that a map's own order is not theirs by chance.
    named.extend(["z", "f", "y", "e", "x", "g"].map(|name| (name.to_owned(), tensor(&[1]))));
    let message = layout().gather(&named).unwrap_err().to_string();
    let expected = "a [2, 3] is missing; b has shape [2, 2], expected [4]; e is unknown; f is unknown; \
                    g is unknown; x is unknown; y is unknown; z is unknown";
    assert!(message.ends_with(expected), "{message}");
}

/// A layout of parameters with these names, of 1, 2, 3, ... elements.
fn named(names: &[&str]) -> ParamLayout {
    let parameters = names.iter().enumerate().map(|(index, name)| Parameter {
        name: (*name).to_owned(),
        shape: vec![index + 1],
        initializer: Initializer::Uniform { bound: 0.5 },
    });
    ParamLayout::new(parameters.collect())
}

/// Elements 0, 1..3, 3..6, 6..10, 10..15, 15..21.
const NAMES: [&str; 6] = [
    "conv.weight",
    "layer1.0.conv.weight",
    "layer1.0.bn.weight",
    "layer1.0.bn.bias",
    "fc.weight",
    "fc.bias",
];

#[test]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "groups are lists of ranges"
)]
fn patterns_select_ranges_in_order_with_neighbours_joined() {
    let layout = named(&NAMES);
    let cases: [(&[&str], &[std::ops::Range<usize>]); 14] = [
        (&["*"], &[0..21]),
        (&["**"], &[0..21]),
        (&["fc.bias"], &[15..21]),
        (&["fc.*"], &[10..21]),
        (&["layer1.*"], &[1..10]),
        (&["*.weight"], &[0..6, 10..15]),
        (&["*bias"], &[6..10, 15..21]),
        (&["layer1.*.weight"], &[1..6]),
        (&["*.0.*.bias"], &[6..10]),
        (&["*conv*"], &[0..3]),
        // Stars match nothing, too, and overlapping patterns count once.
        (&["fc*.bias*"], &[15..21]),
        (&["fc.bias", "fc.*", "conv.weight"], &[0..1, 10..21]),
        (&["fc.weight", "conv.weight"], &[0..1, 10..15]),
        (&["*e*e*"], &[1..6]),
    ];
    for (patterns, ranges) in cases {
        assert_eq!(layout.select(patterns).unwrap(), ranges, "{patterns:?}");
    }
}

#[test]
fn a_pattern_that_matches_nothing_lists_the_names() {
    let layout = named(&NAMES);
    // A name in part, another case, the ends of one name overlapping, and an empty pattern.
    for pattern in "fc bias FC.bias fc.bi*ias *.weight.* fc.bias. ".split(' ') {
        let message = layout
            .select(&["conv.weight", pattern])
            .unwrap_err()
            .to_string();
        let expected = format!("no parameter is called {pattern} (");
        assert!(message.starts_with(&expected), "{message}");
        assert!(message.ends_with(&NAMES.join(", ")), "{message}");
    }
    let many: Vec<String> = (0..23).map(|index| format!("fc{index}.weight")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let message = named(&many).select(&["conv*"]).unwrap_err().to_string();
    assert!(message.contains("fc0.weight, fc1.weight"), "{message}");
    assert!(message.ends_with("fc19.weight and 3 more"), "{message}");
    assert!(matches!(layout.select(&[""; 0]), Err(Error::NoPattern)));
}

#[test]
fn layers_are_neighbours_of_one_prefix() {
    let layout = named(&NAMES);
    let expected = [
        ("conv", 0..1),
        ("layer1.0.conv", 1..3),
        ("layer1.0.bn", 3..10),
        ("fc", 10..21),
    ];
    assert_eq!(layout.layers(), expected);
    let expected = [("a", 0..1), ("b", 1..3), ("a", 3..6)];
    assert_eq!(named(&["a", "b.c", "a.c"]).layers(), expected);
}
