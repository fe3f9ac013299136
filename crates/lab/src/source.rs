//! Data sets by name: where they come from and how they are split.

use std::path::Path;

use anyhow::{Context, Result, bail};
use flatness_data::cifar100;
use flatness_data::mnist::{self, EmbeddedMnist};
use flatness_data::{Dataset, Normalization};
use flatness_records::{DataRecord, DataSpec, Split};

use crate::environment;

/// The splits of a data set.
pub(crate) struct Splits {
    pub(crate) train: Dataset,
    pub(crate) validation: Option<Dataset>,
    pub(crate) test: Dataset,
    /// Where the data came from, in words.
    source: String,
    /// Digest of all the examples read.
    digest: String,
}

/// What was read, before splitting.
struct Loaded {
    train: Dataset,
    test: Dataset,
    source: String,
    digest: String,
}

/// Reads the data set that `spec` names, from `directory`, the cache directory or the fixture, normalised
/// as the network called `model` is trained.
pub(crate) fn load(spec: &DataSpec, directory: Option<&Path>, model: &str) -> Result<Splits> {
    let cache = environment::cache_directory();
    let Loaded {
        train,
        test,
        source,
        digest,
    } = match spec.set.as_str() {
        "mnist" => load_mnist(directory, cache.as_deref())?,
        "cifar-100" => load_cifar100(directory, cache.as_deref(), model)?,
        other => bail!("data.set must be mnist or cifar-100, got {other}; correct the spec"),
    };
    let (rest, validation) = match spec.validation_examples {
        0 => (train, None),
        held_out => {
            let (rest, validation) = train.split_tail(held_out)?;
            (rest, Some(validation))
        }
    };
    let train = match spec.train_examples {
        None => rest,
        Some(examples) => rest.take(examples)?,
    };
    Ok(Splits {
        train,
        validation,
        test,
        source,
        digest,
    })
}

fn load_mnist(directory: Option<&Path>, cache: Option<&Path>) -> Result<Loaded> {
    let embedded = EmbeddedMnist {
        train_images: flatness_fixtures::TRAIN_IMAGES,
        train_labels: flatness_fixtures::TRAIN_LABELS,
        test_images: flatness_fixtures::TEST_IMAGES,
        test_labels: flatness_fixtures::TEST_LABELS,
        description: flatness_fixtures::DESCRIPTION,
    };
    let data = mnist::load(mnist::find(directory, cache, embedded)?)?;
    Ok(Loaded {
        digest: data.digest()?,
        source: data.source.to_string(),
        train: data.train,
        test: data.test,
    })
}

fn load_cifar100(directory: Option<&Path>, cache: Option<&Path>, model: &str) -> Result<Loaded> {
    let found = cifar100::find(directory, cache);
    let found = match directory {
        Some(_) => found?,
        None => found.context(
            "no cifar-100 at hand; `flatness data fetch cifar-100` gets it, or --data names its directory",
        )?,
    };
    let normalization = cifar_normalization(model);
    let (mean, deviation) = (normalization.mean(), normalization.deviation());
    let normalised = format!("normalised with mean {mean:?} and deviation {deviation:?}");
    let data = cifar100::load(found, normalization)?;
    Ok(Loaded {
        digest: data.digest()?,
        source: format!("{}; {}; {normalised}", data.source, data.completeness),
        train: data.train,
        test: data.test,
    })
}

/// The constants with which the published software trains networks of this family on CIFAR-100
/// (`docs/MATHS.md`): those of ImageNet for VGG and the all-convolutional network, else those of CIFAR.
fn cifar_normalization(model: &str) -> Normalization {
    let of_imagenet = ["vgg", "all-cnn"];
    if of_imagenet.iter().any(|family| model.starts_with(family)) {
        Normalization::imagenet()
    } else {
        Normalization::cifar()
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
    pub(crate) fn record(&self, spec: &DataSpec, curvature_split: Option<Split>) -> DataRecord {
        DataRecord {
            set: spec.set.clone(),
            source: self.source.clone(),
            digest: self.digest.clone(),
            train_examples: self.train.len(),
            validation_examples: self.validation.as_ref().map_or(0, Dataset::len),
            test_examples: self.test.len(),
            curvature_split,
        }
    }

    /// Digest of all the examples read, before splitting.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }
}
