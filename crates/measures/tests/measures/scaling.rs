//! Homogeneous scaling: the logits are multiplied by aᵈ, and every prediction stays.

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{MeanLoss, Settings};
use flatness_layers::{Loss, Network, Workers};
use flatness_measures::HomogeneousScaling;
use flatness_models::Architecture;
use flatness_testkit::{
    Activation, Normalization, Residual, assert_close, dataset, network, residual, statistics,
    values, vgg,
};

const EXAMPLES: usize = 24;

#[test]
fn logits_are_multiplied_by_the_power_of_the_depth_and_accuracy_stays() {
    let zoo = |name: &str| {
        let architecture = Architecture::find(name).unwrap();
        architecture.network(&[1, 28, 28], 10).unwrap()
    };
    let workers = Workers::new(1).unwrap();
    for (name, depth) in [("logistic", 1), ("mlp", 3), ("cnn", 4)] {
        let network = zoo(name);
        let data = dataset(EXAMPLES, [1, 28, 28], 10, 3);
        let settings = Settings {
            dtype: DType::F64,
            device: Device::Cpu,
            batch_size: EXAMPLES,
        };
        let mean_loss =
            MeanLoss::new(&network, &data, Loss::CrossEntropy, &workers, settings).unwrap();
        let inputs = mean_loss
            .data()
            .batch(0..EXAMPLES, DType::F64, &Device::Cpu);
        let inputs = inputs.unwrap().images;
        let logits = |theta: &Tensor| {
            let views = network.layout().views(theta).unwrap();
            values(&network.forward(&views, &inputs).unwrap())
        };
        let theta = network.layout().initialize(4, DType::F64, &Device::Cpu);
        // Away from initial values, among which biases may be zero.
        let theta = (theta.unwrap() + 0.01).unwrap();
        let scaling = HomogeneousScaling::of(&network).unwrap();
        assert_eq!(scaling.depth(), depth, "{name}");
        let before = logits(&theta);
        let accuracy = mean_loss.evaluate(&theta).unwrap().accuracy;
        for factor in [0.3, 1.0, 2.5, 10.0] {
            let scaled = scaling.apply(&theta, factor).unwrap();
            let power = f64::powi(factor, depth as i32);
            let expected: Vec<f64> = before.iter().map(|logit| power * logit).collect();
            assert_close(name, &logits(&scaled), &expected, 1e-12);
            assert_eq!(mean_loss.evaluate(&scaled).unwrap().accuracy, accuracy);
        }
        // Powers of two are without rounding.
        let halved = scaling.apply(&theta, 0.5).unwrap();
        let expected: Vec<f64> = before
            .iter()
            .map(|z| z * f64::powi(0.5, depth as i32))
            .collect();
        assert_eq!(logits(&halved), expected, "{name}");
        for factor in [0.0, -1.0, f64::NAN] {
            let message = scaling.apply(&theta, factor).unwrap_err().to_string();
            assert!(message.starts_with("the factor is"), "{message}");
        }
        let short = theta.narrow(0, 1, theta.elem_count() - 1).unwrap();
        assert!(scaling.apply(&short, 2.0).is_err());
    }
}

#[test]
fn networks_that_it_would_change_are_refused() {
    let batch = vgg(Normalization::Batch);
    let frozen = batch.freeze(&statistics(&batch, 1)).unwrap();
    let without = residual(Residual::PreActivation);
    let cases: [(Network, &str); 4] = [
        (batch, "bn0 does not pass factors on"),
        (frozen, "bn0 does not pass factors on"),
        (without, "block0.bn1 does not pass factors on"),
        (
            network(&[4], &[4, 3, 2], Activation::Tanh),
            "does not pass factors on",
        ),
    ];
    for (network, reason) in cases {
        let message = HomogeneousScaling::of(&network).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }
    assert_eq!(
        HomogeneousScaling::of(&vgg(Normalization::None))
            .unwrap()
            .depth(),
        4
    );
    for name in ["all-cnn-c", "vgg-16"] {
        let network = Architecture::find(name).unwrap().network(&[3, 32, 32], 10);
        assert!(HomogeneousScaling::of(&network.unwrap()).is_ok(), "{name}");
    }
}

#[test]
fn skips_are_refused() {
    use flatness_layers::{Affine, Graph, Relu};
    let mut graph = Graph::new(&[3]);
    let x = graph.input();
    let y = graph.layer("fc0", Affine::new(3, 3), x).unwrap();
    let y = graph.layer("relu", Relu, y).unwrap();
    let x = graph.add("sum", x, y).unwrap();
    let x = graph.layer("fc1", Affine::new(3, 2), x).unwrap();
    let error = HomogeneousScaling::of(&graph.finish(x).unwrap()).unwrap_err();
    assert!(error.to_string().contains("it has a skip"), "{error}");
}
