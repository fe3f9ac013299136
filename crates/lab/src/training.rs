//! The training loop of one run, from wherever its directory says it stands.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use candle_core::{DType, Tensor};
use flatness_curvature::MeanLoss;
use flatness_data::Order;
use flatness_optim::{CoupledL2, Momentum, Optimizer as _, Schedule, Sgd};
use flatness_records::{EpochMetrics, OptimizerSpec, Run, ScheduleSpec, TrainSpec};

use crate::progress::Progress;
use crate::run_directory::{Clock, RunDirectory, State};
use crate::setting::Weights;

/// Weight of a new batch in the running statistics of batch-norm, as in `torch.nn.BatchNorm2d`.
const STATISTICS_MOMENTUM: f64 = 0.1;

/// How training ended.
pub(crate) enum Trained {
    /// All epochs are done.
    Completed { weights: Weights, clock: Clock },
    /// The loss or the parameters stopped being finite; `weights` are from before that epoch.
    Diverged {
        weights: Weights,
        clock: Clock,
        epoch: u32,
        learning_rate: f64,
    },
}

/// The optimiser of a spec with its rate and schedule.
struct Optimizer {
    sgd: Sgd<CoupledL2>,
    learning_rate: f64,
    schedule: Schedule,
}

impl Optimizer {
    fn new(train: &TrainSpec, theta: &Tensor) -> Result<Self> {
        let OptimizerSpec::Sgd {
            learning_rate,
            momentum,
            nesterov,
            weight_decay,
        } = train.optimizer;
        let momentum = if nesterov {
            Momentum::Nesterov(momentum)
        } else {
            Momentum::HeavyBall(momentum)
        };
        let schedule = match train.schedule {
            ScheduleSpec::Constant {} => Schedule::constant(),
            ScheduleSpec::Paper { ratio } => Schedule::paper(ratio)?,
        };
        Ok(Self {
            sgd: Sgd::new(momentum, CoupledL2::new(weight_decay)?, theta)?,
            learning_rate,
            schedule,
        })
    }

    fn rate(&self, epoch: u32, epochs: u32) -> f64 {
        self.learning_rate * self.schedule.factor(f64::from(epoch), f64::from(epochs))
    }
}

/// Trains `mean_loss` from `initial` for the run in `directory`. `measure` is called after every
/// epoch with the epochs done (and at 0 before the first) and returns the seconds it took. The state is
/// saved when `save_every` has passed since the last time.
pub(crate) fn train(
    run: &Run,
    mean_loss: &MeanLoss<'_>,
    initial: &Weights,
    directory: &RunDirectory,
    save_every: Duration,
    progress: Progress,
    mut measure: impl FnMut(u32, &Weights) -> Result<f64>,
) -> Result<Trained> {
    let spec = &run.spec().train;
    let mut weights = initial.copy()?;
    let mut optimizer = Optimizer::new(spec, &weights.theta)?;
    let mut clock = Clock::default();
    match directory.resume(initial.theta.device())? {
        Some(state) => {
            let restore = || {
                weights.theta.slice_set(&state.weights.theta, 0, 0)?;
                weights.buffers.slice_set(&state.weights.buffers, 0, 0)
            };
            restore().context("the saved state does not fit the network")?;
            optimizer.sgd.restore(&state.optimizer)?;
            clock = state.clock;
            progress.say(&format!("resuming after epoch {}", clock.epoch));
        }
        None => clock.measure_seconds += measure(0, &weights)?,
    }
    let examples = mean_loss.data().len();
    let seed = run.streams().seed("shuffle");
    let stage = progress.stage("training", "epochs", u64::from(spec.epochs));
    stage.advance(u64::from(clock.epoch), "");
    let mut saved = Instant::now();
    while clock.epoch < spec.epochs {
        let started = Instant::now();
        let before = weights.copy()?;
        let learning_rate = optimizer.rate(clock.epoch, spec.epochs);
        let order = Order::Shuffled {
            seed,
            epoch: u64::from(clock.epoch),
        };
        let indices = order.indices(u32::try_from(examples).context("more than 2^32 examples")?);
        let mut loss_sum = 0.0;
        for batch in indices.chunks(spec.batch_size) {
            let dropout_seed = run.streams().seed(&format!("dropout {}", clock.steps));
            let step = mean_loss.training_gradient(&weights.theta, batch, dropout_seed)?;
            loss_sum += step.evaluation.loss * batch.len() as f64;
            if !loss_sum.is_finite() {
                break;
            }
            (optimizer.sgd).step(&weights.theta, &step.gradient, learning_rate)?;
            weights.buffers = ((weights.buffers * (1.0 - STATISTICS_MOMENTUM))?
                + (step.statistics * STATISTICS_MOMENTUM)?)?;
            clock.steps += 1;
        }
        let parameter_norm = norm(&weights.theta)?;
        if !(loss_sum.is_finite() && parameter_norm.is_finite()) {
            let epoch = clock.epoch + 1;
            return Ok(Trained::Diverged {
                weights: before,
                clock,
                epoch,
                learning_rate,
            });
        }
        clock.epoch += 1;
        let seconds = started.elapsed().as_secs_f64();
        clock.train_seconds += seconds;
        let running_loss = loss_sum / examples as f64;
        let epoch = clock.epoch;
        directory.add_metrics(&EpochMetrics {
            epoch,
            learning_rate,
            running_loss,
            parameter_norm,
            seconds,
        })?;
        if epoch < spec.epochs {
            clock.measure_seconds += measure(epoch, &weights)?;
        }
        if saved.elapsed() >= save_every || epoch == spec.epochs {
            directory.save(&State {
                weights: weights.clone(),
                optimizer: optimizer.sgd.state()?,
                clock,
            })?;
            saved = Instant::now();
        }
        stage.advance(1, &format!("loss {running_loss:.4}"));
    }
    Ok(Trained::Completed { weights, clock })
}

/// Euclidean norm of a vector, summed in double precision.
pub(crate) fn norm(vector: &Tensor) -> Result<f64> {
    Ok(vector
        .to_dtype(DType::F64)?
        .sqr()?
        .sum_all()?
        .to_scalar::<f64>()?
        .sqrt())
}
