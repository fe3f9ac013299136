//! The architectures and their names.

use std::ops::RangeInclusive;

use flatness_layers::{Activation, Layer, Network};

use crate::Error;
use crate::cnn::{AllCnn, Cnn};
use crate::mlp::Mlp;
use crate::preresnet::PreResNet;
use crate::vgg::Vgg;
use crate::wide_resnet::WideResNet;

/// The networks with a name of their own, smallest first. Those of the paper have the forms of the
/// authors' public software; `mlp-400`, `cnn`, `preresnet-20`, `wrn-16-4` and VGG-11 are smaller
/// relatives to be timed or trained in minutes.
pub const ZOO: &[&str] = &[
    "logistic",
    "mlp",
    "mlp-deep",
    "mlp-medium",
    "cnn",
    "preresnet-20",
    "mlp-400",
    "mlp-large",
    "preresnet-56",
    "preresnet-110",
    "all-cnn-c",
    "preresnet-164",
    "wrn-16-4",
    "vgg-11",
    "vgg-11-bn",
    "vgg-16",
    "vgg-16-bn",
    "wrn-28-10",
];

/// The families, of which any member can be named; see [`Architecture::find`].
pub const FORMS: &str = "mlp-pooled-<units>, preresnet-<depth>, wrn-<depth>-<widen>, vgg-<11 or 16>[-bn][@<width>], \
     all-cnn-c[@<width>], <mlp..., cnn or all-cnn-c>-softplus";

/// Ends the names of networks with softplus in place of ReLU.
const SOFTPLUS: &str = "-softplus";

/// Which networks have such a twin.
const TWINS: &str = "networks with softplus are those of the names mlp..., cnn and all-cnn-c";

/// One architecture: a network but for the kind of data.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// Name in specs and on the command line.
    pub name: String,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Mlp(Mlp),
    Cnn(Cnn),
    AllCnn(AllCnn),
    Vgg(Vgg),
    PreResNet(PreResNet),
    WideResNet(WideResNet),
}

impl Form {
    /// The form called `name`; none where no form is called like that.
    fn find(name: &str) -> Option<Result<Self, &'static str>> {
        if let Some(twin) = name.strip_suffix(SOFTPLUS) {
            let without = || Self::find(twin).map(|_| Err(TWINS));
            return Self::of(twin, Activation::Softplus).or_else(without);
        }
        Self::of(name, Activation::Relu).or_else(|| Self::member(name))
    }

    /// The form called `name` among those that take any activation.
    fn of(name: &str, activation: Activation) -> Option<Result<Self, &'static str>> {
        if let Some(units) = name.strip_prefix("mlp-pooled-") {
            return Some(Mlp::pooled(units, activation).map(Self::Mlp));
        }
        if name.split('@').next() == Some("all-cnn-c") {
            return Some(AllCnn::parse(name, activation).map(Self::AllCnn));
        }
        let hidden: &[usize] = match name {
            "cnn" => return Some(Ok(Self::Cnn(Cnn(activation)))),
            "mlp" => &[10, 100],
            "mlp-deep" => &[5, 200, 50],
            "mlp-medium" => &[15, 150],
            "mlp-400" => &[400, 400],
            "mlp-large" => &[512, 256],
            _ => return None,
        };
        Some(Ok(Self::Mlp(Mlp::Hidden(hidden, activation))))
    }

    /// The member called `name` of one of the families.
    fn member(name: &str) -> Option<Result<Self, &'static str>> {
        if name == "logistic" {
            return Some(Ok(Self::Mlp(Mlp::Logistic)));
        }
        let (family, member) = name.split_once('-')?;
        Some(match family {
            "vgg" => Vgg::parse(member).map(Self::Vgg),
            "preresnet" => PreResNet::parse(member).map(Self::PreResNet),
            "wrn" => WideResNet::parse(member).map(Self::WideResNet),
            _ => return None,
        })
    }
}

impl Architecture {
    /// The architecture called `name`: one of [`ZOO`], or a member of one of the families
    ///
    /// - `mlp-pooled-<units>`, with that many hidden units,
    /// - `preresnet-<depth>`, of depth 6n + 2 below 44 and 9n + 2 from 44 on,
    /// - `wrn-<depth>-<widen>`, of depth 6n + 4,
    /// - `vgg-11` and `vgg-16`, then `-bn` for batch norm, then `@<width>` for a factor of all
    ///   numbers of channels; `all-cnn-c`, then `@<width>`,
    /// - the perceptrons, `cnn` and `all-cnn-c` with `-softplus` behind the name: softplus in place of
    ///   ReLU, parameters and initial values those of the network with ReLU.
    ///
    /// # Errors
    /// [`Error::UnknownModel`], which lists the names, and [`Error::Member`], which says which
    /// members the family has.
    pub fn find(name: &str) -> Result<Self, Error> {
        let got = || name.to_owned();
        match Form::find(name) {
            Some(Ok(form)) => Ok(Self { name: got(), form }),
            Some(Err(expected)) => Err(Error::Member {
                got: got(),
                expected,
            }),
            None => Err(Error::UnknownModel {
                got: got(),
                known: ZOO.join(", "),
                forms: FORMS,
            }),
        }
    }

    /// What it is, in a few words.
    #[must_use]
    pub fn summary(&self) -> String {
        match self.form {
            Form::Mlp(form) => form.summary(),
            Form::Cnn(form) => form.summary(),
            Form::AllCnn(form) => form.summary(),
            Form::Vgg(form) => form.summary(),
            Form::PreResNet(form) => form.summary(),
            Form::WideResNet(form) => form.summary(),
        }
    }

    /// Shape of one example and number of classes of the data that it is made for: MNIST or
    /// CIFAR-100.
    #[must_use]
    pub fn default_input(&self) -> ([usize; 3], usize) {
        match self.form {
            Form::Mlp(_) | Form::Cnn(_) => ([1, 28, 28], 10),
            _ => ([3, 32, 32], 100),
        }
    }

    /// The network for examples of `input_shape` and `classes` classes.
    ///
    /// # Errors
    /// [`Error::Network`], which names the layer that cannot take what comes to it.
    pub fn network(&self, input_shape: &[usize], classes: usize) -> Result<Network, Error> {
        match self.form {
            Form::Mlp(form) => form.network(input_shape, classes),
            Form::Cnn(form) => form.network(input_shape, classes),
            Form::AllCnn(form) => form.network(input_shape, classes),
            Form::Vgg(form) => form.network(input_shape, classes),
            Form::PreResNet(form) => form.network(input_shape, classes),
            Form::WideResNet(form) => form.network(input_shape, classes),
        }
    }
}

/// A factor of all numbers of channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Width(f64);

impl Width {
    /// From one channel of 64 on, and far above every published network.
    const RANGE: RangeInclusive<f64> = 1.0 / 64.0..=16.0;

    /// `text` before its `@<width>`, and that width; 1 where there is none.
    pub(crate) fn split(text: &str) -> Option<(&str, Self)> {
        let Some((text, width)) = text.split_once('@') else {
            return Some((text, Self(1.0)));
        };
        let width = width.parse().ok()?;
        Self::RANGE.contains(&width).then_some((text, Self(width)))
    }

    /// `channels` times the factor, rounded down.
    pub(crate) fn channels(self, channels: usize) -> usize {
        (channels as f64 * self.0) as usize
    }
}

/// A layer with its name.
pub(crate) type Named = (String, Box<dyn Layer>);

/// `layer` with its name.
pub(crate) fn named(name: &str, layer: impl Layer + 'static) -> Named {
    (name.to_owned(), Box::new(layer))
}

/// `activation` with a name and a number, under which PyTorch keeps no parameters.
pub(crate) fn activated(activation: Activation, index: usize) -> Named {
    named(
        &format!("{}{index}", word(activation).to_lowercase()),
        activation,
    )
}

/// `activation` in a summary.
pub(crate) fn word(activation: Activation) -> String {
    match activation {
        Activation::Relu => "ReLU".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Names of `torch.nn.Sequential`: `<name>.0`, `<name>.1`, ...
pub(crate) fn sequential(
    name: &str,
    layers: impl IntoIterator<Item = Box<dyn Layer>>,
) -> impl Iterator<Item = Named> {
    let layers = layers.into_iter().enumerate();
    layers.map(move |(index, layer)| (format!("{name}.{index}"), layer))
}

/// A number of decimal digits alone, without a sign.
pub(crate) fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}
