//! A network of the zoo, out to a checkpoint and in again.

use std::error::Error;

use candle_core::{DType, Device, Module, Tensor};
use flatness_layers::Predictor;
use flatness_models::{Architecture, checkpoint};

fn main() -> Result<(), Box<dyn Error>> {
    let network = Architecture::find("preresnet-20")?.network(&[3, 32, 32], 10)?;
    let (layout, cpu) = (network.layout(), &Device::Cpu);
    assert_eq!(layout.dim(), 272_282);
    let names = [0, 1, layout.parameters().len() - 1].map(|at| &layout.parameters()[at].name);
    assert_eq!(names, ["conv1.weight", "layer1.0.bn1.weight", "fc.bias"]);

    // Out and in again, running statistics included.
    let theta = layout.initialize(0, DType::F32, cpu)?;
    let buffers = network.buffers().initialize(0, DType::F32, cpu)?;
    let bytes = checkpoint::encode(&network, &theta, &buffers, "preresnet-20")?;
    let checkpoint = checkpoint::decode(&bytes, "memory")?;
    let loaded = checkpoint.parameters(&network, "memory")?;
    assert_eq!(loaded.to_vec1::<f32>()?, theta.to_vec1::<f32>()?);

    // Inference, as any other candle module.
    let frozen = network.freeze(&checkpoint.buffers(&network, "memory")?)?;
    let image = Tensor::ones((1, 3, 32, 32), DType::F32, cpu)?;
    assert_eq!(
        Predictor::new(&frozen, &loaded)?.forward(&image)?.dims(),
        [1, 10]
    );
    println!(
        "preresnet-20 has {} parameters in {} bytes",
        layout.dim(),
        bytes.len()
    );
    Ok(())
}
