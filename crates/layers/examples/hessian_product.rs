//! A small residual network, its gradient, and exact products with its Hessian.

use std::error::Error;

use candle_core::{DType, Device, Tensor};
use flatness_layers::{
    Affine, BatchNorm, Conv2d, GlobalAveragePool, Graph, Loss, MaxPool, Relu, Window,
};

fn main() -> Result<(), Box<dyn Error>> {
    let window = Window {
        stride: 1,
        padding: 1,
    };
    let mut graph = Graph::new(&[1, 4, 4]);
    let x = graph.layer("conv0", Conv2d::new(1, 2, 3, window), graph.input())?;
    let x = graph.layer("pool0", MaxPool::new(2, 2), x)?;
    let skip = graph.layer("bn0", BatchNorm::new(2), x)?;
    let x = graph.layer("relu0", Relu, skip)?;
    let x = graph.layer("conv1", Conv2d::new(2, 2, 3, window), x)?;
    let x = graph.add("sum", skip, x)?;
    let x = graph.layer("mean", GlobalAveragePool, x)?;
    let x = graph.layer("fc", Affine::new(2, 3), x)?;
    let network = graph.finish(x)?;

    let (layout, cpu) = (network.layout(), &Device::Cpu);
    let theta = layout.initialize(0, DType::F64, cpu)?;
    let inputs = Tensor::arange(0f64, 64.0, cpu)?
        .sin()?
        .reshape((4, 1, 4, 4))?;
    let labels = Tensor::new(&[0u32, 1, 2, 1], cpu)?;
    let point = network.linearize(&layout.views(&theta)?, &inputs, &labels, Loss::CrossEntropy)?;

    // The gradient of the summed loss; that of the last bias is Σ (p - y), and p and y sum to one.
    let gradient = layout.zeros(1, DType::F64, cpu)?;
    point.add_gradient(&gradient)?;
    let bias = gradient[layout.parameters().len() - 1].sum_all()?;
    assert!(bias.to_scalar::<f64>()?.abs() < 1e-14);

    // Statistics of the batch, fixed: a network of the same parameters whose examples are independent.
    let frozen = network.freeze(&point.batch_statistics()?)?;
    assert!(network.couples_examples() && !frozen.couples_examples());
    assert_eq!(frozen.layout(), layout);

    // Exact Hessian products with a block of two vectors u, v: u·Hv = v·Hu.
    let block = Tensor::arange(0f64, 2.0 * layout.dim() as f64, cpu)?
        .cos()?
        .reshape((2, layout.dim()))?;
    let products = layout.zeros(2, DType::F64, cpu)?;
    point
        .with_cotangents()?
        .add_hessian_product(&layout.split(&block)?, &products)?;
    let forms = block
        .matmul(&layout.join(&products)?.t()?)?
        .to_vec2::<f64>()?;
    assert!((forms[0][1] - forms[1][0]).abs() < 1e-12 * forms[0][1].abs());
    println!("u·Hv = {}, v·Hu = {}", forms[0][1], forms[1][0]);
    Ok(())
}
