//! The uniform average of the last k iterates.
//!
//! ```text
//! ā_t = (1 / min(k, t)) Σ_{s = max(1, t - k + 1)}^{t} θ_s
//! ```
//!
//! Tail averaging as in Jain et al. (2018), with a window that moves. The window is kept and summed
//! when the average is asked for: adding and subtracting at both ends would pile up roundings, and
//! would leave NaN for ever. So it takes k vectors of memory.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use candle_core::Tensor;

use super::{Average, Mean, check};
use crate::checks::Form;
use crate::{Error, State, checks};

/// Average over a window; its state is the vectors `iterate_0`, the oldest, and so on.
#[derive(Debug)]
pub struct TailAverage {
    window: NonZeroUsize,
    seen: u64,
    /// The last iterates, oldest first: (P) each.
    iterates: VecDeque<Tensor>,
    form: Form,
}

impl TailAverage {
    /// The average of the last `window` vectors like `like` (P).
    ///
    /// # Errors
    /// [`Error::NumberType`].
    pub fn new(window: NonZeroUsize, like: &Tensor) -> Result<Self, Error> {
        checks::number_type(like)?;
        Ok(Self {
            window,
            seen: 0,
            iterates: VecDeque::new(),
            form: Form::of(like),
        })
    }
}

impl Average for TailAverage {
    fn add(&mut self, iterate: &Tensor) -> Result<(), Error> {
        check(iterate, &self.form)?;
        let iterate = iterate.copy()?;
        if self.iterates.len() == self.window.get() {
            self.iterates.pop_front();
        }
        self.iterates.push_back(iterate);
        self.seen += 1;
        Ok(())
    }

    fn count(&self) -> u64 {
        self.iterates.len() as u64
    }

    fn average(&self) -> Result<Tensor, Error> {
        let Some(first) = self.iterates.front() else {
            return Err(Error::NoIterates);
        };
        let mean = Mean::new(first)?;
        for (before, iterate) in self.iterates.iter().enumerate() {
            mean.move_towards(iterate, 1.0 / (before + 1) as f64)?;
        }
        mean.rounded()
    }

    fn state(&self) -> Result<State, Error> {
        let copies = self.iterates.iter().enumerate().map(|(place, iterate)| {
            let copy = iterate.copy()?;
            Ok((name(place), copy))
        });
        Ok(State {
            steps: self.seen,
            vectors: copies.collect::<Result<_, Error>>()?,
        })
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        let window = self.window.get() as u64;
        let names: Vec<String> = (0..state.steps.min(window) as usize).map(name).collect();
        if let Some(name) = state.vectors.keys().find(|key| !names.contains(key)) {
            return Err(Error::Unexpected { name: name.clone() });
        }
        let copies = names.iter().map(|name| {
            let saved = state.get(name)?;
            self.form.check(name, saved)?;
            Ok(saved.copy()?)
        });
        self.iterates = copies.collect::<Result<_, Error>>()?;
        self.seen = state.steps;
        Ok(())
    }
}

fn name(place: usize) -> String {
    format!("iterate_{place}")
}
