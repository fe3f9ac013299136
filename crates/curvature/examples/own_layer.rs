//! λ₁ of a network with a layer of one's own: an elementwise function, given by its value and two derivatives.
//!
//! ```text
//! cargo run --release -p flatness-curvature --example own_layer
//! ```

use std::error::Error;

use candle_core::{DType, Device, Tensor};
use flatness_curvature::{MeanLoss, Retention, Settings};
use flatness_data::LabelledTensors;
use flatness_layers::{Affine, Elementwise, Function, Graph, Loss, Number, Workers};
use flatness_spectrum::{Budget, EigenpairsSettings, eigenpairs};

/// y = x + sin² x (Ziyin, Hartwig and Ueda 2020): f' = 1 + sin 2x, f'' = 2 cos 2x.
#[derive(Debug, Clone, Copy)]
struct Snake;

impl Function for Snake {
    fn derivatives<N: Number>(&self, x: &N) -> [N; 3] {
        let (sine, twice) = (x.sin(), x.affine(2.0, 0.0));
        [
            x.plus(&sine.squared()),
            twice.sin().affine(1.0, 1.0),
            twice.cos().affine(2.0, 0.0),
        ]
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut graph = Graph::new(&[4]);
    let x = graph.layer("fc0", Affine::new(4, 16), graph.input())?;
    let x = graph.layer("snake", Elementwise(Snake), x)?;
    let x = graph.layer("fc1", Affine::new(16, 3), x)?;
    let network = graph.finish(x)?;

    let inputs = Tensor::arange(0f64, 256.0, &Device::Cpu)?
        .sin()?
        .reshape((64, 4))?;
    let labels = Tensor::from_iter((0..64u32).map(|example| example * 7 % 3), &Device::Cpu)?;
    let data = LabelledTensors::new("toy", &inputs, &labels, 3)?;
    let (workers, dtype, device) = (Workers::new(1)?, DType::F64, Device::Cpu);
    let settings = Settings {
        dtype,
        device,
        batch_size: 64,
    };
    let mean_loss = MeanLoss::new(&network, &data, Loss::CrossEntropy, &workers, settings)?;
    let theta = network.layout().initialize(0, dtype, &Device::Cpu)?;
    let curvature = mean_loss.curvature(&theta, Retention::Retain)?;
    let search = EigenpairsSettings {
        top: 1,
        bottom: 1,
        block: 1,
        basis: 40,
        tolerance: 1e-6,
        least_products: 0,
        seed: 0,
    };
    let pairs = eigenpairs(
        &curvature.hessian(),
        &search,
        &Budget::UNLIMITED,
        &mut |_| (),
    )?;
    println!("{} +- {:e}", pairs.top[0].value, pairs.top[0].residual);
    Ok(())
}
