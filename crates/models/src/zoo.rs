//! The architectures and their names.

use flatness_layers::{Affine, Flatten, Layer, Network, Relu};

use crate::Error;

/// One architecture of the zoo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Architecture {
    /// Name in specs and on the command line.
    pub name: &'static str,
    /// What it is, in a few words.
    pub summary: &'static str,
    hidden: &'static [usize],
    naming: Naming,
}

/// How the affine layers are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// The only layer is `fc`.
    Single,
    /// `fc0`, `fc1`, ...
    Numbered,
}

const fn mlp(name: &'static str, summary: &'static str, hidden: &'static [usize]) -> Architecture {
    Architecture {
        name,
        summary,
        hidden,
        naming: Naming::Numbered,
    }
}

/// Every architecture, smallest first. Widths are those of the authors' public software, but for
/// `mlp-400`, which is there to be timed.
pub const ZOO: &[Architecture] = &[
    Architecture {
        name: "logistic",
        summary: "multinomial logistic regression with bias",
        hidden: &[],
        naming: Naming::Single,
    },
    mlp("mlp", "ReLU network 10-100", &[10, 100]),
    mlp(
        "mlp-deep",
        "deep narrow ReLU network 5-200-50",
        &[5, 200, 50],
    ),
    mlp("mlp-medium", "ReLU network 15-150", &[15, 150]),
    mlp("mlp-400", "ReLU network 400-400", &[400, 400]),
    mlp("mlp-large", "ReLU network 512-256", &[512, 256]),
];

impl Architecture {
    /// The architecture called `name`.
    ///
    /// # Errors
    /// [`Error::UnknownModel`], which lists the names.
    pub fn find(name: &str) -> Result<Self, Error> {
        ZOO.iter()
            .find(|architecture| architecture.name == name)
            .copied()
            .ok_or_else(|| {
                let known: Vec<_> = ZOO.iter().map(|architecture| architecture.name).collect();
                Error::UnknownModel {
                    got: name.to_owned(),
                    known: known.join(", "),
                }
            })
    }

    /// The network for examples of `input_shape` and `classes` classes.
    ///
    /// # Errors
    /// [`Error::Network`] when the shapes leave nothing to learn.
    pub fn network(&self, input_shape: &[usize], classes: usize) -> Result<Network, Error> {
        let mut layers: Vec<(String, Box<dyn Layer>)> =
            vec![("flatten".to_owned(), Box::new(Flatten))];
        let mut inputs = input_shape.iter().product();
        for (index, &outputs) in self.hidden.iter().chain([&classes]).enumerate() {
            if index > 0 {
                layers.push((format!("relu{}", index - 1), Box::new(Relu)));
            }
            let name = match self.naming {
                Naming::Single => "fc".to_owned(),
                Naming::Numbered => format!("fc{index}"),
            };
            layers.push((name, Box::new(Affine::new(inputs, outputs))));
            inputs = outputs;
        }
        Ok(Network::chain(input_shape, layers)?)
    }
}
