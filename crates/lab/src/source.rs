//! Data sets by name: where they come from and how they are split.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use flatness_data::{Dataset, EmbeddedMnist, Error, Loaded, Normalization, Set};
use flatness_records::{DataRecord, DataSpec, Split, Streams, SubsetSpec};

use crate::environment;
use crate::output::say;

/// The splits of a data set.
pub(crate) struct Splits {
    pub(crate) train: Dataset,
    pub(crate) validation: Option<Dataset>,
    pub(crate) test: Dataset,
    /// Name of the data set, or of what it is like.
    set: String,
    /// Where the data came from, in words.
    source: String,
    /// Digest of all the examples read.
    digest: String,
    subset: SubsetSpec,
}

/// Reads the data set that `spec` names, from `directory`, the cache directory or the fixture, normalised as
/// it says or else as the network called `model` is trained.
pub(crate) fn load(
    spec: &DataSpec,
    streams: Streams,
    directory: Option<&Path>,
    model: &str,
) -> Result<Splits> {
    let loaded = read(spec, directory, model)?;
    split(loaded, spec, streams)
}

/// Everything there is of that data set.
pub(crate) fn read(spec: &DataSpec, directory: Option<&Path>, model: &str) -> Result<Loaded> {
    let Some(set) = Set::named(&spec.set) else {
        let names = Set::ALL.map(Set::name).join(", ");
        bail!(
            "data.set must be one of {names}, got {}; correct the spec",
            spec.set
        );
    };
    let normalization = match (&spec.mean, &spec.deviation) {
        (Some(mean), Some(deviation)) => Normalization::new(mean.clone(), deviation.clone())?,
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

/// What was found, or how to get what is absent from the cache directory.
fn at_hand<T>(found: flatness_data::Result<T>, set: Set, directory: Option<&Path>) -> Result<T> {
    let fetched = |to: &str| match set {
        Set::Idx => String::new(),
        _ => format!("`flatness data fetch {set}{to}` gets it, or "),
    };
    found.map_err(|error| match (&error, directory) {
        (Error::Absent { .. }, None) => anyhow::Error::new(error).context(format!(
            "no complete {set} at hand; {}--data names its directory",
            fetched("")
        )),
        (_, Some(directory)) if !directory.exists() => anyhow!(
            "there is no directory {}; {}name that of the data",
            directory.display(),
            fetched(" --to DIR")
        ),
        _ => error.into(),
    })
}

/// The splits that `spec` makes of `loaded`.
pub(crate) fn split(loaded: Loaded, spec: &DataSpec, streams: Streams) -> Result<Splits> {
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
    let (rest, validation) = match spec.validation_examples {
        0 => (train, None),
        held_out => {
            let (rest, validation) = train.split_tail(held_out)?;
            (rest, Some(validation))
        }
    };
    let train = match (spec.train_examples, spec.subset) {
        (None, _) => rest,
        (Some(n), SubsetSpec::First) => rest.take(n)?,
        (Some(n), SubsetSpec::Seeded) => rest.sample(n, streams.seed("train-examples"))?,
    };
    Ok(Splits {
        train,
        validation,
        test,
        set,
        source,
        digest,
        subset: spec.subset,
    })
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
    /// The split of that name; there may be no validation split.
    pub(crate) fn get(&self, split: Split) -> Result<&Dataset> {
        match split {
            Split::Train => Ok(&self.train),
            Split::Test => Ok(&self.test),
            Split::Validation => self.validation.as_ref().ok_or_else(|| {
                anyhow::anyhow!("measure.split is validation, but data.validation_examples is 0")
            }),
        }
    }

    /// What a record says of the data.
    pub(crate) fn record(&self) -> DataRecord {
        let normalization = self.train.normalization();
        DataRecord {
            set: self.set.clone(),
            source: self.source.clone(),
            digest: self.digest.clone(),
            train_examples: self.train.len(),
            subset: self.subset,
            validation_examples: self.validation.as_ref().map_or(0, Dataset::len),
            test_examples: self.test.len(),
            mean: normalization.mean().to_vec(),
            deviation: normalization.deviation().to_vec(),
        }
    }

    /// Digest of all the examples read, before splitting.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// Training, validation and test examples.
    pub(crate) fn sizes(&self) -> [usize; 3] {
        let validation = self.validation.as_ref().map_or(0, Dataset::len);
        [self.train.len(), validation, self.test.len()]
    }

    /// What a measurement over a split depends on: the examples and what becomes of their bytes.
    pub(crate) fn identity(&self) -> String {
        let (digest, subset) = (&self.digest, self.subset);
        format!("{digest} {subset:?} {:?}", self.train.normalization())
    }
}
