//! Networks of two parameters with their mean losses by textbook formulas, for grids over the plane.

use flatness_layers::{Conv2d, GlobalAveragePool, Graph, Loss, Network, Tanh, Window};

const PIXEL: Window = Window {
    stride: 1,
    padding: 0,
};

/// z = (θ₁ x, θ₂ x) for a single pixel x.
pub(crate) fn linear() -> Network {
    let mut graph = Graph::new(&[1, 1, 1]);
    let x = graph.input();
    let x = graph.layer("conv", Conv2d::new(1, 2, 1, PIXEL).without_bias(), x);
    let x = graph.layer("mean", GlobalAveragePool, x.unwrap()).unwrap();
    graph.finish(x).unwrap()
}

/// z = θ₂ tanh(θ₁ x) for a single pixel x.
fn curved() -> Network {
    let mut graph = Graph::new(&[1, 1, 1]);
    let conv = || Conv2d::new(1, 1, 1, PIXEL).without_bias();
    let x = graph.input();
    let x = graph.layer("conv0", conv(), x).unwrap();
    let x = graph.layer("tanh", Tanh, x).unwrap();
    let x = graph.layer("conv1", conv(), x).unwrap();
    let x = graph.layer("mean", GlobalAveragePool, x).unwrap();
    graph.finish(x).unwrap()
}

/// The mean loss of `linear` with cross-entropy.
fn linear_loss(x: &[f64], y: &[f64], theta: [f64; 2]) -> f64 {
    let losses = x.iter().zip(y).map(|(x, y)| {
        let z = theta.map(|weight| weight * x);
        (z[0].exp() + z[1].exp()).ln() - z[*y as usize]
    });
    losses.sum::<f64>() / x.len() as f64
}

/// The mean loss of `curved` with half the squared distance to the only class, 1.
fn curved_loss(x: &[f64], _: &[f64], theta: [f64; 2]) -> f64 {
    let loss = |x: &f64| 0.5 * (theta[1] * (theta[0] * x).tanh() - 1.0).powi(2);
    x.iter().map(loss).sum::<f64>() / x.len() as f64
}

pub(crate) type PlaneLoss = fn(&[f64], &[f64], [f64; 2]) -> f64;

/// Network, loss, its formula, and a point.
type Case = (fn() -> Network, Loss<'static>, PlaneLoss, [f64; 2]);

pub(crate) const CASES: [Case; 4] = [
    (linear, Loss::CrossEntropy, linear_loss, [0.3, -0.8]),
    (linear, Loss::CrossEntropy, linear_loss, [0.0, 0.0]),
    (curved, Loss::SquaredError, curved_loss, [0.4, 0.9]),
    (curved, Loss::SquaredError, curved_loss, [-1.3, 0.2]),
];
