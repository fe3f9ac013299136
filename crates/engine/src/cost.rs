//! What a request takes, before it is measured.

use flatness_records::{Cost, Request};

/// What the cost of a measurement depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// P
    pub parameters: usize,
    /// Groups of parameters measured by themselves; 1 where there are none.
    pub groups: usize,
}

/// What a request takes, apart by number type: a product in double precision takes about twice the time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// In the number type of the parameters.
    pub own: Span,
    /// In double precision.
    pub double: Span,
}

/// What something takes at least and at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// At least, unless it is interrupted.
    pub least: Cost,
    /// At most.
    pub most: Cost,
}

/// What `request` takes of a network of this `size`.
#[must_use]
pub fn cost(request: &Request, size: &Size) -> Work {
    let _ = (request, size);
    Work::default()
}
