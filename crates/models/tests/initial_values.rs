//! Initial values: PyTorch's distributions, and a function of the seed alone.

use std::collections::HashSet;

use candle_core::{DType, Device};
use flatness_layers::Network;
use flatness_models::Architecture;
use flatness_testkit::values;

fn built(name: &str) -> Network {
    let architecture = Architecture::find(name).unwrap();
    let (input_shape, classes) = architecture.default_input();
    architecture.network(&input_shape, classes).unwrap()
}

/// What a parameter is drawn from.
#[derive(Clone, Copy, Debug)]
enum Drawn {
    /// Uniform on ±1/√fan-in, as in `torch.nn.Linear` and `torch.nn.Conv2d`.
    Uniform,
    /// Gaussian with this variance.
    Gaussian(f64),
    Constant(f64),
}

/// The distribution of `parameter` of the network `name`, by PyTorch's definitions.
fn drawn(name: &str, parameter: &str, shape: &[usize]) -> Drawn {
    let convolution = shape.len() == 4;
    let area: usize = shape.iter().skip(2).product();
    let (family, _) = name.split_once('-').unwrap_or((name, ""));
    let norm = parameter.contains("bn");
    match family {
        "vgg" if parameter.starts_with("features") => match (convolution, shape) {
            (true, _) => Drawn::Gaussian(2.0 / (shape[0] * area) as f64),
            // Without batch norm, all that is left are biases.
            (false, _) if parameter.ends_with("bias") => Drawn::Constant(0.0),
            (false, _) => Drawn::Constant(1.0),
        },
        "all" if convolution => Drawn::Gaussian(2.0 / ((shape[0] + shape[1]) * area) as f64),
        "all" => Drawn::Constant(0.1),
        "preresnet" if convolution => Drawn::Gaussian(2.0 / (shape[0] * area) as f64),
        "preresnet" | "wrn" if norm && parameter.ends_with("bias") => Drawn::Constant(0.0),
        "preresnet" | "wrn" if norm => Drawn::Constant(1.0),
        _ => Drawn::Uniform,
    }
}

#[test]
fn initial_values_have_pytorchs_distribution() {
    let names =
        "mlp-400 cnn all-cnn-c preresnet-20 preresnet-56 wrn-16-4 vgg-11@0.25 vgg-11-bn@0.25";
    for name in names.split(' ') {
        let network = built(name);
        let layout = network.layout();
        let theta = layout.initialize(7, DType::F64, &Device::Cpu).unwrap();
        let views = layout.views(&theta).unwrap();
        let mut inputs = 0;
        for (parameter, view) in layout.parameters().iter().zip(&views) {
            // A bias has the bound of the weight before it.
            if parameter.shape.len() > 1 {
                inputs = parameter.shape[1..].iter().product();
            }
            let place = format!("{name} {}", parameter.name);
            let drawn = drawn(name, &parameter.name, &parameter.shape);
            check_moments(&place, &values(view), drawn, inputs);
        }
    }
}

/// Five standard errors: of the mean σ/√n, of the square σ²√((k − 1)/n), with kurtosis k = 9/5 of the
/// uniform and 3 of the Gaussian distribution.
fn check_moments(place: &str, elements: &[f64], drawn: Drawn, inputs: usize) {
    let n = elements.len() as f64;
    let (variance, kurtosis) = match drawn {
        Drawn::Constant(value) => {
            assert!(elements.iter().all(|&x| x == value), "{place}: {drawn:?}");
            return;
        }
        Drawn::Uniform => {
            let bound = 1.0 / (inputs as f64).sqrt();
            let within = elements.iter().all(|x| (-bound..bound).contains(x));
            assert!(within, "{place}");
            (bound * bound / 3.0, 1.8)
        }
        Drawn::Gaussian(variance) => (variance, 3.0),
    };
    let mean = elements.iter().sum::<f64>() / n;
    let square = elements.iter().map(|x| x * x).sum::<f64>() / n;
    assert!(mean.abs() < 5.0 * (variance / n).sqrt(), "{place}: {mean}");
    let error = (square - variance).abs();
    let bound = 5.0 * variance * ((kurtosis - 1.0) / n).sqrt();
    assert!(error < bound, "{place}: {square} instead of {variance}");
}

#[test]
fn initial_values_depend_on_the_seed_alone() {
    let network = built("mlp");
    let draw = |seed, dtype| {
        let theta = network.layout().initialize(seed, dtype, &Device::Cpu);
        let theta = theta.unwrap();
        assert_eq!((theta.dims(), theta.dtype()), (&[9_960][..], dtype));
        values(&theta)
    };
    let first = draw(0, DType::F64);
    assert_eq!(first, draw(0, DType::F64));
    let distinct: HashSet<u64> = first.iter().map(|x| x.to_bits()).collect();
    assert_eq!(
        distinct.len(),
        first.len(),
        "a layer repeats another's draws"
    );
    let other = draw(1, DType::F64);
    assert!(first.iter().zip(&other).all(|(a, b)| a != b));
    // The same draws, rounded.
    let single = draw(0, DType::F32);
    let rounded: Vec<f64> = first.iter().map(|x| f64::from(*x as f32)).collect();
    assert_eq!(rounded, single);
}
