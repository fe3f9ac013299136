//! Data sets by name: where they come from and how they are split.

use std::path::Path;

use anyhow::{Result, bail};
use flatness_data::Dataset;
use flatness_data::mnist::{self, EmbeddedMnist};
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

/// Reads the data set that `spec` names, from `directory`, the cache directory or the fixture.
pub(crate) fn load(spec: &DataSpec, directory: Option<&Path>) -> Result<Splits> {
    if spec.set != "mnist" {
        bail!("data.set must be mnist, got {}; correct the spec", spec.set);
    }
    let embedded = EmbeddedMnist {
        train_images: flatness_fixtures::TRAIN_IMAGES,
        train_labels: flatness_fixtures::TRAIN_LABELS,
        test_images: flatness_fixtures::TEST_IMAGES,
        test_labels: flatness_fixtures::TEST_LABELS,
        description: flatness_fixtures::DESCRIPTION,
    };
    let cache = environment::cache_directory();
    let data = mnist::load(mnist::find(directory, cache.as_deref(), embedded)?)?;
    let digest = data.digest()?;
    let (rest, validation) = match spec.validation_examples {
        0 => (data.train, None),
        held_out => {
            let (rest, validation) = data.train.split_tail(held_out)?;
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
        test: data.test,
        source: data.source.to_string(),
        digest,
    })
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
