//! What a measure is, and which there are.

mod adaptive;
mod confidence;
mod density;
mod diagonal;
mod eigenvalues;
mod fisher_rao;
mod functions;
mod keskar;
mod landscape;
mod moments;
mod norms;
mod pac_bayes;
mod quadratic;
mod relative_flatness;
mod rescaling;
mod scaling;
mod spectrum;

use std::fmt::Debug;

use candle_core::Tensor;
use flatness_kernels::norm;
use flatness_layers::Network;
use flatness_records::{Request, What};

use crate::Error;
use crate::context::Context;
use crate::cost::Span;
use crate::point::Precision;
use crate::room::{BLOCK, Refusal, Room};

pub(crate) use eigenvalues::{Eigenvalues, Search};

/// What a measure is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// Each matrix, or each group of its parameters.
    Matrix,
    /// The network and its loss, once.
    Network,
}

/// What the planner has to know of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) of: Of,
    pub(crate) precision: Precision,
    /// Whether it holds an L2 term that is asked for, or has nothing to do with one.
    pub(crate) l2: bool,
    /// Whether it keeps to the parameters that are asked for, or has nothing to do with any.
    pub(crate) parameters: bool,
    /// Eigenvectors at the top of the Hessian that a measure of the network takes.
    pub(crate) leading: usize,
    /// Whether its probes leave out what a search for eigenvectors finds.
    pub(crate) deflates: bool,
    /// Whether it is of the classes of the examples.
    pub(crate) classes: bool,
}

impl Kind {
    const MATRIX: Self = Self {
        of: Of::Matrix,
        precision: Precision::Own,
        l2: true,
        parameters: true,
        leading: 0,
        deflates: false,
        classes: false,
    };
    const PROBED: Self = Self {
        deflates: true,
        ..Self::MATRIX
    };
    const DENSE: Self = Self {
        precision: Precision::Double,
        ..Self::MATRIX
    };
    /// Of the network, where no matrix matters.
    const APART: Self = Self {
        of: Of::Network,
        ..Self::MATRIX
    };
    const NETWORK: Self = Self {
        l2: false,
        parameters: false,
        ..Self::APART
    };
    /// Of differences of losses.
    const LOSS: Self = Self {
        precision: Precision::Double,
        ..Self::NETWORK
    };
}

/// One thing to measure, or several from the same products.
pub(crate) trait Measure: Debug {
    fn kind(&self) -> Kind;

    /// Refuses a network, or a number of rows, for which it has no meaning.
    fn check(&self, _network: &Network, _rows: usize) -> Result<(), Error> {
        Ok(())
    }

    /// Eigenvalues at the top and at the bottom of its matrix that it takes.
    fn ends(&self) -> [usize; 2] {
        [0, 0]
    }

    /// Products that it takes of the budget at least, where it shares that.
    fn least(&self, _request: &Request, _rows: usize) -> Option<usize> {
        None
    }

    /// Vectors that may be multiplied at a time.
    fn memory(&self, _room: &Room<'_>) -> Result<usize, Refusal> {
        Ok(BLOCK)
    }

    /// What it takes of a matrix of so many rows.
    fn cost(&self, request: &Request, rows: usize) -> Span;

    /// Adds its numbers to the results.
    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error>;
}

/// A measure, and what was asked for that it answers, as it is written.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) what: Vec<String>,
    pub(crate) measure: Box<dyn Measure>,
}

/// The measures of `what`, in the order in which they are made: what shares products first.
pub(crate) fn measures(what: &[What]) -> Vec<Asked> {
    let mut rest: Vec<What> = Vec::new();
    for one in what {
        if !rest.contains(one) {
            rest.push(one.clone());
        }
    }
    let mut all = Vec::new();
    let mut shared = |answers: fn(&What) -> bool, measure: fn(&[What]) -> Box<dyn Measure>| {
        let (some, others): (Vec<What>, _) = rest.drain(..).partition(answers);
        rest = others;
        if !some.is_empty() {
            let what = some.iter().map(What::to_string).collect();
            let measure = measure(&some);
            all.push(Asked { what, measure });
        }
    };
    shared(Eigenvalues::answers, Eigenvalues::asked);
    shared(moments::Moments::answers, moments::Moments::asked);
    shared(functions::Functions::answers, functions::Functions::asked);
    shared(diagonal::Diagonal::answers, diagonal::Diagonal::asked);
    for one in rest {
        let what = vec![one.to_string()];
        let measure: Box<dyn Measure> = match one {
            What::Norms => Box::new(norms::Norms),
            What::FisherRao => Box::new(fisher_rao::FisherRao),
            What::Adaptive => Box::new(adaptive::Adaptive),
            What::RelativeFlatness => Box::new(relative_flatness::RelativeFlatness),
            What::Confidence => Box::new(confidence::Confidence),
            What::PacBayes(rise) => Box::new(pac_bayes::PacBayes(rise)),
            What::Keskar(sizes) => Box::new(keskar::Keskar::boxes(&sizes)),
            What::KeskarBall(sizes) => Box::new(keskar::Keskar::balls(&sizes)),
            What::Quadratic(radii) => Box::new(quadratic::Quadratic(ascending(&radii))),
            What::Landscape => Box::new(landscape::Landscape),
            What::Scaling(factors) => Box::new(scaling::Scaling(ascending(&factors))),
            What::Rescaling(factors) => Box::new(rescaling::Rescaling(ascending(&factors))),
            _ => Box::new(spectrum::Spectrum),
        };
        all.push(Asked { what, measure });
    }
    all
}

/// ‖θ‖, for what is relative to it.
fn length(context: &Context<'_>) -> Result<f64, Error> {
    let length = norm(context.theta)?;
    if length > 0.0 {
        Ok(length)
    } else {
        Err(Error::ZeroWeights)
    }
}

/// So many leading eigenvectors of the Hessian in double precision, and no fewer.
fn leading(context: &Context<'_>, needed: usize) -> Result<Vec<Tensor>, Error> {
    let vectors = context.leading(needed)?;
    match vectors.len() {
        found if found < needed => Err(Error::Eigenvectors { needed, found }),
        _ => Ok(vectors),
    }
}

/// Each once, the smallest first.
fn ascending(numbers: &[f64]) -> Vec<f64> {
    let mut numbers = numbers.to_vec();
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    numbers
}
