//! Multinomial logistic regression and multilayer perceptrons, on flattened examples.

use flatness_layers::{Activation, Affine, AveragePool, Flatten, Network};

use crate::Error;
use crate::zoo::{Named, activated, digits, named, word};

/// Which members `mlp-pooled-<units>` has.
const EXPECTED: &str = "the form is mlp-pooled-<units>, of 1 to 4096 hidden units";

/// Affine maps with activations between them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mlp {
    /// The only layer, `fc`.
    Logistic,
    /// `fc0`, `fc1`, ..., with these numbers of hidden units between them.
    Hidden(&'static [usize], Activation),
    /// One hidden layer of so many units on images of half the height and width: small enough for a
    /// dense Hessian.
    Pooled(usize, Activation),
}

impl Mlp {
    /// The pooled one of `<units>`.
    pub(crate) fn pooled(text: &str, activation: Activation) -> Result<Self, &'static str> {
        let units = digits(text).filter(|units| (1..=4096).contains(units));
        Ok(Self::Pooled(units.ok_or(EXPECTED)?, activation))
    }

    pub(crate) fn summary(self) -> String {
        match self {
            Self::Logistic => "multinomial logistic regression with bias".to_owned(),
            Self::Hidden(widths, activation) => {
                let widths: Vec<_> = widths.iter().map(usize::to_string).collect();
                format!("{} network {}", word(activation), widths.join("-"))
            }
            Self::Pooled(units, activation) => {
                let activation = word(activation);
                format!("means over 2 x 2 pixels, {activation} network {units}")
            }
        }
    }

    pub(crate) fn network(self, input_shape: &[usize], classes: usize) -> Result<Network, Error> {
        let inputs = input_shape.iter().product();
        let mut layers = vec![named("flatten", Flatten)];
        match self {
            Self::Logistic => layers.push(named("fc", Affine::new(inputs, classes))),
            Self::Hidden(widths, activation) => {
                layers.extend(numbered(inputs, widths, classes, activation));
            }
            Self::Pooled(units, activation) => {
                let inputs = match *input_shape {
                    [channels, height, width] => channels * (height / 2) * (width / 2),
                    // No image: `pool` refuses it.
                    _ => 1,
                };
                layers.insert(0, named("pool", AveragePool::new(2, 2)));
                layers.extend(numbered(inputs, &[units], classes, activation));
            }
        }
        Ok(Network::chain(input_shape, layers)?)
    }
}

fn numbered(
    mut inputs: usize,
    widths: &[usize],
    classes: usize,
    activation: Activation,
) -> Vec<Named> {
    let mut layers = Vec::new();
    for (index, &outputs) in widths.iter().chain([&classes]).enumerate() {
        if index > 0 {
            layers.push(activated(activation, index - 1));
        }
        layers.push(named(&format!("fc{index}"), Affine::new(inputs, outputs)));
        inputs = outputs;
    }
    layers
}
