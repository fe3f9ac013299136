//! One call of [`measure`]: the matrices one by one, then the network, first in the number type of the parameters, then in double
//! precision, so that activations are kept for one of them at a time.

use candle_core::Tensor;
use flatness_curvature::{Curvature, MeanLoss, Retention as Kept, Selection};
use flatness_data::Examples;
use flatness_kernels::norm;
use flatness_operator::LinearOperator;
use flatness_records::{Cost, Matrix, Measured, Request, Retention, Streams};
use flatness_spectrum::Verified;

use crate::agreement::agree;
use crate::context::{Context, Known, Place, Results};
use crate::cost::{counts, of_network};
use crate::found::{Found, Measuring};
use crate::identity::{begin_journal, identity_of};
use crate::measures::Asked;
use crate::meter::Meter;
use crate::operators::Block;
use crate::plan::{plan, precisions, suite};
use crate::point::{Point, Precision, batch_size, curvature, part};
use crate::room::Room;
use crate::suite::{Fit, Purse, Suite};
use crate::{Error, Observer, Resources, Subject, sampling};

/// Measures what `request` names, with random numbers from `streams`.
///
/// # Errors
/// Those of [`plan`], and those of the work. A number that does not exist is none: it stands among the undefined ones.
pub fn measure(
    subject: &Subject<'_>,
    request: &Request,
    streams: Streams,
    resources: &Resources<'_>,
    observer: &dyn Observer,
) -> Result<Found, Error> {
    agree(subject, request, streams, resources)?;
    let workers = resources.workers;
    // Processes that share the examples must come to the same decisions: the clock of the first, the memory of the least.
    let interrupted = || workers.says((resources.interrupt)()).unwrap_or(true);
    let least = workers.gather(resources.vectors as f64)?.into_iter();
    let resources = &Resources {
        vectors: least.fold(f64::INFINITY, f64::min) as u64,
        interrupt: &interrupted,
        ..*resources
    };
    let plan = plan(subject, request, resources)?;
    plan.notes.iter().for_each(|note| observer.say(note));
    let part = part(subject, request, streams)?;
    let examples = part
        .as_ref()
        .map_or(subject.examples, |part| part as &dyn Examples);
    let mut session = Session {
        subject,
        request,
        streams,
        resources,
        observer,
        identity: String::new(),
        places: plan.places.into_iter().map(Measuring::new).collect(),
        network: Results::default(),
        known: Known::default(),
        cost: Cost::default(),
        retention: Retention::Recompute,
    };
    let batch_size = batch_size(request, examples)?;
    for precision in precisions(request) {
        let point = Point::new(subject, request.batch_norm, precision)?;
        let mean_loss = point.mean_loss(examples, batch_size, resources)?;
        if precision == Precision::Own {
            session.begin(&mean_loss, &point.theta)?;
        }
        let curvature = curvature(&mean_loss, &point.theta, resources)?;
        session.run(precision, &mean_loss, &point.theta, &curvature)?;
    }
    session.end(examples.len())
}

struct Session<'s> {
    subject: &'s Subject<'s>,
    request: &'s Request,
    streams: Streams,
    resources: &'s Resources<'s>,
    observer: &'s dyn Observer,
    /// What products on record belong to, where they are.
    identity: String,
    places: Vec<Measuring>,
    network: Results,
    known: Known,
    cost: Cost,
    retention: Retention,
}

impl Session<'_> {
    /// Loss, gradient and norms, which everybody gets.
    fn begin(&mut self, mean_loss: &MeanLoss<'_>, theta: &Tensor) -> Result<(), Error> {
        let (subject, request, resources) = (self.subject, self.request, self.resources);
        self.identity = identity_of(subject, request, self.streams, resources, mean_loss)?;
        let gradients = counts([0, 0, 1]);
        let (loss, gradient) = mean_loss.gradient(theta, Selection::All)?;
        self.cost += gradients;
        let dtype = theta.dtype();
        let gradient_norm = [("gradient_norm", norm(&gradient)?)];
        self.network.computed(gradient_norm, dtype, gradients);
        let mut norms = vec![("parameter_norm", norm(theta)?)];
        if let Some(initial) = self.subject.initial {
            norms.push(("distance_from_initialization", norm(&(theta - initial)?)?));
        }
        self.network.computed(norms, dtype, Cost::default());
        self.known.loss = loss;
        self.known.gradient = Some(gradient);
        Ok(())
    }

    /// All measures of one number type.
    fn run(
        &mut self,
        precision: Precision,
        mean_loss: &MeanLoss<'_>,
        theta: &Tensor,
        curvature: &Curvature<'_>,
    ) -> Result<(), Error> {
        if precision == Precision::Own {
            self.retention = match curvature.retention() {
                Kept::Retain => Retention::Retain,
                Kept::Recompute => Retention::Recompute,
            };
        }
        let parameters = theta.elem_count();
        let (resources, sweeps) = (self.resources, mean_loss.sweeps_at_a_time());
        let room = |request, rows: usize| {
            Room::new(
                request,
                [rows, parameters, sweeps],
                theta.dtype(),
                resources.vectors,
            )
        };
        let numbered = self.places.len() > 1;
        for index in 0..self.places.len() {
            let place = self.places[index].place.clone();
            let suite = suite(self.request, &place, precision);
            if suite.measures.is_empty() {
                continue;
            }
            let mut room = room(self.request, place.rows());
            room.journalled = precision == Precision::Own && resources.journal.is_some();
            let number = numbered.then_some(index + 1);
            place.named(|| {
                self.matrix(index, &suite, room, number, (mean_loss, theta, curvature))
            })?;
        }
        let whole = mean_loss.network().layout().select(&["*"])?;
        let place = Place {
            matrix: Matrix::Hessian,
            group: None,
            ranges: whole,
            parameters,
            recorded: true,
        };
        for one in of_network(self.request, precision) {
            let mut room = room(self.request, parameters);
            room.kept = room.whole * one.measure.kind().leading as u64;
            self.once(&one, room, &place, (mean_loss, theta, curvature))?;
        }
        Ok(())
    }

    /// The measures of one matrix.
    fn matrix(
        &mut self,
        index: usize,
        suite: &Suite,
        mut room: Room<'_>,
        number: Option<usize>,
        (mean_loss, theta, curvature): (&MeanLoss<'_>, &Tensor, &Curvature<'_>),
    ) -> Result<(), Error> {
        let fit = suite.fit(&mut room)?;
        let meter = Meter::new(self.observer, self.resources.interrupt);
        let place = self.places[index].place.clone();
        let l2 = if place.recorded { self.request.l2 } else { 0.0 };
        let operator = Block::new(curvature, &place, l2, fit.rows, &meter)?;
        let keeper = room.journalled && self.resources.workers.rank() == 0;
        let journal = self.resources.journal.filter(|_| keeper);
        let journal =
            journal.map(|file| begin_journal(&operator, &place, file.path, number, &self.identity));
        let journal = journal.transpose()?;
        if let Some(journal) = journal.as_ref().filter(|journal| journal.recorded() > 0) {
            let (recorded, path) = (journal.recorded(), journal.path().display());
            self.observer
                .say(&format!("{recorded} products are in {path}"));
        }
        let operator = operator.journalled(journal);
        let verified = Verified::new(&operator);
        let mut context = self.context(
            (mean_loss, theta, curvature),
            &place,
            room,
            &fit,
            &meter,
            &verified,
        );
        context.purse = suite.purse(self.request, place.rows())?;
        suite.run(&mut context)?;
        if self.request.sample.is_some() && fit.basis > 0 {
            let done = sampling::add(&mut context, self.subject.examples.len());
            context.unless_ended(&["sampling error".to_owned()], done)?;
        }
        let Context {
            results,
            eigenvectors,
            ..
        } = context;
        if place.matrix == Matrix::Hessian && place.is_whole() && l2 == 0.0 && fit.basis > 0 {
            let top = eigenvectors
                .into_iter()
                .filter(|one| one.name.starts_with("lambda_max"));
            self.known.top = top.collect();
            self.known.trace = results.numbers.get("trace").cloned();
        }
        let journal = operator.into_journal();
        self.cost += meter.cost();
        let measuring = &mut self.places[index];
        measuring.results.extend(results);
        measuring.products += meter.cost().products;
        measuring.basis = measuring.basis.max(fit.basis);
        measuring.journal = measuring.journal.take().or(journal);
        Ok(())
    }

    /// A measure of the network.
    fn once(
        &mut self,
        Asked { what, measure }: &Asked,
        room: Room<'_>,
        place: &Place,
        (mean_loss, theta, curvature): (&MeanLoss<'_>, &Tensor, &Curvature<'_>),
    ) -> Result<(), Error> {
        let fit = Fit {
            basis: 0,
            wished: 0,
            rows: measure.memory(&room)?,
        };
        let meter = Meter::new(self.observer, self.resources.interrupt);
        let operator = Block::new(curvature, place, 0.0, fit.rows, &meter)?;
        let mut context = self.context(
            (mean_loss, theta, curvature),
            place,
            room,
            &fit,
            &meter,
            &operator,
        );
        let done = meter.ask().and_then(|()| measure.measure(&mut context));
        context.unless_ended(what, done)?;
        let results = context.results;
        self.cost += meter.cost();
        self.network.extend(results);
        Ok(())
    }

    fn context<'c>(
        &'c self,
        (mean_loss, theta, curvature): (&'c MeanLoss<'c>, &'c Tensor, &'c Curvature<'c>),
        place: &'c Place,
        room: Room<'c>,
        fit: &'c Fit,
        meter: &'c Meter<'c>,
        operator: &'c dyn LinearOperator,
    ) -> Context<'c> {
        Context {
            subject: self.subject,
            request: self.request,
            streams: self.streams,
            resources: self.resources,
            meter,
            mean_loss,
            theta,
            curvature,
            place,
            room,
            fit,
            operator,
            hessian: &self.known,
            purse: Purse::default(),
            pairs: None,
            eigenvectors: Vec::new(),
            results: Results::default(),
        }
    }

    fn end(self, examples: usize) -> Result<Found, Error> {
        let mut network = self.network;
        let (mut matrices, mut diagonals, mut journals) = (Vec::new(), Vec::new(), Vec::new());
        for mut measuring in self.places {
            journals.extend(measuring.journal.take());
            network.curves.append(&mut measuring.results.curves);
            diagonals.extend(measuring.results.diagonal.take());
            matrices.extend(measuring.record());
        }
        let sampled = self.request.sample.is_some();
        Ok(Found {
            measured: Measured {
                examples,
                sampled_from: sampled.then(|| self.subject.examples.len()),
                loss: self.known.loss,
                retention: self.retention,
                numbers: network.numbers,
                matrices,
                curves: network.curves,
                undefined: network.undefined,
                cost: self.cost,
            },
            diagonals,
            line: network.line,
            plane: network.plane,
            journals,
        })
    }
}
