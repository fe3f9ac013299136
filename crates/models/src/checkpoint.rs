//! Checkpoints: named parameters as safetensors, the keys and shapes of PyTorch's state dict.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use flatness_layers::ParamLayout;
use safetensors::SafeTensors;

use crate::Error;

/// Named tensors read from a checkpoint, on the CPU.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    tensors: HashMap<String, Tensor>,
    model: Option<String>,
}

/// The bytes of a checkpoint of `theta` (P), with the name of its architecture in the metadata.
///
/// # Errors
/// A `theta` that does not fit the layout, or a device error.
pub fn encode(layout: &ParamLayout, theta: &Tensor, model: &str) -> Result<Vec<u8>, Error> {
    let views = layout.views(theta)?;
    let named = layout.parameters().iter().zip(&views);
    let named: Vec<(&str, &Tensor)> = named
        .map(|(parameter, view)| (parameter.name.as_str(), view))
        .collect();
    // One entry only: the order of several would differ from run to run.
    let metadata = HashMap::from([("model".to_owned(), model.to_owned())]);
    safetensors::serialize(named, Some(metadata)).map_err(|error| Error::Format {
        origin: format!("checkpoint of {model}"),
        reason: error.to_string(),
    })
}

/// Reads a checkpoint; `origin` names the bytes in errors.
///
/// # Errors
/// [`Error::Format`] for anything that is not a whole safetensors file.
pub fn decode(bytes: &[u8], origin: &str) -> Result<Checkpoint, Error> {
    let format = |reason: String| Error::Format {
        origin: origin.to_owned(),
        reason,
    };
    let (_, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|error| format(error.to_string()))?;
    let model = metadata
        .metadata()
        .as_ref()
        .and_then(|entries| entries.get("model").cloned());
    let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
        .map_err(|error| format(error.to_string()))?;
    Ok(Checkpoint { tensors, model })
}

impl Checkpoint {
    /// Name of the architecture, where the writer gave one.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Parameters (P) in the order of `layout`, in the checkpoint's number type.
    ///
    /// # Errors
    /// [`Error::Mismatch`], which lists every missing, unknown, mis-shaped and mis-typed name, and
    /// [`Error::NotFinite`].
    pub fn parameters(&self, layout: &ParamLayout, origin: &str) -> Result<Tensor, Error> {
        let mismatch = |problems: String| Error::Mismatch {
            origin: origin.to_owned(),
            problems,
        };
        let dtypes: Vec<DType> = self.tensors.values().map(Tensor::dtype).collect();
        if let Some(other) = dtypes
            .iter()
            .find(|&&dtype| !matches!(dtype, DType::F32 | DType::F64))
        {
            return Err(mismatch(format!(
                "expected tensors of F32 or F64, got {other:?}"
            )));
        }
        if dtypes.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(mismatch(
                "expected one number type, got F32 and F64".to_owned(),
            ));
        }
        let theta = layout.gather(&self.tensors).map_err(|error| match error {
            flatness_layers::Error::Names { problems } => mismatch(problems),
            other => other.into(),
        })?;
        for (parameter, view) in layout.parameters().iter().zip(layout.views(&theta)?) {
            let sum = view
                .abs()?
                .to_dtype(DType::F64)?
                .sum_all()?
                .to_scalar::<f64>()?;
            if !sum.is_finite() {
                let name = parameter.name.clone();
                return Err(Error::NotFinite {
                    origin: origin.to_owned(),
                    name,
                });
            }
        }
        Ok(theta)
    }
}
