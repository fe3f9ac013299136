//! Data sets by name and files of tensors: where they come from and how they are split.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use flatness_data::{
    Dataset, Divisible, EmbeddedMnist, Error, Examples, LabelledTensors, Loaded, Normalization,
    Set, TensorFile,
};
use flatness_records::{ClassWeights, DataRecord, DataSpec, LossSpec, Split, Streams, SubsetSpec};

use crate::architecture::Architecture;
use crate::environment;
use crate::loss::{ResolvedLoss, check_labels, class_weights, numbers};
use crate::output::say;

/// The splits of a data set, and the loss that their labels are for.
pub(crate) struct Splits {
    pub(crate) train: Arc<dyn Examples>,
    pub(crate) validation: Option<Arc<dyn Examples>>,
    pub(crate) test: Option<Arc<dyn Examples>>,
    /// The training examples, where they are images that can be changed at random.
    pub(crate) images: Option<Dataset>,
    pub(crate) loss: ResolvedLoss,
    record: DataRecord,
    /// What a measurement over a split depends on: the examples and what becomes of their bytes.
    pub(crate) identity: String,
}

/// The set that `--data-set` and `--data` name together: a name, or a file of tensors.
pub(crate) fn named(set: Option<&str>, data: Option<&Path>) -> Result<Option<String>> {
    let path = data.unwrap_or(Path::new("")).display();
    let Some(file) = data.filter(|data| has_tensors(data)) else {
        if data.is_some_and(|data| data.is_file() && !Set::is_packed(data)) {
            bail!(
                "--data {path} is neither the directory of a data set nor a file of tensors; save x and y in a .npz or \
                 .safetensors file"
            );
        }
        return Ok(set.map(str::to_owned));
    };
    if set.is_some() {
        bail!("--data-set is for data sets; {path} is a file of tensors, leave it out");
    }
    match file.to_str() {
        Some(name) => Ok(Some(name.to_owned())),
        None => bail!("--data {path} has a name that is not UTF-8; rename it"),
    }
}

/// What is said of a network that comes without data.
pub(crate) const NEEDED: &str =
    "needs its data; give --data with a .npz or .safetensors file of x and y, or --data-set";

/// Whether `path` has the name of a file of tensors, and not of a whole data set.
pub(crate) fn has_tensors(path: &Path) -> bool {
    TensorFile::is_one(path) && !Set::is_packed(path)
}

/// Whether the data `set` is a file of tensors.
pub(crate) fn is_tensors(set: &str) -> bool {
    has_tensors(Path::new(set))
}

/// Reads the data that `spec` names for a network of this `architecture`, with this `loss` or the usual one of their labels: a
/// data set from the directory `at`, the cache directory or the fixture, normalised as it says or else as the network is
/// trained; or a file of tensors, which is `at` where that is said.
pub(crate) fn load(
    spec: &DataSpec,
    loss: Option<&LossSpec>,
    streams: Streams,
    at: Option<&Path>,
    architecture: &Architecture,
) -> Result<Splits> {
    let splits = if is_tensors(&spec.set) {
        let path = at.unwrap_or(Path::new(&spec.set));
        of_tensors(path, spec, loss, streams, architecture)
    } else {
        let loaded = read(spec, at, architecture.zoo().unwrap_or_default())?;
        of_images(loaded, spec, loss, streams)
    }?;
    // Weights that a split has no label for are refused before any work.
    let parts = [&splits.validation, &splits.test];
    for split in std::iter::once(&splits.train).chain(parts.into_iter().flatten()) {
        split.loss_factor(splits.loss.loss().class_weights())?;
    }
    Ok(splits)
}

/// Everything there is of that data set.
pub(crate) fn read(spec: &DataSpec, directory: Option<&Path>, model: &str) -> Result<Loaded> {
    let Some(set) = Set::named(&spec.set) else {
        let names = Set::ALL.map(Set::name).join(", ");
        bail!(
            "data.set (--data-set) must be one of {names}, or a .npz or .safetensors file, got {}",
            spec.set
        );
    };
    let normalization = match (&spec.mean, &spec.deviation) {
        (Some(mean), Some(deviation)) => {
            let channels = set.normalization().mean().len();
            let got = [mean.len(), deviation.len()];
            if got != [channels; 2] {
                bail!(
                    "--mean and --deviation (data.mean and data.deviation in a spec) must have a number for each channel of \
                     {set}, {channels} each, got {} and {}",
                    got[0],
                    got[1]
                );
            }
            Normalization::new(mean.clone(), deviation.clone())?
        }
        _ => default_normalization(set, model),
    };
    let embedded = EmbeddedMnist {
        files: flatness_fixtures::MNIST,
        description: flatness_fixtures::DESCRIPTION,
    };
    let cache = environment::cache_directory();
    let found = set.find(directory, cache.as_deref(), Some(embedded));
    Ok(at_hand(found, set, directory)?.load(normalization)?)
}

/// How to get `set`, in words that another way follows; none where nobody publishes it.
pub(crate) fn fetched(set: Set, to: &str) -> String {
    match set.manifest() {
        Some(_) => format!("`flatness data fetch {set}{to}` gets it, or "),
        None => String::new(),
    }
}

/// What was found, or how to get what is absent from the cache directory.
fn at_hand<T>(found: flatness_data::Result<T>, set: Set, directory: Option<&Path>) -> Result<T> {
    found.map_err(|error| match (&error, directory) {
        (Error::Absent { .. }, None) => anyhow::Error::new(error).context(format!(
            "no complete {set} at hand; {}--data names its directory",
            fetched(set, "")
        )),
        (_, Some(directory)) if !directory.exists() => anyhow!(
            "there is no directory {}; {}name that of the data",
            directory.display(),
            fetched(set, " --to DIR")
        ),
        _ => error.into(),
    })
}

/// The splits that `spec` makes of `loaded`.
fn of_images(
    loaded: Loaded,
    spec: &DataSpec,
    loss: Option<&LossSpec>,
    streams: Streams,
) -> Result<Splits> {
    let (set, digest) = (loaded.name(), loaded.digest()?);
    if !loaded.is_published() && loaded.set != Set::Idx {
        say(&format!(
            "warning: the examples of {} are not the published ones of {}; records call them {set}",
            loaded.source, loaded.set
        ));
    }
    let Loaded {
        train,
        test,
        completeness,
        mut source,
        files,
        ..
    } = loaded;
    if !files.is_empty() {
        source = format!("{source}; {completeness}");
    }
    let (train, validation) = divide(train, spec, streams)?;
    let normalization = train.normalization();
    let record = DataRecord {
        set,
        source,
        digest,
        train_examples: train.len(),
        subset: spec.subset,
        validation_examples: validation.as_ref().map_or(0, Dataset::len),
        test_examples: test.len(),
        mean: normalization.mean().to_vec(),
        deviation: normalization.deviation().to_vec(),
    };
    Ok(Splits {
        loss: ResolvedLoss::new(
            loss.cloned().unwrap_or_else(|| LossSpec::usual(true)),
            &[train.classes()],
            |name| {
                bail!(
                    "the class weights {name} would be in a file of tensors, and the data are none; give numbers"
                )
            },
        )?,
        identity: format!("{} {:?} {normalization:?}", record.digest, spec.subset),
        images: Some(train.clone()),
        train: Arc::new(train),
        validation: validation.map(shared),
        test: Some(Arc::new(test)),
        record,
    })
}

/// The splits that `spec` makes of a file of tensors.
fn of_tensors(
    path: &Path,
    spec: &DataSpec,
    loss: Option<&LossSpec>,
    streams: Streams,
    architecture: &Architecture,
) -> Result<Splits> {
    let weights = loss
        .and_then(class_weights)
        .and_then(|weights| match weights {
            ClassWeights::Tensor(name) => Some(name.as_str()),
            ClassWeights::Numbers(_) => None,
        });
    let file = TensorFile::read_beside(path, weights)?;
    let name = file.name();
    if spec.mean.is_some() {
        bail!(
            "--mean and --deviation (data.mean and data.deviation in a spec) are for data sets; {name} has its x as the \
             network takes them, leave them out"
        );
    }
    let loss = loss
        .cloned()
        .unwrap_or_else(|| LossSpec::usual(file.has_classes()));
    for labels in [Some(file.labels()), file.test_labels()]
        .into_iter()
        .flatten()
    {
        check_labels(name, labels, &loss)?;
    }
    let outputs = architecture.outputs_for(file.labels());
    let tensor = |name: &str| match file.beside() {
        Some(tensor) => numbers(name, tensor),
        None => bail!("the class weights {name} are not there"),
    };
    let loss = ResolvedLoss::new(loss, &outputs, tensor)?;
    let (train, validation) = divide(file.examples(&outputs)?, spec, streams)?;
    let test = file.test_examples(&outputs)?;
    let count = |split: &Option<LabelledTensors>| split.as_ref().map_or(0, Examples::len);
    let record = DataRecord {
        set: "tensors".to_owned(),
        source: name.to_owned(),
        digest: file.digest().to_owned(),
        train_examples: train.len(),
        subset: spec.subset,
        validation_examples: count(&validation),
        test_examples: count(&test),
        mean: Vec::new(),
        deviation: Vec::new(),
    };
    Ok(Splits {
        loss,
        identity: format!("{} {:?}", record.digest, spec.subset),
        images: None,
        train: Arc::new(train),
        validation: validation.map(shared),
        test: test.map(shared),
        record,
    })
}

fn shared(examples: impl Examples + 'static) -> Arc<dyn Examples> {
    Arc::new(examples)
}

/// Training examples and validation examples, as `spec` has them.
fn divide<E: Divisible>(all: E, spec: &DataSpec, streams: Streams) -> Result<(E, Option<E>)> {
    let (rest, validation) = match spec.validation_examples {
        0 => (all, None),
        held_out => {
            let (rest, validation) = all.split_tail(held_out)?;
            (rest, Some(validation))
        }
    };
    let train = match (spec.train_examples, spec.subset) {
        (None, _) => Ok(rest),
        (Some(n), SubsetSpec::First) => rest.take(n),
        (Some(n), SubsetSpec::Seeded) => rest.sample(n, streams.seed("train-examples")),
    };
    let train = train.with_context(|| match spec.validation_examples {
        0 => "--train-examples (data.train_examples in a spec)".to_owned(),
        held_out => format!(
            "--train-examples (data.train_examples in a spec), where {held_out} are held out for validation"
        ),
    })?;
    Ok((train, validation))
}

/// The constants with which the published software trains networks of this family on such images
/// (`docs/MATHS.md`): those of ImageNet for VGG and the all-convolutional network on CIFAR, else those of the set.
fn default_normalization(set: Set, model: &str) -> Normalization {
    let of_imagenet = ["vgg", "all-cnn"];
    match set {
        Set::Cifar10 | Set::Cifar100
            if of_imagenet.iter().any(|family| model.starts_with(family)) =>
        {
            Normalization::imagenet()
        }
        _ => set.normalization(),
    }
}

impl Splits {
    /// The split of that name; there may be no validation and no test split.
    pub(crate) fn get(&self, split: Split) -> Result<&Arc<dyn Examples>> {
        match split {
            Split::Train => Ok(&self.train),
            Split::Validation => self.validation.as_ref().context(
                "the split validation is to be measured, but no examples were held out: give data.validation_examples \
                 (--validation-examples)",
            ),
            Split::Test => self.test.as_ref().with_context(|| {
                format!(
                    "the split test is to be measured, but there is none: {} has no x_test and y_test",
                    self.record.source
                )
            }),
        }
    }

    /// What a record says of the data.
    pub(crate) fn record(&self) -> &DataRecord {
        &self.record
    }

    /// Training, validation and test examples.
    pub(crate) fn sizes(&self) -> [usize; 3] {
        let record = &self.record;
        [
            record.train_examples,
            record.validation_examples,
            record.test_examples,
        ]
    }
}
