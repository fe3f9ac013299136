//! Small fully connected networks of the layers under test.

use flatness_layers::{Affine, Flatten, Layer, Network, Relu, Tanh};

/// What stands between affine layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// max(x, 0): piecewise linear.
    Relu,
    /// tanh x: smooth, with a second derivative.
    Tanh,
}

/// The chain flatten, fc0, activation, fc1, ..., of `widths` from inputs to classes, for examples
/// of `input_shape` with widths\[0\] elements.
///
/// # Panics
/// When the shapes do not fit.
#[must_use]
pub fn network(input_shape: &[usize], widths: &[usize], activation: Activation) -> Network {
    let mut layers: Vec<(String, Box<dyn Layer>)> = vec![("flatten".to_owned(), Box::new(Flatten))];
    for (index, pair) in widths.windows(2).enumerate() {
        if index > 0 {
            let name = format!("activation{}", index - 1);
            layers.push(match activation {
                Activation::Relu => (name, Box::new(Relu)),
                Activation::Tanh => (name, Box::new(Tanh)),
            });
        }
        layers.push((
            format!("fc{index}"),
            Box::new(Affine::new(pair[0], pair[1])),
        ));
    }
    Network::chain(input_shape, layers).expect("layers that fit")
}
