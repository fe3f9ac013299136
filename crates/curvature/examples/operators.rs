//! Products with the Hessian, the Gauss-Newton matrix and the residual of a small network.

use std::error::Error;

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{Matrix, MeanLoss, Retention, Selection, Settings};
use flatness_data::{Dataset, Normalization};
use flatness_layers::{Affine, Conv2d, GlobalAveragePool, Graph, Loss, Relu, Window, Workers};
use flatness_operator::LinearOperator;

fn main() -> Result<(), Box<dyn Error>> {
    let mut graph = Graph::new(&[1, 4, 4]);
    let window = Window {
        stride: 1,
        padding: 1,
    };
    let x = graph.layer("conv", Conv2d::new(1, 3, 3, window), graph.input())?;
    let x = graph.layer("relu", Relu, x)?;
    let x = graph.layer("mean", GlobalAveragePool, x)?;
    let x = graph.layer("fc", Affine::new(3, 2), x)?;
    let network = graph.finish(x)?;

    let pixels = (0..96u32).map(|i| (i * i * 7 % 251) as u8).collect();
    let images = Tensor::from_vec(pixels, (6, 1, 4, 4), &Device::Cpu)?;
    let labels = Tensor::new(&[0u8, 1, 0, 1, 0, 1], &Device::Cpu)?;
    let data = Dataset::new(
        "toy",
        &images,
        &labels,
        2,
        Normalization::new(vec![0.5], vec![0.5])?,
    )?;
    let workers = Workers::new(2)?;
    let settings = Settings {
        dtype: DType::F64,
        device: Device::Cpu,
        batch_size: 4,
    };
    let mean_loss = MeanLoss::new(&network, &data, Loss::CrossEntropy, &workers, settings)?;

    let theta = network.layout().initialize(0, DType::F64, &Device::Cpu)?;
    let v = theta.cos()?;
    let curvature = mean_loss.curvature(&theta, Retention::Retain)?;
    let dot = |a: &Tensor, b: &Tensor| (a * b)?.sum_all()?.to_scalar::<f64>();
    let hessian = dot(&v, &curvature.hessian().apply(&v)?)?;
    let gauss_newton = dot(&v, &curvature.gauss_newton().apply(&v)?)?;

    // v·Hv is the slope of v·∇L along v.
    let slope = |step: f64| -> Result<f64, Box<dyn std::error::Error>> {
        let moved = (&theta + (&v * step)?)?;
        Ok(dot(&v, &mean_loss.gradient(&moved, Selection::All)?.1)?)
    };
    let difference = (slope(1e-5)? - slope(-1e-5)?) / 2e-5;
    assert!((hessian - difference).abs() < 1e-6 * hessian.abs());
    assert!(gauss_newton > 0.0 && gauss_newton != hessian);
    let residual = dot(&v, &curvature.operator(Matrix::Residual)?.apply(&v)?)?;
    assert!((hessian - gauss_newton - residual).abs() < 1e-14 * hessian.abs());
    println!("v·Hv = {hessian}, by differences {difference}, v·Gv = {gauss_newton}");
    Ok(())
}
