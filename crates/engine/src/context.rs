//! What a measure is given, and where its numbers go.

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::{DType, Tensor};
use flatness_curvature::{Curvature, MeanLoss};
use flatness_measures::Watch;
use flatness_operator::{LinearOperator, Principal};
use flatness_records::{
    Cost, Curve, CurvePoint, Density, LogDensity, Matrix, Numbers, Quantity, Request, Stem, Streams,
};
use flatness_spectrum::Eigenpairs;

use crate::found::{Line, NamedDiagonal, Plane};
use crate::meter::Meter;
use crate::operators::Block;
use crate::quantity::{computed, rounding};
use crate::room::Room;
use crate::suite::{Fit, Purse, Suite};
use crate::{Error, Resources, Subject};

/// The network at a point, one of its matrices, and what is known of it so far.
pub(crate) struct Context<'c> {
    pub(crate) subject: &'c Subject<'c>,
    pub(crate) request: &'c Request,
    pub(crate) streams: Streams,
    pub(crate) resources: &'c Resources<'c>,
    pub(crate) meter: &'c Meter<'c>,
    pub(crate) mean_loss: &'c MeanLoss<'c>,
    /// (P), of the number type of the mean loss.
    pub(crate) theta: &'c Tensor,
    pub(crate) curvature: &'c Curvature<'c>,
    pub(crate) place: &'c Place,
    pub(crate) room: Room<'c>,
    pub(crate) fit: &'c Fit,
    /// The matrix, or the block of it.
    pub(crate) operator: &'c dyn LinearOperator,
    /// What was found of the Hessian before.
    pub(crate) hessian: &'c Known,
    pub(crate) purse: Purse,
    /// Those of the search that measures of the matrix share, until they take too much memory.
    pub(crate) pairs: Option<Eigenpairs>,
    pub(crate) eigenvectors: Vec<Eigenvector>,
    pub(crate) results: Results,
}

/// Which rows and columns of which matrix.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) matrix: Matrix,
    /// Name of the group of parameters, where there are several.
    pub(crate) group: Option<String>,
    /// Where its rows are among the P of the whole, in order.
    pub(crate) ranges: Vec<Range<usize>>,
    /// P
    pub(crate) parameters: usize,
    /// Whether it is in the result, and not measured for others alone.
    pub(crate) recorded: bool,
}

/// A unit vector (P) with its eigenvalue.
#[derive(Debug, Clone)]
pub(crate) struct Eigenvector {
    /// That of its eigenvalue, such as `lambda_max_2`.
    pub(crate) name: String,
    pub(crate) quantity: Quantity,
    pub(crate) vector: Tensor,
}

/// What measures of the network take from those of the Hessian.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The most positive first.
    pub(crate) top: Vec<Eigenvector>,
    pub(crate) trace: Option<Quantity>,
    pub(crate) loss: f64,
    /// ∇L (P) in the number type of the parameters.
    pub(crate) gradient: Option<Tensor>,
}

/// What was measured of one matrix, or of the network.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) numbers: Numbers,
    pub(crate) undefined: BTreeMap<String, String>,
    pub(crate) stems: Vec<Stem>,
    pub(crate) density: Option<Density>,
    pub(crate) log_density: Option<LogDensity>,
    pub(crate) eigenvalues: Vec<f64>,
    pub(crate) curves: Vec<Curve>,
    pub(crate) diagonal: Option<NamedDiagonal>,
    pub(crate) line: Option<Line>,
    pub(crate) plane: Option<Plane>,
}

impl Place {
    /// The same of another matrix.
    pub(crate) fn of(&self, matrix: Matrix) -> Self {
        Self {
            matrix,
            ..self.clone()
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }

    /// An error with the name of the group.
    pub(crate) fn named<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        work().map_err(|error| match &self.group {
            None => error,
            Some(group) => Error::Group {
                group: group.clone(),
                source: Box::new(error),
            },
        })
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.rows() == self.parameters
    }
}

impl Results {
    /// Adds those that are not there yet.
    pub(crate) fn extend(&mut self, more: Self) {
        for (name, number) in more.numbers {
            self.numbers.entry(name).or_insert(number);
        }
        self.undefined.extend(more.undefined);
        self.stems.extend(more.stems);
        self.density = self.density.take().or(more.density);
        self.log_density = self.log_density.take().or(more.log_density);
        self.eigenvalues.extend(more.eigenvalues);
        self.curves.extend(more.curves);
        self.diagonal = self.diagonal.take().or(more.diagonal);
        self.line = self.line.take().or(more.line);
        self.plane = self.plane.take().or(more.plane);
    }

    pub(crate) fn insert(&mut self, name: impl Into<String>, number: Quantity) {
        self.numbers.insert(name.into(), number);
    }

    /// Adds numbers that rounding in `dtype` alone makes wrong, from the same sweeps.
    pub(crate) fn computed<'n>(
        &mut self,
        numbers: impl IntoIterator<Item = (&'n str, f64)>,
        dtype: DType,
        cost: Cost,
    ) {
        for (name, value) in numbers {
            self.insert(name, computed(value, rounding(dtype, value), cost));
        }
    }

    pub(crate) fn curve(&mut self, name: impl Into<String>, points: Vec<CurvePoint>) {
        let name = name.into();
        self.curves.push(Curve { name, points });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.undefined.is_empty()
    }

    /// Keeps a number, or why there is none where that leaves the others as they are.
    pub(crate) fn keep(
        &mut self,
        name: &str,
        number: Result<Quantity, Error>,
    ) -> Result<(), Error> {
        match number {
            Ok(number) => self.insert(name, number),
            Err(error) if error.leaves_others() => {
                self.undefined.insert(name.to_owned(), error.to_string());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Context<'_> {
    /// What is being measured, for the observer.
    pub(crate) fn label(&self, what: &str) -> String {
        match &self.place.group {
            None => format!("{}: {what}", self.place.matrix.name()),
            Some(group) => format!("{} of {group}: {what}", self.place.matrix.name()),
        }
    }

    /// Vectors (k, rows) of the block as ones of all parameters (k, P).
    pub(crate) fn embed(&self, vectors: &Tensor) -> Result<Tensor, Error> {
        let block = Principal::new(self.curvature.hessian(), &self.place.ranges)?;
        Ok(block.embed(vectors)?)
    }

    /// What `suite` finds of the matrix at `place` of the same loss at another θ.
    pub(crate) fn inner(
        &self,
        suite: &Suite,
        place: &Place,
        (theta, curvature): (&Tensor, &Curvature<'_>),
    ) -> Result<Results, Error> {
        let mut room = self.room.clone();
        let fit = suite.fit(&mut room)?;
        let operator = Block::new(curvature, place, 0.0, fit.rows, self.meter)?;
        let mut inner = Context {
            theta,
            curvature,
            place,
            fit: &fit,
            operator: &operator,
            purse: suite.purse(self.request, room.dim)?,
            room,
            pairs: None,
            eigenvectors: Vec::new(),
            results: Results::default(),
            ..*self
        };
        suite.run(&mut inner)?;
        Ok(inner.results)
    }

    /// Goes on without a measure that has no number here, or that the caller ended.
    pub(crate) fn unless_ended(
        &mut self,
        what: &[String],
        done: Result<(), Error>,
    ) -> Result<(), Error> {
        match done {
            Err(error) if error.leaves_others() => {
                let why = what.iter().map(|what| (what.clone(), error.to_string()));
                self.results.undefined.extend(why);
                Ok(())
            }
            done => done,
        }
    }

    /// Says which numbers do not exist where a curve is at `x`.
    pub(crate) fn undefined_at(
        &mut self,
        curve: &str,
        x: f64,
        undefined: BTreeMap<String, String>,
    ) {
        for (name, why) in undefined {
            self.results
                .undefined
                .insert(format!("{curve}({x:e}).{name}"), why);
        }
    }

    /// The leading eigenvectors of the Hessian in double precision.
    pub(crate) fn leading(&self, count: usize) -> Result<Vec<Tensor>, Error> {
        let top = self.hessian.top.iter().take(count);
        top.map(|top| Ok(flatness_measures::unit(&top.vector.to_dtype(DType::F64)?)?))
            .collect()
    }

    /// For measures that make losses and gradients.
    pub(crate) fn watched<T>(&self, work: impl FnOnce(Watch<'_>) -> T) -> T {
        let advance = |units| self.meter.advance(units);
        work(Watch {
            interrupt: self.meter.interrupt(),
            advance: &advance,
        })
    }
}
