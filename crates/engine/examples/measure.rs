//! What a request names, measured: extreme eigenvalues, trace and Frobenius norm of a small network's Hessian.

use std::error::Error;

use candle_core::{DType, Device, Tensor};
use flatness_data::LabelledTensors;
use flatness_engine::{Resources, Subject, Weights, measure};
use flatness_layers::{Affine, Loss, Network, Tanh, Workers};
use flatness_records::{Request, Streams};

fn main() -> Result<(), Box<dyn Error>> {
    let network = Network::chain(
        &[3],
        vec![
            ("fc0".to_owned(), Box::new(Affine::new(3, 8))),
            ("tanh".to_owned(), Box::new(Tanh)),
            ("fc1".to_owned(), Box::new(Affine::new(8, 2))),
        ],
    )?;
    let cpu = &Device::Cpu;
    let inputs = Tensor::arange(0f64, 30.0, cpu)?.sin()?.reshape((10, 3))?;
    let labels = Tensor::new(&[0u32, 1, 1, 0, 1, 0, 0, 1, 1, 0], cpu)?;
    let examples = LabelledTensors::new("toy", &inputs, &labels, 2)?;
    let weights = Weights {
        theta: network.layout().initialize(0, DType::F64, cpu)?,
        buffers: network.buffers().initialize(0, DType::F64, cpu)?,
    };
    let subject = Subject {
        network: &network,
        weights: &weights,
        initial: None,
        examples: &examples,
        loss: Loss::CrossEntropy,
        weight_decay: 0.0,
    };
    let resources = Resources {
        workers: &Workers::new(1)?,
        device: cpu,
        activations: 1 << 20,
        vectors: 1 << 20,
        interrupt: &|| false,
        journal: None,
    };
    let (request, streams) = (Request::default(), Streams::new(0));
    let found = measure(&subject, &request, streams, &resources, &())?;
    let top = found.measured.number("lambda_max").ok_or("no lambda_max")?;
    assert!(top.value > 0.0 && top.error() < 1e-2 * top.value);
    for (name, number) in &found.measured.matrices[0].numbers {
        println!("{name} {} ± {}", number.value, number.error());
    }
    Ok(())
}
