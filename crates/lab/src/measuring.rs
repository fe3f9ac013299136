//! The engine at work for this program: its memory, its clock, its progress bars.

use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use flatness_engine::{Found, JournalFile, Observer, Subject, Weights};
use flatness_records::{Measured, Request, Run, Segment, Streams};

use crate::environment;
use crate::progress::{Progress, Stage};
use crate::setting::{Machine, Model};
use crate::source::Splits;

/// Progress of a measurement.
pub(crate) struct Watch {
    progress: Progress,
    stage: RefCell<Option<Stage>>,
}

impl Watch {
    pub(crate) fn new(progress: Progress) -> Self {
        Self {
            progress,
            stage: RefCell::default(),
        }
    }

    fn with(&self, tell: impl FnOnce(&Stage)) {
        if let Some(stage) = self.stage.borrow().as_ref() {
            tell(stage);
        }
    }
}

impl Observer for Watch {
    fn begin(&self, name: &str, unit: &'static str, total: u64) {
        // The old one leaves the terminal first.
        self.stage.replace(None);
        let stage = self.progress.stage(name, unit, total);
        self.stage.replace(Some(stage));
    }

    fn expect(&self, total: u64) {
        self.with(|stage| stage.set_total(total));
    }

    fn advance(&self, units: u64) {
        self.with(|stage| stage.advance(units, ""));
    }

    fn message(&self, message: &str) {
        self.with(|stage| stage.message(message));
    }

    fn say(&self, line: &str) {
        self.progress.say(line);
    }
}

/// What a measurement may take beside what the machine says.
pub(crate) struct Limits<'a> {
    /// Seconds after which no further product begins.
    pub(crate) time: Option<f64>,
    pub(crate) journal: Option<JournalFile<'a>>,
}

/// Measures `request` of `subject`.
pub(crate) fn measure(
    subject: &Subject<'_>,
    request: &Request,
    streams: Streams,
    machine: &Machine,
    limits: &Limits<'_>,
    progress: Progress,
) -> Result<Found> {
    // A limit beyond what a clock can show is none.
    let limit = limits.time.map(Duration::try_from_secs_f64);
    let limit = limit.and_then(Result::ok);
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let expired = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    let identity = limits.journal.map(|journal| identity(journal.identity));
    let journal = (limits.journal.zip(identity.as_deref()))
        .map(|(JournalFile { path, .. }, identity)| JournalFile { path, identity });
    let resources = machine.resources(&expired, journal);
    let watch = Watch::new(progress);
    Ok(flatness_engine::measure(
        subject, request, streams, &resources, &watch,
    )?)
}

/// What the products in a journal are of, and in a line each what makes them that the engine does not see.
fn identity(of: &str) -> String {
    let Segment {
        cpu, commit, dirty, ..
    } = environment::segment(1, 1, String::new());
    let changed = if dirty { " with changes" } else { "" };
    format!("{of}\non another processor: {cpu}\nby another commit: {commit}{changed}")
}

/// Where in its training a run is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    Along,
    End,
}

/// Measures a run at its points.
#[derive(Clone, Copy)]
pub(crate) struct Instrument<'a> {
    pub(crate) model: &'a Model,
    pub(crate) splits: &'a Splits,
    pub(crate) machine: &'a Machine,
    pub(crate) request: &'a Request,
    pub(crate) run: &'a Run,
    pub(crate) progress: Progress,
    pub(crate) initial: &'a Weights,
    /// Where the first process writes products down; the others look at no path.
    pub(crate) journal: &'a Path,
}

impl<'a> Instrument<'a> {
    /// What is measured of a run, if anything is.
    pub(crate) fn of(
        run: &'a Run,
        model: &'a Model,
        splits: &'a Splits,
        machine: &'a Machine,
        initial: &'a Weights,
        progress: Progress,
    ) -> Option<Self> {
        Some(Self {
            run,
            model,
            splits,
            machine,
            request: run.spec().measure.as_ref()?,
            progress,
            initial,
            journal: Path::new(""),
        })
    }

    /// Refuses what cannot be measured, before anything is trained.
    pub(crate) fn check(&self) -> Result<()> {
        let subject = self.subject(self.initial)?;
        let journal = JournalFile {
            path: self.journal,
            identity: "",
        };
        let resources = self.machine.resources(&|| false, Some(journal));
        for request in [self.request, &self.request.before_the_end()] {
            if !request.what.is_empty() {
                flatness_engine::plan(&subject, request, &resources)?;
            }
        }
        Ok(())
    }

    fn subject<'w>(&'w self, weights: &'w Weights) -> Result<Subject<'w>> {
        Ok(Subject {
            network: &self.model.network,
            weights,
            initial: Some(&self.initial.theta),
            examples: self.splits.get(self.request.split)?.as_ref(),
            loss: self.model.loss.loss(),
            weight_decay: self.run.spec().train.optimizer.weight_decay().0,
        })
    }

    /// What is asked for at this point. The journal stays, for the numbers are written by the caller.
    pub(crate) fn measure(&self, point: Point, weights: &Weights) -> Result<Measured> {
        let request = match point {
            Point::Along => &self.request.before_the_end(),
            Point::End => self.request,
        };
        let splits = self.splits;
        let identity = format!(
            "{} {} {:?} {}",
            splits.identity,
            request.split.name(),
            splits.sizes(),
            self.run.spec().seed
        );
        let limits = Limits {
            time: None,
            journal: Some(JournalFile {
                path: self.journal,
                identity: &identity,
            }),
        };
        let found = measure(
            &self.subject(weights)?,
            request,
            self.run.streams(),
            self.machine,
            &limits,
            self.progress,
        )?;
        Ok(found.measured)
    }
}
