//! The training loop of one run, from wherever its directory says it stands.

mod averaging;
mod course;
mod interruption;
mod optimizer;
mod step;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flatness_curvature::MeanLoss;
use flatness_data::{Dataset, Order};
use flatness_kernels::norm;
use flatness_models::checkpoint;
use flatness_records::{EpochEvaluation, EpochMetrics, Interval, Outcome, Run, TrainSpec};

use self::averaging::Averaging;
use self::course::Course;
pub(crate) use self::interruption::{Interrupted, Interruption};
use crate::progress::{Progress, epoch_message};
use crate::run_directory::{Position, RunDirectory};
use crate::setting::Weights;

/// What training leaves behind, unless a signal ends it: that is the error [`Interrupted`].
pub(crate) struct Trained {
    /// Those of the last step; where training diverged, those before that epoch.
    pub(crate) weights: Weights,
    /// That of the iterates, where training was completed.
    pub(crate) average: Option<Weights>,
    pub(crate) position: Position,
    pub(crate) outcome: Outcome,
}

/// What training needs besides its initial parameters.
pub(crate) struct Trainer<'a> {
    pub(crate) run: &'a Run,
    /// Over the training examples as they are.
    pub(crate) mean_loss: &'a MeanLoss<'a>,
    /// The training examples.
    pub(crate) examples: &'a Dataset,
    pub(crate) directory: &'a RunDirectory,
    /// Time between two saved states.
    pub(crate) save_every: Duration,
    pub(crate) progress: Progress,
    pub(crate) interruption: &'a Interruption,
    /// Loss and accuracies over every split.
    pub(crate) evaluate: &'a dyn Fn(&Weights) -> Result<EpochEvaluation>,
}

impl Trainer<'_> {
    /// Trains from `initial`. Where the spec asks for a measurement, `measure` is called with the epochs
    /// done and returns the seconds it took.
    pub(crate) fn train(
        &self,
        initial: &Weights,
        mut measure: impl FnMut(u32, &Weights) -> Result<f64>,
    ) -> Result<Trained> {
        let spec = self.spec();
        let mut course = self.begin(initial)?;
        let stage = (self.progress).stage("training", "epochs", u64::from(spec.epochs));
        stage.skip(u64::from(course.position.epoch));
        while course.position.epoch < spec.epochs {
            if course.position.batch == 0 {
                self.measure(&mut course, &mut measure)?;
            }
            if let Some(outcome) = self.epoch(&mut course)? {
                self.interruption.set_stepping(false);
                return Ok(course.end(outcome));
            }
            let metrics = self.end_epoch(&mut course)?;
            stage.advance(1, &epoch_message(&metrics));
        }
        self.save(&mut course)?;
        self.interruption.set_stepping(false);
        self.pause(&mut course)?;
        let average = course
            .averaging
            .map(|averaging| averaging.weights(self.mean_loss, &course.weights))
            .transpose()?;
        Ok(Trained {
            weights: course.weights,
            average,
            position: course.position,
            outcome: Outcome::Completed,
        })
    }

    fn spec(&self) -> &TrainSpec {
        &self.run.spec().train
    }

    /// The course from the newest state, or from the beginning.
    fn begin(&self, initial: &Weights) -> Result<Course> {
        let spec = self.spec();
        let weights = initial.copy()?;
        let network = self.mean_loss.network();
        let averaging = (spec.average.as_ref())
            .map(|average| Averaging::new(average, &weights.theta))
            .transpose()?;
        let mut course = Course {
            optimizer: optimizer::optimizer(spec, network, &weights.theta)?,
            before: weights.copy()?,
            weights,
            averaging,
            position: Position::default(),
            saved: Instant::now(),
            saved_at: None,
        };
        if let Some(state) = self.directory.resume(initial.theta.device())? {
            course.restore(&state)?;
            let Position { epoch, steps, .. } = course.position;
            tracing::info!(epoch, steps, "resuming");
            self.progress
                .say(&format!("resuming after epoch {epoch}, step {steps}"));
        }
        Ok(course)
    }

    /// Calls `measure` where the spec asks for it. The state is saved first, for a measurement may be
    /// long, and ends at once by a signal.
    fn measure(
        &self,
        course: &mut Course,
        measure: &mut impl FnMut(u32, &Weights) -> Result<f64>,
    ) -> Result<()> {
        let epoch = course.position.epoch;
        let spec = self.run.spec().measure.as_ref();
        if spec.is_some_and(|spec| spec.epochs.contains(&epoch)) {
            if epoch > 0 {
                self.save(course)?;
            }
            self.interruption.set_stepping(false);
            // A signal that came before that has found nobody else.
            self.pause(course)?;
            course.position.measure_seconds += measure(epoch, &course.weights)?;
        }
        Ok(())
    }

    /// The steps of the epoch that are not done yet; an outcome when they diverge.
    fn epoch(&self, course: &mut Course) -> Result<Option<Outcome>> {
        let spec = self.spec();
        let epoch = course.position.epoch;
        self.interruption.set_stepping(true);
        let learning_rate = optimizer::rate(spec, epoch)?;
        let augmented = self.augmented(epoch)?;
        let over_augmented = augmented
            .as_ref()
            .map(|augmented| self.mean_loss.over(augmented))
            .transpose()?;
        let mean_loss = over_augmented.as_ref().unwrap_or(self.mean_loss);
        let order = Order::Shuffled {
            seed: self.run.streams().seed("shuffle"),
            epoch: u64::from(epoch),
        };
        let examples = u32::try_from(self.examples()).context("more than 2^32 examples")?;
        let indices = order.indices(examples);
        let mut loss = 0.0;
        for batch in indices.chunks(spec.batch_size).skip(course.position.batch) {
            if course.position.batch > 0 {
                self.pause(course)?;
            }
            let started = Instant::now();
            loss = self.step(course, mean_loss, batch, learning_rate)?;
            course.position.epoch_seconds += started.elapsed().as_secs_f64();
            if !loss.is_finite() {
                let step = course.position.steps + 1;
                let norm = norm(&course.weights.theta)?;
                return Ok(Some(course.diverged(step, learning_rate, loss, norm)));
            }
            course.position.batch += 1;
        }
        let norm = norm(&course.weights.theta)?;
        let step = course.position.steps;
        Ok((!norm.is_finite()).then(|| course.diverged(step, learning_rate, loss, norm)))
    }

    /// Writes what an epoch leaves behind, and goes on to the next.
    fn end_epoch(&self, course: &mut Course) -> Result<EpochMetrics> {
        let spec = self.spec();
        let Weights { theta, buffers } = &course.weights;
        if let Some(averaging) = &mut course.averaging {
            averaging.add(Interval::Epoch, course.position.epoch, theta)?;
        }
        let examples = self.examples() as f64;
        let position = course.position;
        let epoch = position.epoch + 1;
        let wanted = (spec.evaluate_every)
            .is_some_and(|every| epoch.is_multiple_of(every) || epoch == spec.epochs);
        let average = (course.averaging.as_ref())
            .filter(|averaging| wanted && averaging.has_begun())
            .map(|averaging| averaging.weights(self.mean_loss, &course.weights))
            .transpose()?;
        let evaluate = |weights| (self.evaluate)(weights);
        let metrics = EpochMetrics {
            epoch,
            evaluation: wanted.then(|| evaluate(&course.weights)).transpose()?,
            average_evaluation: average.as_ref().map(evaluate).transpose()?,
            learning_rate: optimizer::rate(spec, position.epoch)?,
            running_loss: position.loss_sum / examples,
            running_accuracy: Some(position.correct / examples),
            examples_per_second: Some(examples / position.epoch_seconds),
            parameter_norm: norm(theta)?,
            seconds: position.epoch_seconds,
        };
        self.directory.add_metrics(&metrics)?;
        tracing::info!(
            epoch,
            loss = metrics.running_loss,
            accuracy = metrics.running_accuracy,
            seconds = metrics.seconds,
            "epoch done"
        );
        let keep = (spec.checkpoint_every).is_some_and(|every| epoch.is_multiple_of(every));
        if keep {
            let network = self.mean_loss.network();
            let name = &self.run.spec().model.name;
            let bytes = checkpoint::encode(network, theta, buffers, name)?;
            self.directory.write_epoch(epoch, &bytes)?;
        }
        course.before = course.weights.copy()?;
        course.position = Position {
            epoch,
            steps: position.steps,
            train_seconds: position.train_seconds + position.epoch_seconds,
            measure_seconds: position.measure_seconds,
            ..Position::default()
        };
        if keep {
            self.save(course)?;
        }
        self.pause(course)?;
        Ok(metrics)
    }

    /// Between two steps: saves the state when it is time or a signal asks for the end.
    fn pause(&self, course: &mut Course) -> Result<()> {
        let signal = self.interruption.signal();
        if signal.is_none() && course.saved.elapsed() < self.save_every {
            return Ok(());
        }
        // A state that is not finite is none to go on from; the next step will find it out.
        if !norm(&course.weights.theta)?.is_finite() {
            return Ok(());
        }
        self.save(course)?;
        let Position { epoch, steps, .. } = course.position;
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

    fn save(&self, course: &mut Course) -> Result<()> {
        let at = Some((course.position.epoch, course.position.batch));
        if course.saved_at != at {
            self.directory.save(&course.state()?)?;
            course.saved_at = at;
        }
        course.saved = Instant::now();
        Ok(())
    }

    fn examples(&self) -> usize {
        self.mean_loss.data().len()
    }
}
