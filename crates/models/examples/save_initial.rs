//! Saves a freshly initialised network of the zoo as a checkpoint.
//!
//! ```text
//! cargo run -p flatness-models --example save_initial -- preresnet-20 initial.safetensors
//! ```

use std::error::Error;

use candle_core::{DType, Device};
use flatness_models::{Architecture, checkpoint};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, path] = arguments.as_slice() else {
        return Err("usage: save_initial MODEL FILE".into());
    };
    let architecture = Architecture::find(model)?;
    let (input_shape, classes) = architecture.default_input();
    let network = architecture.network(&input_shape, classes)?;
    let theta = network.layout().initialize(0, DType::F32, &Device::Cpu)?;
    let buffers = network.buffers().initialize(0, DType::F32, &Device::Cpu)?;
    std::fs::write(path, checkpoint::encode(&network, &theta, &buffers, model)?)?;
    Ok(())
}
