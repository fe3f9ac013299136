//! Every layer against the contract of its four rules.

use flatness_layers::{Affine, Flatten, Layer, Relu, Tanh};
use flatness_testkit::check_layer;

#[test]
fn every_layer_keeps_its_contract() {
    let cases: [(Box<dyn Layer>, &[usize]); 10] = [
        (Box::new(Affine::new(1, 1)), &[1]),
        (Box::new(Affine::new(5, 1)), &[5]),
        (Box::new(Affine::new(1, 4)), &[1]),
        (Box::new(Affine::new(6, 3)), &[6]),
        (Box::new(Relu), &[7]),
        (Box::new(Relu), &[2, 3]),
        (Box::new(Tanh), &[7]),
        (Box::new(Tanh), &[2, 3]),
        (Box::new(Flatten), &[2, 3, 2]),
        (Box::new(Flatten), &[5]),
    ];
    for (layer, input_shape) in &cases {
        for seed in [1, 2] {
            check_layer(layer.as_ref(), input_shape, seed);
        }
    }
}

/// A layer, the shape of an input example, and that of its output where the layer takes it.
type Announcement = (Box<dyn Layer>, &'static [usize], Option<&'static [usize]>);

#[test]
fn layers_announce_their_shapes_and_refuse_others() {
    let cases: [Announcement; 9] = [
        (Box::new(Affine::new(6, 3)), &[6], Some(&[3])),
        (Box::new(Affine::new(6, 3)), &[5], None),
        (Box::new(Affine::new(6, 3)), &[2, 3], None),
        (Box::new(Affine::new(0, 3)), &[0], None),
        (Box::new(Affine::new(6, 0)), &[6], None),
        (Box::new(Relu), &[2, 3], Some(&[2, 3])),
        (Box::new(Tanh), &[4], Some(&[4])),
        (Box::new(Flatten), &[1, 28, 28], Some(&[784])),
        (Box::new(Flatten), &[3], Some(&[3])),
    ];
    for (layer, input, output) in &cases {
        let got = layer.output_shape(input).ok();
        assert_eq!(got.as_deref(), *output, "{layer:?} of {input:?}");
    }
    assert_eq!(Affine::new(6, 3).multiply_adds(&[6]), 18);
    assert_eq!(Relu.multiply_adds(&[6]), 0);
}
