//! What a user asks for: the TOML of one run. Unknown fields are refused.

use serde::{Deserialize, Serialize};

use crate::optimizer::{DecayExclusion, OptimizerSpec};
use crate::{Error, LossSpec, Request};

/// One training run and what is to be measured on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The one seed from which every random stream is derived.
    pub seed: u64,
    /// Data set and splits.
    pub data: DataSpec,
    /// Network.
    pub model: ModelSpec,
    /// Loss of an example; absent: cross-entropy of labels that are classes, squared error of values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<LossSpec>,
    /// Training.
    pub train: TrainSpec,
    /// Measurements; without this table the run only trains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<Request>,
}

/// Data set and splits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSpec {
    /// Name of the data set, such as `mnist`, or a file of tensors, `.npz` or `.safetensors`.
    pub set: String,
    /// Train on this many examples; absent: on all there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_examples: Option<usize>,
    /// Which ones.
    #[serde(default, skip_serializing_if = "SubsetSpec::is_first")]
    pub subset: SubsetSpec,
    /// Hold out the last this many training examples for validation.
    #[serde(default)]
    pub validation_examples: usize,
    /// Subtracted from the pixels of each channel, on the scale from 0 to 1; absent: the network's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f64>>,
    /// What the difference is divided by; absent: the network's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<Vec<f64>>,
}

/// Which of the examples are trained on, where it is not all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubsetSpec {
    /// The first ones, whatever the seed.
    #[default]
    First,
    /// A random choice without repetition, another one for each seed.
    Seeded,
}

impl SubsetSpec {
    fn is_first(&self) -> bool {
        *self == Self::First
    }
}

/// Network and its number type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Name in the model zoo, such as `mlp`, or an `.onnx` file.
    pub name: String,
    /// Number type of parameters and arithmetic.
    pub dtype: Dtype,
    /// Whether its dropout layers drop anything in training.
    #[serde(default = "on", skip_serializing_if = "is_on")]
    pub dropout: bool,
    /// Initial values of the parameters; absent: those of the file of the network, else drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<InitialSpec>,
    /// Initialisers of an ONNX file that are no parameters, though nothing in it says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constants: Vec<String>,
}

/// Where training begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InitialSpec {
    /// At the values that the file of the network holds.
    File,
    /// At random values of each seed's own, distributed as PyTorch's for the layers of the network.
    Seeded,
}

fn on() -> bool {
    true
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is what serde calls"
)]
fn is_on(switch: &bool) -> bool {
    *switch
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is what serde calls"
)]
fn is_off(switch: &bool) -> bool {
    !*switch
}

/// Floating-point type of parameters and arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
}

/// Training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSpec {
    /// Passes over the training examples.
    pub epochs: u32,
    /// Examples per step.
    pub batch_size: usize,
    /// Optimiser with its settings.
    pub optimizer: OptimizerSpec,
    /// Learning-rate schedule, one rate per epoch.
    pub schedule: ScheduleSpec,
    /// Rising rates before the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<WarmUpSpec>,
    /// Largest Euclidean norm of a gradient; longer ones are scaled to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Multiply in TF32 on a CUDA device, in the gradients of training alone.
    #[serde(default, skip_serializing_if = "is_off")]
    pub tf32: bool,
    /// Parameters without weight decay; none in the paper.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decay_excludes: Vec<DecayExclusion>,
    /// Sharpness-aware minimisation with this radius rho.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharpness_aware: Option<f64>,
    /// Average of the iterates, measured beside the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<AverageSpec>,
    /// Random changes of the training images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<AugmentationSpec>,
    /// Evaluate every split after every so many epochs and the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate_every: Option<u32>,
    /// Keep a checkpoint after every so many epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<u32>,
}

/// Learning-rate schedule over t = epoch / epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScheduleSpec {
    /// The initial rate throughout.
    Constant {},
    /// The paper's: constant to t = 0.5, linear to `ratio` times the rate at t = 0.9, then flat.
    Paper {
        /// Final over initial rate; the paper's value is 0.01.
        ratio: f64,
    },
    /// The paper's for averages: the same with t = epoch / start_epoch.
    Averaging {
        /// First epoch whose iterates are averaged; 161 of 300 in the paper.
        start_epoch: u32,
        /// Rate while averaging over initial rate; the paper's value is 0.5.
        ratio: f64,
    },
    /// The rate times `factor` after every so many epochs.
    Step {
        /// Epochs between two changes.
        every_epochs: u32,
        /// Rate after a change over the rate before.
        factor: f64,
    },
    /// Half a cosine from the rate to `ratio` times it.
    Cosine {
        /// Final over initial rate.
        ratio: f64,
    },
}

/// Linear rise of the rate before the schedule, which has the rest of the epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmUpSpec {
    /// Its length.
    pub epochs: u32,
    /// Rate of the first epoch over the initial rate.
    pub from: f64,
}

/// Average of the iterates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum AverageSpec {
    /// All of them have the same share.
    Uniform {
        /// Epochs before the first iterate that counts: with 161 of 300, the last 139 epochs.
        from_epoch: u32,
        /// When an iterate is taken.
        every: Interval,
    },
    /// average <- decay * average + (1 - decay) * iterate, beginning at the first iterate.
    Exponential {
        /// In [0, 1).
        decay: f64,
        /// Epochs before the first iterate that counts.
        from_epoch: u32,
        /// When an iterate is taken.
        every: Interval,
    },
    /// The last ones have the same share.
    Tail {
        /// Their number; each takes the memory of the parameters.
        window: usize,
        /// When an iterate is taken.
        every: Interval,
    },
}

/// How often an iterate is averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interval {
    /// After every epoch.
    Epoch,
    /// After every step.
    Step,
}

/// Random changes of the training images, new in every epoch. Nothing is measured on them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentationSpec {
    /// Mirror every second image, by chance, left to right.
    pub flip: bool,
    /// Pad with this many zeros on every side and cut the size out again, at random.
    pub pad: usize,
}

impl Spec {
    /// Reads a spec from TOML; `origin` names the text in errors.
    ///
    /// # Errors
    /// [`Error::Syntax`] with the line, for anything that is not exactly a spec.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            Error::Syntax {
                origin: origin.to_owned(),
                line: 1 + text.as_bytes()[..start]
                    .iter()
                    .filter(|&&byte| byte == b'\n')
                    .count(),
                message: in_words(&error.message().replace('\n', " ")),
            }
        })
    }

    /// The spec as TOML that [`Spec::from_toml`] reads back to the same value.
    ///
    /// # Errors
    /// [`Error::Syntax`] when a value has no TOML form, as of a spec that is not valid.
    pub fn to_toml(&self) -> Result<String, Error> {
        toml::to_string(self).map_err(|error| Error::Syntax {
            origin: "spec".to_owned(),
            line: 0,
            message: error.to_string(),
        })
    }
}

/// What is wrong with a value, without the types of this program: `expected u32` says nothing to who writes a spec.
fn in_words(message: &str) -> String {
    let said = message.strip_prefix("invalid type: ");
    let said = said.or_else(|| message.strip_prefix("invalid value: "));
    if message == "wanted string or table" {
        return "expected a name in quotes".to_owned();
    }
    let Some((got, expected)) = said.and_then(|said| said.split_once(", expected ")) else {
        return message.to_owned();
    };
    let first = expected.split(' ').next().unwrap_or_default();
    let expected = match first {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of at least 0",
        "f64" => "a number",
        "struct" | "internally" | "map" => "a table",
        "enum" | "variant" => "a name in quotes",
        _ => match expected {
            "a boolean" => "true or false",
            "a string" => "a name in quotes",
            "a sequence" => "a list",
            other => other,
        },
    };
    let got = match got {
        "map" => "a table",
        "sequence" => "a list",
        other => other,
    };
    format!("expected {expected}, got {got}")
}
