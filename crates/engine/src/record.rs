//! A matrix at work, and what a record holds of it.

use flatness_records::MatrixRecord;

use crate::context::{Place, Results};
use crate::journal::Journal;

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
