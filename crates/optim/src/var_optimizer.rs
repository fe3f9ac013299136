//! Any optimiser of this crate as a `candle_nn::Optimizer` over the variables of a candle model.
//!
//! The variables are gathered into one flat vector θ in the order they are given, changed there, and
//! written back: clipping, ranges without decay, averages and SAM work on the model's θ as on any
//! other. The two passes over memory are small beside a backward pass. A variable that the loss does
//! not reach has a zero gradient, so momentum and decay still move it; candle and `torch` leave it
//! out.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use crate::checks::Form;
use crate::{Error, Optimizer, SharpnessAware};

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

/// An optimiser over variables.
#[derive(Debug)]
pub struct VarOptimizer {
    vars: Vec<Var>,
    optimizer: Box<dyn Optimizer>,
    learning_rate: f64,
}

impl VarOptimizer {
    /// θ (P): a copy of the variables.
    ///
    /// # Errors
    /// A device error.
    pub fn theta(&self) -> Result<Tensor, Error> {
        gather(self.vars.iter().map(|var| var.flatten_all()))
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
    ///
    /// # Errors
    /// A device error.
    pub fn gradient(&self, gradients: &GradStore) -> Result<Tensor, Error> {
        gather(self.vars.iter().map(|var| match gradients.get(var) {
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

    /// The optimiser of θ, whose state can be saved and restored.
    #[must_use]
    pub fn optimizer(&mut self) -> &mut dyn Optimizer {
        &mut *self.optimizer
    }

    fn scatter(&self, theta: &Tensor) -> Result<(), Error> {
        let mut start = 0;
        for var in &self.vars {
            let length = var.elem_count();
            var.set(&theta.narrow(0, start, length)?.reshape(var.shape())?)?;
            start += length;
        }
        Ok(())
    }
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
    type Config = VarSettings;

    /// Takes the floating-point ones of `vars`, as candle's own optimisers do.
    fn new(vars: Vec<Var>, settings: VarSettings) -> candle_core::Result<Self> {
        let floats = vars.into_iter().filter(|var| var.dtype().is_float());
        let vars: Vec<Var> = floats.collect();
        let theta = gather(vars.iter().map(|var| var.flatten_all()));
        let optimizer = theta.and_then(|theta| (settings.make)(&theta));
        Ok(Self {
            vars,
            optimizer: optimizer.map_err(candle_core::Error::wrap)?,
            learning_rate: settings.learning_rate,
        })
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
