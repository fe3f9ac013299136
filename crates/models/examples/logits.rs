//! Prints the logits of a checkpoint, `.safetensors` or `.pth`, at a fixed input, one a line.
//!
//! The input is two examples with elements sin 0, sin 1, sin 2, ...; batch norm has its running
//! statistics.
//!
//! ```text
//! cargo run -p flatness-models --example logits -- preresnet-20 initial.safetensors
//! ```

use std::error::Error;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use flatness_models::{Architecture, checkpoint};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, path] = arguments.as_slice() else {
        return Err("usage: logits MODEL FILE".into());
    };
    let architecture = Architecture::find(model)?;
    let (input_shape, classes) = architecture.default_input();
    let network = architecture.network(&input_shape, classes)?;
    let checkpoint = checkpoint::read(Path::new(path))?;
    let theta = checkpoint.parameters(&network, path)?;
    let frozen = network.freeze(&checkpoint.buffers(&network, path)?)?;
    let [channels, height, width] = input_shape;
    let elements = 2 * channels * height * width;
    let inputs = (0..elements).map(|index| (index as f64).sin());
    let inputs = Tensor::from_iter(inputs, &Device::Cpu)?
        .reshape((2, channels, height, width))?
        .to_dtype(theta.dtype())?;
    let logits = frozen.forward(&frozen.layout().views(&theta)?, &inputs)?;
    let logits = logits.flatten_all()?.to_dtype(DType::F64)?;
    for logit in logits.to_vec1::<f64>()? {
        println!("{logit:e}");
    }
    Ok(())
}
