//! What was measured.

use candle_core::Tensor;
use flatness_records::{Matrix, Measured, Request, Streams};

use crate::{Error, Observer, Resources, Subject};

/// What was measured, with what no record holds.
#[derive(Debug)]
pub struct Found {
    /// The numbers.
    pub measured: Measured,
    /// Diagonals, one for each matrix or group where they were asked for.
    pub diagonals: Vec<NamedDiagonal>,
    /// Losses along the top eigenvector.
    pub line: Option<Line>,
    /// Losses over the plane of the two leading eigenvectors.
    pub plane: Option<Plane>,
}

impl Found {
    /// Removes the journals, once the result is out.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn remove_journals(self) -> Result<(), Error> {
        Ok(())
    }
}

/// Diagonal entries by the names and in the shapes of the parameters.
#[derive(Debug)]
pub struct NamedDiagonal {
    /// Of which matrix.
    pub matrix: Matrix,
    /// Name of the group of parameters, where there are several.
    pub group: Option<String>,
    /// Entries.
    pub values: Vec<(String, Tensor)>,
    /// Their standard errors.
    pub standard_errors: Vec<(String, Tensor)>,
}

/// Losses along a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Steps along the top eigenvector, relative to ‖θ‖.
    pub steps: Vec<f64>,
    /// Losses there.
    pub losses: Vec<f64>,
    /// Those of the second order.
    pub quadratic: Vec<f64>,
}

/// Losses over a plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// Steps along the top eigenvector, relative to ‖θ‖.
    pub first: Vec<f64>,
    /// Steps along the second.
    pub second: Vec<f64>,
    /// Losses, those along the first direction one behind the other.
    pub losses: Vec<f64>,
}

/// What is to be done, all of which can be.
#[derive(Debug)]
pub struct Plan {}

/// Refuses what cannot be measured, before any work.
///
/// # Errors
/// A measure without a meaning for this network or this request, a budget below what is needed, memory that does not
/// hold the least.
pub fn plan(
    subject: &Subject<'_>,
    request: &Request,
    resources: &Resources<'_>,
) -> Result<Plan, Error> {
    let _ = (subject, request, resources);
    todo!()
}

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
    let _ = (subject, request, streams, resources, observer);
    todo!()
}
