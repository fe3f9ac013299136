//! Averages of iterates: plain accumulators over any vector.
//!
//! ```text
//! uniform       ā <- ā + (θ - ā) / n                              n-th iterate behind the start
//! exponential   ā <- θ, then ā <- d ā + (1 - d) θ
//! tail          ā_t = (1 / min(k, t)) Σ_{s = max(1, t - k + 1)}^{t} θ_s
//! ```
//!
//! Uniform: Polyak-Ruppert averaging from a start, the SWA of Izmailov et al. (2018) and the iterate
//! average (IA) of Gadam. `torch.optim.swa_utils.AveragedModel` has the same recursion; Gadam's
//! software writes it as ā n / (n + 1) + θ / (n + 1). Both keep ā in single precision.
//!
//! Exponential: `torch.optim.swa_utils.get_ema_multi_avg_fn`, which begins at the first iterate.
//! Averages that begin at zero and divide by 1 - d^t (as Adam's moments) weigh the first iterates
//! less.
//!
//! Tail: as in Jain et al. (2018), with a window that moves. The window is kept and summed when the
//! average is asked for: adding and subtracting at both ends would pile up roundings, and would leave
//! NaN for ever. So it takes k vectors of memory.
//!
//! Means are kept in double precision whatever the iterates are: with the share 1/k of a late
//! iterate, single precision rounds its whole contribution away when k reaches 2^24, and drifts long
//! before. What a step is, a batch or an epoch, is the caller's choice.
//!
//! The named methods are compositions: SWA is [`Sgd`](crate::Sgd) with a uniform average, Gadam
//! [`Adam`](crate::Adam) with decoupled decay and GadamX Padam with one. Batch-norm statistics belong
//! to the parameters they were taken at, so they are taken anew at an average.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use candle_core::{DType, Tensor};
use flatness_kernels::{Elementwise, Number, update_elements};

use crate::checks::Form;
use crate::{Error, State, checks};

/// An average of the iterates seen so far; its state is the vector `mean` (f64) or, of a tail, the
/// vectors `iterate_0`, the oldest, and so on.
#[derive(Debug)]
pub struct Average {
    kind: Kind,
    seen: u64,
    /// That of the iterates.
    form: Form,
}

#[derive(Debug)]
enum Kind {
    Mean {
        /// (P), f64.
        mean: Tensor,
        weights: Weights,
    },
    Tail {
        window: NonZeroUsize,
        /// The last iterates, oldest first: (P) each.
        iterates: VecDeque<Tensor>,
    },
}

#[derive(Debug, Clone, Copy)]
enum Weights {
    /// Equal behind this many iterates, which are passed over.
    Uniform { start: u64 },
    /// Falling by this factor.
    Exponential { decay: f64 },
}

impl Average {
    /// The uniform average of vectors like `like` (P) without the first `start` iterates. In the
    /// paper's runs one iterate comes at the end of each of 300 epochs and `start` is 161, so 139
    /// count.
    ///
    /// # Errors
    /// [`Error::NumberType`] or a device error.
    pub fn uniform(start: u64, like: &Tensor) -> Result<Self, Error> {
        Self::mean(Weights::Uniform { start }, like)
    }

    /// The exponential average of vectors like `like` (P) with the decay d in [0, 1): about
    /// 1 / (1 - d) iterates count.
    ///
    /// # Errors
    /// [`Error::Range`], [`Error::NumberType`] or a device error.
    pub fn exponential(decay: f64, like: &Tensor) -> Result<Self, Error> {
        checks::from_zero_below_one("the decay of the average", decay)?;
        Self::mean(Weights::Exponential { decay }, like)
    }

    /// The uniform average of the last `window` vectors like `like` (P).
    ///
    /// # Errors
    /// [`Error::NumberType`].
    pub fn tail(window: NonZeroUsize, like: &Tensor) -> Result<Self, Error> {
        let iterates = VecDeque::new();
        Self::new(Kind::Tail { window, iterates }, like)
    }

    fn mean(weights: Weights, like: &Tensor) -> Result<Self, Error> {
        let mean = zero_mean(like)?;
        Self::new(Kind::Mean { mean, weights }, like)
    }

    fn new(kind: Kind, like: &Tensor) -> Result<Self, Error> {
        checks::number_type(like)?;
        let form = Form::of(like);
        Ok(Self {
            kind,
            seen: 0,
            form,
        })
    }

    /// Takes the next iterate (P); it is copied.
    ///
    /// # Errors
    /// [`Error::Vector`], [`Error::Strided`] or a device error.
    pub fn add(&mut self, iterate: &Tensor) -> Result<(), Error> {
        self.form.check("iterate", iterate)?;
        checks::contiguous("iterate", iterate)?;
        match &mut self.kind {
            Kind::Mean { mean, weights } => {
                let share = match *weights {
                    Weights::Uniform { start } if self.seen < start => None,
                    Weights::Uniform { start } => Some(1.0 / (self.seen - start + 1) as f64),
                    Weights::Exponential { .. } if self.seen == 0 => Some(1.0),
                    Weights::Exponential { decay } => Some(1.0 - decay),
                };
                if let Some(share) = share {
                    move_towards(mean, iterate, share)?;
                }
            }
            Kind::Tail { window, iterates } => {
                let iterate = iterate.copy()?;
                if iterates.len() == window.get() {
                    iterates.pop_front();
                }
                iterates.push_back(iterate);
            }
        }
        self.seen += 1;
        Ok(())
    }

    /// Number of iterates with a share in the average.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.kind {
            Kind::Mean { weights, .. } => match *weights {
                Weights::Uniform { start } => self.seen.saturating_sub(start),
                Weights::Exponential { .. } => self.seen,
            },
            Kind::Tail { iterates, .. } => iterates.len() as u64,
        }
    }

    /// The average (P) in the number type of the iterates.
    ///
    /// # Errors
    /// [`Error::NoIterates`] when nothing has been averaged, or a device error.
    pub fn average(&self) -> Result<Tensor, Error> {
        if self.count() == 0 {
            return Err(Error::NoIterates);
        }
        let mean = match &self.kind {
            Kind::Mean { mean, .. } => mean.clone(),
            Kind::Tail { iterates, .. } => {
                let mean = zero_mean(&iterates[0])?;
                for (before, iterate) in iterates.iter().enumerate() {
                    move_towards(&mean, iterate, 1.0 / (before + 1) as f64)?;
                }
                mean
            }
        };
        // A copy even where the number type stays, since the mean goes on changing.
        Ok(mean.to_dtype(self.form.dtype)?.copy()?)
    }

    /// A copy of all that the next average depends on.
    pub fn state(&self) -> Result<State, Error> {
        match &self.kind {
            Kind::Mean { mean, .. } => State::of(self.seen, [("mean", mean)]),
            Kind::Tail { iterates, .. } => {
                let named = iterates.iter().enumerate();
                State::of(
                    self.seen,
                    named.map(|(place, iterate)| (name(place), iterate)),
                )
            }
        }
    }

    /// Goes on from a saved state, with the same bits as if there had been no pause.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Unexpected`] or [`Error::Vector`], and nothing has changed then.
    pub fn restore(&mut self, state: &State) -> Result<(), Error> {
        match &mut self.kind {
            Kind::Mean { mean, .. } => state.restore([("mean", mean)])?,
            Kind::Tail { window, iterates } => {
                let kept = state.steps.min(window.get() as u64) as usize;
                let forms = (0..kept).map(|place| (name(place), self.form.clone()));
                *iterates = state.copies(forms)?.into();
            }
        }
        self.seen = state.steps;
        Ok(())
    }
}

fn name(place: usize) -> String {
    format!("iterate_{place}")
}

/// The zero mean of vectors like `like`.
fn zero_mean(like: &Tensor) -> Result<Tensor, Error> {
    Ok(Tensor::zeros(like.shape(), DType::F64, like.device())?)
}

/// mean <- mean + share (iterate - mean).
fn move_towards(mean: &Tensor, iterate: &Tensor, share: f64) -> Result<(), Error> {
    let all = 0..mean.elem_count();
    update_elements([mean], [iterate], &[(all, Move(share))])?;
    Ok(())
}

/// By this share.
struct Move(f64);

impl Elementwise<1, 1, 1> for Move {
    const NAME: &'static str = "average";

    fn constants(&self) -> [f64; 1] {
        [self.0]
    }

    #[inline(always)]
    fn apply<X: Number>(&self, [share]: &[X; 1], [mean]: &[X; 1], [iterate]: &[X; 1]) -> [X; 1] {
        [mean.plus(&share.times(&iterate.minus(mean)))]
    }
}
