//! What is measured: a network with its weights over the examples of a data set or of a file of tensors.

use std::sync::Arc;

use anyhow::{Result, bail};
use flatness_data::Examples;
use flatness_engine::Weights;
use flatness_records::{DataRecord, Request, Split, Streams};

use super::origin::Origin;
use crate::arguments::MeasureOptions;
use crate::commands::models::known;
use crate::output::say;
use crate::setting::Model;
use crate::source;
use crate::stored::Stored;

/// Everything that a measurement is of.
pub(super) struct Setting {
    pub(super) model: Model,
    /// As they are stored.
    pub(super) weights: Weights,
    pub(super) examples: Arc<dyn Examples>,
    pub(super) data: DataRecord,
    /// What the examples depend on.
    pub(super) identity: String,
    /// L2 coefficient of the training, where it is known.
    pub(super) weight_decay: f64,
}

impl Setting {
    pub(super) fn of(options: &MeasureOptions, origin: &Origin, request: &Request) -> Result<Self> {
        let spec = origin.spec();
        let (model, names) = (options.model.as_deref(), &options.names);
        let constants = match names.constants.as_slice() {
            [] => spec.map_or(&[][..], |spec| &spec.model.constants),
            given => given,
        };
        let stored = Stored::read(&origin.checkpoint, model, names, constants)
            .map_err(|error| known(names.named(error)))?;
        let architecture = &stored.architecture;
        origin.hold_network(architecture.file())?;
        let data = options.data.spec(spec.map(|spec| &spec.data))?;
        let of_run = spec.and_then(|spec| spec.loss.as_ref());
        let loss = options.loss.spec(of_run)?;
        let is_named = options.data.data.is_some() || options.data.data_set.is_some();
        if architecture.file().is_some() && spec.is_none() && !is_named {
            bail!("{} {}", origin.checkpoint.display(), source::NEEDED);
        }
        if request.split == Split::Validation && data.validation_examples == 0 {
            bail!(
                "--split validation needs --validation-examples, which says how many training examples were held out"
            );
        }
        // The subset is that of the run, whatever the seed of the probes.
        let seed = spec.map_or(0, |spec| spec.seed);
        let (streams, at) = (Streams::new(seed), options.data.data.as_deref());
        let splits = source::load(&data, loss.as_ref(), streams, at, architecture)?;
        if spec.is_some_and(|spec| options.data.are_of(&spec.data)) {
            origin.hold(&splits.record().digest)?;
        }
        let examples = splits.get(request.split)?.clone();
        let (batch_norm, dtype) = (request.batch_norm, options.dtype);
        let weighted = stored.network(examples.as_ref(), splits.loss.clone(), dtype, batch_norm)?;
        for note in weighted.notes.iter().filter(|_| !options.output.quiet) {
            say(note);
        }
        let (split, sizes) = (request.split.name(), splits.sizes());
        let decay = spec.map(|spec| spec.train.optimizer.weight_decay().0);
        Ok(Self {
            model: weighted.model,
            weights: weighted.weights,
            examples,
            data: splits.record().clone(),
            identity: format!("{} {split} {sizes:?} {seed}", splits.identity),
            weight_decay: decay.unwrap_or(0.0),
        })
    }
}
