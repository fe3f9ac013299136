//! The training loop of one run, from wherever its directory says it stands.

mod averaging;
mod interruption;
mod memory;
mod optimizer;
mod step;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flatness_curvature::MeanLoss;
use flatness_data::{Dataset, Order};
use flatness_kernels::norm;
use flatness_models::checkpoint;
use flatness_optim::Optimizer;
use flatness_records::{
    EpochEvaluation, EpochMetrics, Interval, Outcome, Run, Segment, SplitEvaluation, TrainSpec,
};

use self::averaging::Averaging;
pub(crate) use self::interruption::{Interrupted, listen, listen_to_input};
use self::interruption::{set_stepping, signal};
pub(crate) use self::memory::check as check_memory;
pub(crate) use self::optimizer::dose;
use crate::evaluation::Evaluated;
use crate::progress::Progress;
use crate::run_directory::{Position, RunDirectory, State};
use flatness_engine::Weights;

/// What training leaves behind, unless a signal ends it: that is the error [`Interrupted`].
pub(crate) struct Trained {
    /// Those of the last step; where training diverged, those before that epoch.
    pub(crate) weights: Weights,
    pub(crate) evaluation: Evaluated,
    /// The average of the iterates, where training was completed.
    pub(crate) average: Option<(Weights, Evaluated)>,
    pub(crate) position: Position,
    pub(crate) segments: Vec<Segment>,
    pub(crate) outcome: Outcome,
}

/// What training needs besides its initial parameters.
pub(crate) struct Setup<'a> {
    pub(crate) run: &'a Run,
    /// Over the training examples as they are.
    pub(crate) mean_loss: &'a MeanLoss<'a>,
    /// The training examples, where they are images that can be changed at random.
    pub(crate) images: Option<&'a Dataset>,
    pub(crate) directory: &'a RunDirectory,
    /// This program on this machine.
    pub(crate) segment: Segment,
    /// Time between two saved states.
    pub(crate) save_every: Duration,
    pub(crate) progress: Progress,
    /// Loss and accuracies over every split.
    pub(crate) evaluate: &'a dyn Fn(&Weights) -> Result<Evaluated>,
    /// Measures after so many epochs, where the spec asks for it; the seconds that it took.
    pub(crate) measure: &'a dyn Fn(u32, &Weights) -> Result<f64>,
}

/// Where training is: all that a state holds, and when the last one was saved.
pub(crate) struct Trainer<'a> {
    setup: Setup<'a>,
    weights: Weights,
    /// Those at the beginning of the epoch.
    before: Weights,
    optimizer: Box<dyn Optimizer>,
    averaging: Option<Averaging>,
    position: Position,
    segments: Vec<Segment>,
    saved: Instant,
    /// The position of the newest state.
    saved_at: Option<(u32, usize)>,
}

impl<'a> Trainer<'a> {
    /// Begins at `initial`, or goes on from the newest state.
    pub(crate) fn new(setup: Setup<'a>, initial: &Weights) -> Result<Self> {
        let spec = &setup.run.spec().train;
        let weights = initial.copy()?;
        let averaging = (spec.average.as_ref())
            .map(|average| Averaging::new(average, &weights.theta))
            .transpose()?;
        let mut trainer = Self {
            optimizer: optimizer::optimizer(spec, setup.mean_loss.network(), &weights.theta)?,
            before: weights.copy()?,
            weights,
            averaging,
            position: Position::default(),
            segments: Vec::new(),
            saved: Instant::now(),
            saved_at: None,
            setup,
        };
        let measured = trainer.setup.run.spec().measure.as_ref();
        let measured = measured.map_or(&[][..], |measure| &measure.epochs);
        let state = (trainer.setup.directory).resume(initial.theta.device(), measured)?;
        if let Some(state) = state {
            (trainer.restore(state)).context("the saved state does not fit the run")?;
            let Position { epoch, steps, .. } = trainer.position;
            tracing::info!(epoch, steps, "resuming");
            let progress = trainer.setup.progress;
            progress.say(&format!("resuming after epoch {epoch}, step {steps}"));
        }
        let last = trainer.segments.last();
        if !last.is_some_and(|last| last.is_like(&trainer.setup.segment)) {
            trainer.segments.push(Segment {
                from_step: trainer.position.steps,
                ..trainer.setup.segment.clone()
            });
        }
        Ok(trainer)
    }

    fn restore(&mut self, state: State) -> Result<()> {
        self.weights.set(&state.weights)?;
        self.before.set(&state.before)?;
        self.optimizer.restore(&state.optimizer)?;
        if let (Some(averaging), Some(average)) = (&mut self.averaging, &state.average) {
            averaging.restore(average)?;
        }
        self.position = state.position;
        self.segments = state.segments;
        self.saved_at = Some((self.position.epoch, self.position.batch));
        Ok(())
    }

    /// Trains to the end.
    pub(crate) fn train(mut self) -> Result<Trained> {
        let epochs = self.spec().epochs;
        let stage = (self.setup.progress).stage("training", "epochs", u64::from(epochs));
        stage.skip(u64::from(self.position.epoch));
        let mut outcome = Outcome::Completed;
        while self.position.epoch < epochs && outcome == Outcome::Completed {
            if self.position.batch == 0 {
                self.measure()?;
            }
            match self.epoch()? {
                Some(diverged) => {
                    outcome = diverged;
                    self.position.train_seconds += self.position.epoch_seconds;
                }
                None => stage.advance(1, &message(&self.end_epoch()?)),
            }
        }
        if outcome == Outcome::Completed {
            self.save()?;
            set_stepping(false);
            self.pause()?;
        }
        set_stepping(false);
        // At the beginning of an epoch its parameters are those before it, too.
        let evaluation = (self.setup.evaluate)(&self.before)?;
        if let (Outcome::Completed, Some(loss)) = (&outcome, not_finite(&evaluation.splits)) {
            let rate = optimizer::rate(self.spec(), epochs - 1)?;
            let norm = norm(&self.weights.theta)?;
            outcome = diverged(epochs, self.position.steps, rate, loss, norm);
        }
        let average = match (&self.averaging, &outcome) {
            (Some(averaging), Outcome::Completed) => {
                let weights = averaging.weights(self.setup.mean_loss, &self.weights)?;
                let evaluation = (self.setup.evaluate)(&weights)?;
                Some((weights, evaluation))
            }
            _ => None,
        };
        Ok(Trained {
            weights: self.before,
            evaluation,
            average,
            position: self.position,
            segments: self.segments,
            outcome,
        })
    }

    fn spec(&self) -> &'a TrainSpec {
        &self.setup.run.spec().train
    }

    /// Measures where the spec asks for it. The state is saved first, for a measurement may be
    /// long, and ends at once by a signal.
    fn measure(&mut self) -> Result<()> {
        let epoch = self.position.epoch;
        let spec = self.setup.run.spec().measure.as_ref();
        if spec.is_some_and(|spec| spec.epochs.contains(&epoch)) {
            if epoch > 0 {
                self.save()?;
            }
            set_stepping(false);
            // A signal that came before that has found nobody else.
            self.pause()?;
            self.position.measure_seconds += (self.setup.measure)(epoch, &self.weights)?;
        }
        Ok(())
    }

    /// The steps of the epoch that are not done yet; an outcome when they diverge.
    fn epoch(&mut self) -> Result<Option<Outcome>> {
        let spec = self.spec();
        let epoch = self.position.epoch;
        set_stepping(true);
        let rate = optimizer::rate(spec, epoch)?;
        let augmented = self.augmented(epoch)?;
        let mean_loss = self.setup.mean_loss;
        let over_augmented = augmented
            .as_ref()
            .map(|augmented| mean_loss.over(augmented))
            .transpose()?;
        let mean_loss = over_augmented.as_ref().unwrap_or(mean_loss);
        let order = Order::Shuffled {
            seed: self.setup.run.streams().seed("shuffle"),
            epoch: u64::from(epoch),
        };
        let examples = u32::try_from(self.examples()).context("more than 2^32 examples")?;
        let indices = order.indices(examples);
        let mut loss = 0.0;
        for batch in indices.chunks(spec.batch_size).skip(self.position.batch) {
            if self.position.batch > 0 {
                self.pause()?;
            }
            let started = Instant::now();
            loss = self.step(mean_loss, batch, rate)?;
            self.position.epoch_seconds += started.elapsed().as_secs_f64();
            if !loss.is_finite() {
                let step = self.position.steps + 1;
                let norm = norm(&self.weights.theta)?;
                return Ok(Some(diverged(epoch + 1, step, rate, loss, norm)));
            }
            self.position.batch += 1;
        }
        let started = Instant::now();
        // A device may still be at the last step, whose loss alone was waited for.
        self.weights.theta.device().synchronize()?;
        self.position.epoch_seconds += started.elapsed().as_secs_f64();
        let norm = norm(&self.weights.theta)?;
        let step = self.position.steps;
        Ok((!norm.is_finite()).then(|| diverged(epoch + 1, step, rate, loss, norm)))
    }

    /// Writes what an epoch leaves behind, and goes on to the next.
    fn end_epoch(&mut self) -> Result<EpochMetrics> {
        let spec = self.spec();
        let Weights { theta, buffers } = &self.weights;
        if let Some(averaging) = &mut self.averaging {
            averaging.add(Interval::Epoch, self.position.epoch, theta)?;
        }
        let examples = self.examples() as f64;
        let position = self.position;
        let epoch = position.epoch + 1;
        let wanted = (spec.evaluate_every)
            .is_some_and(|every| epoch.is_multiple_of(every) || epoch == spec.epochs);
        let average = (self.averaging.as_ref())
            .filter(|averaging| wanted && averaging.has_begun())
            .map(|averaging| averaging.weights(self.setup.mean_loss, &self.weights))
            .transpose()?;
        let evaluate = |weights: &Weights| (self.setup.evaluate)(weights).map(|of| of.splits);
        let metrics = EpochMetrics {
            epoch,
            evaluation: wanted.then(|| evaluate(&self.weights)).transpose()?,
            average_evaluation: average.as_ref().map(evaluate).transpose()?,
            learning_rate: optimizer::rate(spec, position.epoch)?,
            running_loss: position.loss_sum / examples,
            running_accuracy: (self.setup.mean_loss.data().is_classified())
                .then_some(position.correct / examples),
            examples_per_second: examples / position.epoch_seconds,
            parameter_norm: norm(theta)?,
            seconds: position.epoch_seconds,
        };
        self.setup.directory.add_metrics(&metrics)?;
        tracing::info!(
            epoch,
            loss = metrics.running_loss,
            accuracy = ?metrics.running_accuracy,
            seconds = metrics.seconds,
            "epoch done"
        );
        let keep = (spec.checkpoint_every).is_some_and(|every| epoch.is_multiple_of(every));
        if keep {
            let network = self.setup.mean_loss.network();
            let name = &self.setup.run.spec().model.name;
            let bytes = checkpoint::encode(network, theta, buffers, name)?;
            let name = format!("checkpoint-{epoch}.safetensors");
            self.setup.directory.write(&name, &bytes)?;
        }
        self.before = self.weights.copy()?;
        self.position = Position {
            epoch,
            steps: position.steps,
            train_seconds: position.train_seconds + position.epoch_seconds,
            measure_seconds: position.measure_seconds,
            ..Position::default()
        };
        if keep {
            self.save()?;
        }
        self.pause()?;
        Ok(metrics)
    }

    /// Between two steps: saves the state when it is time or a signal asks for the end.
    fn pause(&mut self) -> Result<()> {
        let signal = signal();
        if signal.is_none() && self.saved.elapsed() < self.setup.save_every {
            return Ok(());
        }
        // A state that is not finite is none to go on from; the next step will find it out.
        if !norm(&self.weights.theta)?.is_finite() {
            return Ok(());
        }
        self.save()?;
        let Position { epoch, steps, .. } = self.position;
        match signal {
            None => Ok(()),
            Some(signal) => Err(Interrupted {
                signal,
                epoch,
                steps,
            }
            .into()),
        }
    }

    fn save(&mut self) -> Result<()> {
        let at = Some((self.position.epoch, self.position.batch));
        if self.saved_at != at {
            let averaging = self.averaging.as_ref();
            self.setup.directory.save(&State {
                origin: self.setup.directory.origin().clone(),
                segments: self.segments.clone(),
                weights: self.weights.clone(),
                before: self.before.clone(),
                optimizer: self.optimizer.state()?,
                average: averaging.map(Averaging::state).transpose()?,
                position: self.position,
            })?;
            self.saved_at = at;
        }
        self.saved = Instant::now();
        Ok(())
    }

    fn examples(&self) -> usize {
        self.setup.mean_loss.data().len()
    }
}

/// A loss of `evaluation` that is not finite.
fn not_finite(evaluation: &EpochEvaluation) -> Option<f64> {
    let EpochEvaluation {
        train,
        validation,
        test,
    } = evaluation;
    let splits = [Some(train), validation.as_ref(), test.as_ref()];
    let mut losses = splits
        .into_iter()
        .flatten()
        .map(|split: &SplitEvaluation| split.loss);
    losses.find(|loss| !loss.is_finite())
}

fn diverged(epoch: u32, step: u64, learning_rate: f64, loss: f64, parameter_norm: f64) -> Outcome {
    tracing::error!(epoch, step, learning_rate, loss, parameter_norm, "diverged");
    Outcome::Diverged {
        epoch,
        learning_rate,
        step,
        loss,
        parameter_norm,
    }
}

/// What to say of an epoch.
fn message(metrics: &EpochMetrics) -> String {
    let accuracy = (metrics.running_accuracy)
        .map(|share| format!(", accuracy {:.2} %", 100.0 * share))
        .unwrap_or_default();
    format!(
        "loss {:.4}{accuracy}, {:.0} examples/s",
        metrics.running_loss, metrics.examples_per_second
    )
}
