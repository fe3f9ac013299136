//! Any optimiser of this crate as a `candle_nn::Optimizer` over the variables of a candle model.
//!
//! The variables are gathered into one flat vector θ in the order of their names, changed there, and
//! written back: clipping, ranges without decay, averages and SAM work on the model's θ as on any
//! other. Names are needed since `VarMap::all_vars` has another order in every process, in which
//! a restored state would move the moments to other variables. The two passes over memory are small beside a backward pass. A variable that the loss does
//! not reach has a zero gradient, so momentum and decay still move it; candle and `torch` leave it
//! out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use candle_nn::VarMap;

use crate::checks::Form;
use crate::{Error, Optimizer, SharpnessAware, State};

/// Makes the optimiser of a flat vector.
pub type MakeOptimizer = Box<dyn FnOnce(&Tensor) -> Result<Box<dyn Optimizer>, Error>>;

/// What a [`VarOptimizer`] is made of besides variables.
pub struct VarSettings {
    /// Rate of the first step.
    pub learning_rate: f64,
    /// Called once, with θ.
    pub make: MakeOptimizer,
}

impl std::fmt::Debug for VarSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("VarSettings");
        debug.field("learning_rate", &self.learning_rate);
        debug.finish_non_exhaustive()
    }
}

/// An optimiser over variables. Besides the errors that methods name, a device may fail.
#[derive(Debug)]
pub struct VarOptimizer {
    vars: BTreeMap<String, Var>,
    optimizer: Box<dyn Optimizer>,
    learning_rate: f64,
}

impl VarOptimizer {
    /// An optimiser of the floating-point ones of `vars`, as candle's own take them.
    ///
    /// # Errors
    /// Those of the optimiser that is made, or a device error.
    pub fn new(mut vars: BTreeMap<String, Var>, settings: VarSettings) -> Result<Self, Error> {
        vars.retain(|_, var| var.dtype().is_float());
        let theta = gather(vars.values().map(|var| var.flatten_all()))?;
        Ok(Self {
            vars,
            optimizer: (settings.make)(&theta)?,
            learning_rate: settings.learning_rate,
        })
    }

    /// The same of all variables of `varmap`, with the names that they have there.
    ///
    /// # Errors
    /// As [`VarOptimizer::new`].
    pub fn from_varmap(varmap: &VarMap, settings: VarSettings) -> Result<Self, Error> {
        // What a thread that panicked has left is a map of variables still.
        let data = varmap.data().lock().unwrap_or_else(PoisonError::into_inner);
        let vars = data.iter().map(|(name, var)| (name.clone(), var.clone()));
        Self::new(vars.collect(), settings)
    }

    /// θ (P): a copy of the variables.
    pub fn theta(&self) -> Result<Tensor, Error> {
        gather(self.vars.values().map(|var| var.flatten_all()))
    }

    /// Writes `theta` (P) into the variables.
    ///
    /// # Errors
    /// [`Error::Vector`] when it does not fit them, or a device error.
    pub fn set_theta(&self, theta: &Tensor) -> Result<(), Error> {
        Form::of(&self.theta()?).check("parameters", theta)?;
        self.scatter(theta)
    }

    /// The flat gradient (P) of what `gradients` came from.
    pub fn gradient(&self, gradients: &GradStore) -> Result<Tensor, Error> {
        gather(self.vars.values().map(|var| match gradients.get(var) {
            Some(gradient) => gradient.flatten_all(),
            None => var.zeros_like()?.flatten_all(),
        }))
    }

    /// One step with a flat gradient (P), which may have been clipped.
    ///
    /// # Errors
    /// Those of [`Optimizer::step`].
    pub fn step_with(&mut self, gradient: &Tensor) -> Result<(), Error> {
        let theta = self.theta()?;
        self.optimizer.step(&theta, gradient, self.learning_rate)?;
        self.scatter(&theta)
    }

    /// One step of sharpness-aware minimisation; `loss` is that of one batch at the variables.
    ///
    /// # Errors
    /// Those of `loss` and of [`Optimizer::step`].
    pub fn sharpness_aware_step(
        &mut self,
        sharpness_aware: SharpnessAware,
        loss: impl Fn() -> candle_core::Result<Tensor>,
    ) -> Result<(), Error> {
        let theta = self.theta()?;
        let ascent = self.gradient(&loss()?.backward()?)?;
        self.scatter(&sharpness_aware.perturbed(&theta, &ascent)?)?;
        let gradients = loss().and_then(|loss| loss.backward());
        // Also when the loss has failed: the perturbed parameters are nobody's.
        self.scatter(&theta)?;
        self.step_with(&self.gradient(&gradients?)?)
    }

    /// A copy of all that the next step depends on besides the variables and the rate: a tensor
    /// `<vector>/<variable>` in the shape of the variable for each vector of [`Optimizer::state`].
    pub fn state(&self) -> Result<State, Error> {
        self.named(&self.optimizer.state()?)
    }

    /// Goes on from a saved state, with the same bits as if there had been no pause.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Unexpected`] or [`Error::Vector`] for the state of another
    /// optimiser or of variables of other names or shapes; nothing has changed then.
    pub fn restore(&mut self, state: &State) -> Result<(), Error> {
        self.optimizer.restore(&self.flat(state)?)
    }

    /// The state of an optimiser or average of θ with its vectors (P) cut at the variables, as
    /// [`VarOptimizer::state`] has them.
    ///
    /// # Errors
    /// [`Error::Vector`] for a vector that does not have P elements, or a device error.
    pub fn named(&self, state: &State) -> Result<State, Error> {
        let elements = self.vars.values().map(|var| var.elem_count()).sum();
        let mut vectors = BTreeMap::new();
        for (vector_name, vector) in &state.vectors {
            expect_shape(vector_name, &[elements], vector)?;
            let mut start = 0;
            for (name, var) in &self.vars {
                let piece = vector.narrow(0, start, var.elem_count())?;
                start += var.elem_count();
                let key = format!("{vector_name}/{name}");
                vectors.insert(key, piece.reshape(var.shape())?.copy()?);
            }
        }
        let steps = state.steps;
        Ok(State { steps, vectors })
    }

    /// What [`VarOptimizer::named`] was made from.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Unexpected`] or [`Error::Vector`] for variables of other names
    /// or shapes.
    pub fn flat(&self, state: &State) -> Result<State, Error> {
        let mut names = BTreeSet::new();
        for key in state.vectors.keys() {
            match key.split_once('/') {
                Some((vector, name)) if self.vars.contains_key(name) => names.insert(vector),
                _ => return Err(Error::Unexpected { name: key.clone() }),
            };
        }
        let mut vectors = BTreeMap::new();
        for vector in names {
            let mut pieces = Vec::with_capacity(self.vars.len());
            for (name, var) in &self.vars {
                let key = format!("{vector}/{name}");
                let piece = state.get(&key)?;
                expect_shape(&key, var.dims(), piece)?;
                pieces.push(piece.flatten_all());
            }
            vectors.insert(vector.to_owned(), gather(pieces.into_iter())?);
        }
        let steps = state.steps;
        Ok(State { steps, vectors })
    }

    fn scatter(&self, theta: &Tensor) -> Result<(), Error> {
        let mut start = 0;
        for var in self.vars.values() {
            let length = var.elem_count();
            var.set(&theta.narrow(0, start, length)?.reshape(var.shape())?)?;
            start += length;
        }
        Ok(())
    }
}

fn expect_shape(place: &str, expected: &[usize], got: &Tensor) -> Result<(), Error> {
    if got.dims() == expected {
        return Ok(());
    }
    Err(Error::Vector {
        place: place.to_owned(),
        expected: format!("{expected:?}"),
        got: format!("{:?}", got.dims()),
    })
}

fn gather(parts: impl Iterator<Item = candle_core::Result<Tensor>>) -> Result<Tensor, Error> {
    let parts: Vec<Tensor> = parts.collect::<candle_core::Result<_>>()?;
    // A single part would not be copied.
    if let [part] = parts.as_slice() {
        return Ok(part.copy()?);
    }
    Ok(Tensor::cat(&parts, 0)?)
}

impl candle_nn::Optimizer for VarOptimizer {
    /// The names of the variables in their order, and the rest.
    type Config = (Vec<String>, VarSettings);

    fn new(
        vars: Vec<Var>,
        (names, settings): (Vec<String>, VarSettings),
    ) -> candle_core::Result<Self> {
        let (variables, count) = (vars.len(), names.len());
        let named: BTreeMap<_, _> = names.into_iter().zip(vars).collect();
        if count != variables || named.len() != variables {
            let error = Error::Names {
                variables,
                names: count,
            };
            return Err(candle_core::Error::wrap(error));
        }
        Self::new(named, settings).map_err(candle_core::Error::wrap)
    }

    fn step(&mut self, gradients: &GradStore) -> candle_core::Result<()> {
        let gradient = self.gradient(gradients);
        gradient
            .and_then(|gradient| self.step_with(&gradient))
            .map_err(candle_core::Error::wrap)
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }
}
