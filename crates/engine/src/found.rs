//! What was measured.

use candle_core::Tensor;
use flatness_records::{Matrix, MatrixRecord, Measured};

use crate::Error;
use crate::context::{Place, Results};
use crate::journal::Journal;

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
    pub(crate) journals: Vec<Journal>,
}

impl Found {
    /// Removes the journals, once the result is out.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn remove_journals(self) -> Result<(), Error> {
        let mut journals = self.journals.into_iter();
        Ok(journals.try_for_each(Journal::remove)?)
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

/// A matrix, or a block of it, and what was found.
pub(crate) struct Measuring {
    pub(crate) place: Place,
    pub(crate) basis: usize,
    pub(crate) products: u64,
    pub(crate) results: Results,
    pub(crate) journal: Option<Journal>,
}

impl Measuring {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            basis: 0,
            products: 0,
            results: Results::default(),
            journal: None,
        }
    }

    /// What a record holds of it; none of what was measured for others alone, or where nothing was asked.
    pub(crate) fn record(self) -> Option<MatrixRecord> {
        let Self { place, results, .. } = self;
        let recorded = place.recorded && !results.is_empty();
        recorded.then(|| MatrixRecord {
            matrix: place.matrix,
            rows: (!place.is_whole()).then_some(place.rows()),
            group: place.group,
            basis: (self.basis > 0).then_some(self.basis),
            products: self.products,
            numbers: results.numbers,
            stems: results.stems,
            density: results.density,
            log_density: results.log_density,
            eigenvalues: results.eigenvalues,
            undefined: results.undefined,
        })
    }
}
