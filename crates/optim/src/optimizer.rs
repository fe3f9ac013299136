//! What all optimisers have in common: a step, and a state that a later run goes on from.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use safetensors::SafeTensors;

use crate::Error;
use crate::checks::Form;

/// A rule that changes a vector θ by gradients.
pub trait Optimizer: std::fmt::Debug + Send {
    /// One step: changes `theta` (P) in place, for `gradient` (P) of the loss without the L2 term.
    /// The two must not share storage.
    ///
    /// # Errors
    /// [`Error::Vector`], [`Error::Strided`], [`Error::Shared`], [`Error::Range`] for a rate that is
    /// negative or not finite, or a device error.
    fn step(&mut self, theta: &Tensor, gradient: &Tensor, learning_rate: f64) -> Result<(), Error>;

    /// A copy of all that the next step depends on besides θ.
    ///
    /// # Errors
    /// A device error.
    fn state(&self) -> Result<State, Error>;

    /// Goes on from a saved state, with the same bits as if there had been no pause.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Unexpected`] or [`Error::Vector`], and nothing has changed then.
    fn restore(&mut self, state: &State) -> Result<(), Error>;
}

/// State of an optimiser or an average.
#[derive(Debug, Clone)]
pub struct State {
    /// Steps taken, or iterates seen.
    pub steps: u64,
    /// Vectors like θ by name; with [`VarOptimizer`](crate::VarOptimizer) one for each variable.
    pub vectors: BTreeMap<String, Tensor>,
}

/// Where the metadata of a file say [`State::steps`].
const STEPS: &str = "steps";

impl State {
    /// The contents of a safetensors file of the vectors, with the steps in its metadata. A file that
    /// must survive a crash is written beside the old one and renamed.
    ///
    /// # Errors
    /// A device error, or vectors of a number type that such files do not have.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let metadata = [(STEPS.to_owned(), self.steps.to_string())].into();
        Ok(safetensors::serialize(&self.vectors, Some(metadata))?)
    }

    /// What [`State::to_bytes`] was made of, on `device`.
    ///
    /// # Errors
    /// [`Error::File`] for bytes that are no whole safetensors file, [`Error::Steps`], or a device
    /// error.
    pub fn from_bytes(bytes: &[u8], device: &Device) -> Result<Self, Error> {
        let (_, metadata) = SafeTensors::read_metadata(bytes)?;
        let steps = metadata.metadata().as_ref().and_then(|map| map.get(STEPS));
        let steps = steps.and_then(|text| text.parse().ok());
        Ok(Self {
            steps: steps.ok_or(Error::Steps)?,
            vectors: candle_core::safetensors::load_buffer(bytes, device)?
                .into_iter()
                .collect(),
        })
    }

    /// A copy of `vectors` after `steps`.
    pub(crate) fn of<'a>(
        steps: u64,
        vectors: impl IntoIterator<Item = (impl Into<String>, &'a Tensor)>,
    ) -> Result<Self, Error> {
        let copies = vectors.into_iter().map(|(name, vector)| {
            let copy = vector.copy()?;
            Ok((name.into(), copy))
        });
        let vectors = copies.collect::<Result<_, Error>>()?;
        Ok(Self { steps, vectors })
    }

    /// The vector of that name.
    pub(crate) fn get(&self, name: &str) -> Result<&Tensor, Error> {
        self.vectors.get(name).ok_or_else(|| Error::Missing {
            name: name.to_owned(),
        })
    }

    /// Copies of the vectors of these names and forms, which are all that there are.
    pub(crate) fn copies(
        &self,
        forms: impl Iterator<Item = (String, Form)>,
    ) -> Result<Vec<Tensor>, Error> {
        let forms: Vec<(String, Form)> = forms.collect();
        let mut names = self.vectors.keys();
        if let Some(name) = names.find(|name| forms.iter().all(|(own, _)| own != *name)) {
            return Err(Error::Unexpected { name: name.clone() });
        }
        let copies = forms.iter().map(|(name, form)| {
            let saved = self.get(name)?;
            form.check(name, saved)?;
            Ok(saved.copy()?)
        });
        copies.collect()
    }

    /// Replaces `vectors` by copies of those of their names, or none of them if one does not fit.
    pub(crate) fn restore<'a>(
        &self,
        vectors: impl IntoIterator<Item = (&'static str, &'a mut Tensor)>,
    ) -> Result<(), Error> {
        let vectors: Vec<_> = vectors.into_iter().collect();
        let forms = vectors
            .iter()
            .map(|(name, own)| ((*name).to_owned(), Form::of(own)));
        let copies = self.copies(forms)?;
        for ((_, own), copy) in vectors.into_iter().zip(copies) {
            *own = copy;
        }
        Ok(())
    }
}
