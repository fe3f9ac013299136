//! The candle oracle against numbers worked out by hand, and against differences of its own loss.

use candle_core::{Device, Tensor};
use flatness_layers::Loss;
use flatness_testkit::{
    Activation, Autograd, Oracle, Residual, ResidualAutograd, Statistics, assert_close,
    finite_difference, gaussian, labels, moved, residual, statistics, values,
};

#[test]
fn one_example_of_logistic_regression_by_hand() {
    // z = (w₀ x + b₀, w₁ x + b₁) with x = 2: z = (0, log 3), so p = (1/4, 3/4).
    let oracle = Autograd {
        widths: vec![1, 2],
        activation: Activation::Relu,
        loss: Loss::CrossEntropy,
    };
    let theta = [1.0, 0.5 * 3f64.ln(), -2.0, 0.0];
    let inputs = Tensor::new(&[[2.0f64]], &Device::Cpu).unwrap();
    let labels = Tensor::new(&[0u32], &Device::Cpu).unwrap();
    let loss = oracle.loss(&theta, &inputs, &labels);
    assert!((loss - 4f64.ln()).abs() < 1e-15);
    // p − y = (−3/4, 3/4), times x for the weights and 1 for the biases.
    let gradient = oracle.gradient(&theta, &inputs, &labels);
    assert_close("gradient", &gradient, &[-1.5, 1.5, -0.75, 0.75], 1e-15);
    // A = 3/16 [[1, −1], [−1, 1]]; along w₀ the logits move by (2, 0).
    let product = oracle.hessian_product(&theta, &[1.0, 0.0, 0.0, 0.0], &inputs, &labels);
    assert_close("product", &product, &[0.75, -0.75, 0.375, -0.375], 1e-15);
}

#[test]
fn both_passes_equal_differences_for_every_activation_and_loss() {
    for activation in [Activation::Relu, Activation::Tanh, Activation::Softplus] {
        for loss in [
            Loss::CrossEntropy,
            Loss::LabelSmoothing { smoothing: 0.3 },
            Loss::SquaredError,
        ] {
            let oracle = Autograd {
                widths: vec![3, 4, 3],
                activation,
                loss,
            };
            let theta = values(&gaussian(31, 1));
            let vector = values(&gaussian(31, 2));
            let (inputs, labels) = (gaussian((5, 3), 3), labels(5, 3, 4));
            let what = format!("{activation:?}, {loss:?}");
            let gradient = |theta: &[f64]| oracle.gradient(theta, &inputs, &labels);
            let expected =
                finite_difference::gradient(|t| oracle.loss(t, &inputs, &labels), &theta, 1e-4);
            assert_close(&what, &gradient(&theta), &expected, 1e-10);
            let product = oracle.hessian_product(&theta, &vector, &inputs, &labels);
            let expected = finite_difference::directional(gradient, &theta, &vector, 1e-4);
            assert_close(&what, &product, &expected, 1e-10);
        }
    }
}

#[test]
fn both_passes_of_a_residual_network_equal_differences() {
    for form in [Residual::PreActivation, Residual::Wide] {
        let network = residual(form);
        let fixed = statistics(&network, 5);
        let point = moved(network, Loss::CrossEntropy, 4, 11);
        let vector = values(&gaussian(point.dim(), 6));
        // Unit length, so that a step along it crosses no kink.
        let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
        let vector: Vec<f64> = vector.iter().map(|v| v / length).collect();
        for statistics in [Statistics::Batch, Statistics::Fixed(fixed)] {
            let oracle = ResidualAutograd {
                form,
                statistics,
                loss: Loss::CrossEntropy,
            };
            let what = format!("{oracle:?}");
            let (inputs, labels) = (&point.inputs, &point.labels);
            let gradient = |theta: &[f64]| oracle.gradient(theta, inputs, labels);
            let loss = |theta: &[f64]| oracle.loss(theta, inputs, labels);
            let expected = finite_difference::gradient(loss, &point.theta, 1e-5);
            assert_close(&what, &gradient(&point.theta), &expected, 1e-9);
            let product = oracle.hessian_product(&point.theta, &vector, inputs, labels);
            let expected = finite_difference::directional(gradient, &point.theta, &vector, 1e-5);
            assert_close(&what, &product, &expected, 1e-9);
        }
    }
}
