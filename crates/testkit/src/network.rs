//! Small fully connected networks of the layers under test.

use flatness_layers::{Activation, Affine, Flatten, Layer, Network};

/// The chain flatten, fc0, activation, fc1, ..., of `widths` from inputs to classes, for examples
/// of `input_shape` with widths\[0\] elements.
pub fn network(input_shape: &[usize], widths: &[usize], activation: Activation) -> Network {
    let mut layers: Vec<(String, Box<dyn Layer>)> = vec![("flatten".to_owned(), Box::new(Flatten))];
    for (index, pair) in widths.windows(2).enumerate() {
        if index > 0 {
            let name = format!("activation{}", index - 1);
            layers.push((name, Box::new(activation)));
        }
        layers.push((
            format!("fc{index}"),
            Box::new(Affine::new(pair[0], pair[1])),
        ));
    }
    Network::chain(input_shape, layers).expect("layers that fit")
}
