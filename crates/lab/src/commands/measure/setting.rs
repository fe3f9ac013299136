//! What is measured: a network with its weights over the examples of a data set or of a file of tensors.

use std::path::Path;

use anyhow::{Result, bail};
use flatness_data::{Examples, LabelledTensors, TensorFile};
use flatness_engine::Weights;
use flatness_records::{DataRecord, Request, Split, Streams, SubsetSpec};

use super::origin::Origin;
use crate::arguments::MeasureOptions;
use crate::output::say;
use crate::setting::Model;
use crate::source;
use crate::stored::{Stored, check_labels};

/// Everything that a measurement is of.
pub(super) struct Setting {
    pub(super) model: Model,
    /// As they are stored.
    pub(super) weights: Weights,
    pub(super) examples: Box<dyn Examples>,
    pub(super) data: DataRecord,
    /// What the examples depend on.
    pub(super) identity: String,
    /// L2 coefficient of the training, where it is known.
    pub(super) weight_decay: f64,
}

impl Setting {
    pub(super) fn of(options: &MeasureOptions, origin: &Origin, request: &Request) -> Result<Self> {
        let (model, entry) = (options.model.as_deref(), options.entry.as_deref());
        let mut stored = Stored::read(&origin.checkpoint, model, entry, &options.constants)?;
        let file = options.data.data.as_deref();
        let tensors = file.filter(|path| TensorFile::is_one(path));
        if let Some(other) =
            file.filter(|path| path.is_file() && tensors.is_none() && !is_archive(path))
        {
            bail!(
                "--data {} is neither the directory of a data set nor a file of tensors; save x and y in a .npz or .safetensors file",
                other.display()
            );
        }
        if stored.is_onnx() && file.is_none() && options.data.data_set.is_none() {
            bail!(
                "{} needs its data; give --data with a .npz or .safetensors file of x and y, or --data-set",
                origin.checkpoint.display()
            );
        }
        let tensors = tensors.map(TensorFile::read).transpose()?;
        if let Some(tensors) = &tensors {
            stored.place_classes(tensors.labels());
        }
        let (examples, data, identity) = match &tensors {
            Some(tensors) => of_tensors(options, request, tensors, &stored.outputs()?)?,
            None => of_data_set(options, origin, request, &stored.name)?,
        };
        let has_classes = tensors.as_ref().is_none_or(TensorFile::has_classes);
        let loss = options.loss.loss(has_classes)?;
        if let Some(tensors) = &tensors {
            check_labels(tensors.name(), tensors.labels(), loss)?;
        }
        let weighted =
            stored.network(examples.as_ref(), loss, options.dtype, request.batch_norm)?;
        for note in weighted.notes.iter().filter(|_| !options.output.quiet) {
            say(note);
        }
        let decay = origin
            .spec()
            .map(|spec| spec.train.optimizer.weight_decay().0);
        Ok(Self {
            model: weighted.model,
            weights: weighted.weights,
            examples,
            data,
            identity,
            weight_decay: decay.unwrap_or(0.0),
        })
    }
}

/// Whether the name is that of the archive of a data set.
fn is_archive(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str());
    end.is_some_and(|end| ["gz", "tgz", "tar"].contains(&end))
}

type Found = (Box<dyn Examples>, DataRecord, String);

/// The examples of a file, for a network whose outputs have this shape.
fn of_tensors(
    options: &MeasureOptions,
    request: &Request,
    tensors: &TensorFile,
    outputs: &[usize],
) -> Result<Found> {
    let name = tensors.name();
    let data = &options.data;
    let useless = [
        (data.data_set.is_some(), "--data-set"),
        (data.normalization.mean.is_some(), "--mean"),
        (data.train_examples.is_some(), "--train-examples"),
        (data.validation_examples.is_some(), "--validation-examples"),
        (request.split != Split::Train, "--split"),
    ];
    if let Some((_, option)) = useless.iter().find(|(given, _)| *given) {
        bail!(
            "{option} is for data sets; {name} has its x as the network takes them and one split, leave it out"
        );
    }
    let examples: LabelledTensors = tensors.examples(outputs)?;
    let record = DataRecord {
        set: "tensors".to_owned(),
        source: name.to_owned(),
        digest: tensors.digest().to_owned(),
        train_examples: examples.len(),
        subset: SubsetSpec::First,
        validation_examples: 0,
        test_examples: 0,
        mean: Vec::new(),
        deviation: Vec::new(),
    };
    let identity = record.digest.clone();
    Ok((Box::new(examples), record, identity))
}

/// A split of a data set, normalised as the network called `model` is trained unless something else is said.
fn of_data_set(
    options: &MeasureOptions,
    origin: &Origin,
    request: &Request,
    model: &str,
) -> Result<Found> {
    let seed = origin.spec().map_or(0, |spec| spec.seed);
    let data = options.data.spec(origin.data());
    if request.split == Split::Validation && data.validation_examples == 0 {
        bail!(
            "--split validation needs --validation-examples, which says how many training examples were held out"
        );
    }
    // The subset is that of the run, whatever the seed of the probes.
    let splits = source::load(
        &data,
        Streams::new(seed),
        options.data.data.as_deref(),
        model,
    )?;
    if options.data.data_set.is_none() {
        origin.hold(splits.digest())?;
    }
    let (split, sizes) = (request.split.name(), splits.sizes());
    let identity = format!("{} {split} {sizes:?} {seed}", splits.identity());
    Ok((
        Box::new(splits.get(request.split)?.clone()),
        splits.record(),
        identity,
    ))
}
