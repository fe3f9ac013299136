//! What a request takes, before it is measured.

use std::ops::AddAssign;

use flatness_records::{Cost, Matrix, Request, What};

use crate::measures::{Asked, Eigenvalues, Of, measures};
use crate::point::Precision;
use crate::suite::Suite;

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

/// So many products, losses and gradients.
pub(crate) fn counts([products, losses, gradients]: [usize; 3]) -> Cost {
    Cost {
        products: products as u64,
        losses: losses as u64,
        gradients: gradients as u64,
    }
}

impl Span {
    /// No more and no less.
    pub(crate) fn of(counted: [usize; 3]) -> Self {
        Self::between(counted, counted)
    }

    pub(crate) fn between(least: [usize; 3], most: [usize; 3]) -> Self {
        Self {
            least: counts(least),
            most: counts(most),
        }
    }

    /// From so many products to those of the budget.
    pub(crate) fn of_budget(least: usize, request: &Request) -> Self {
        Self::between([least, 0, 0], [request.budget.max(least), 0, 0])
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Self) {
        self.least += other.least;
        self.most += other.most;
    }
}

/// What `request` takes of a network of this `size`. The errors of a sample take up to 8 products and as many as there are
/// eigenvectors more for each matrix, which are not in it.
#[must_use]
pub fn cost(request: &Request, size: &Size) -> Work {
    let mut work = Work::default();
    work.own += Span::of([0, 0, 1]);
    let rows = size.parameters / size.groups.max(1);
    for precision in [Precision::Own, Precision::Double] {
        let span = match precision {
            Precision::Own => &mut work.own,
            Precision::Double => &mut work.double,
        };
        for &matrix in &request.matrices {
            let suite = Suite::new(of_matrix(request, matrix, precision));
            for _ in 0..size.groups.max(1) {
                *span += suite.cost(request, rows);
            }
        }
        for one in of_network(request, precision) {
            *span += one.measure.cost(request, size.parameters);
        }
    }
    if let Some(suite) = of_hessian_alone(request) {
        work.own += suite.cost(request, size.parameters);
    }
    work
}

/// The measures of each matrix. Of the whole Hessian, they find what those of the network take of it.
pub(crate) fn of_matrix(request: &Request, matrix: Matrix, precision: Precision) -> Vec<Asked> {
    let (mut all, leading) = selected(request, Of::Matrix, precision);
    if precision == Precision::Own && matrix == Matrix::Hessian && leading > 0 {
        let ends = all.iter().map(|one| one.measure.ends());
        let [top, bottom] = ends.fold([leading, 0], |[top, bottom], ends| {
            [top.max(ends[0]), bottom.max(ends[1])]
        });
        all.retain(|one| one.measure.ends() == [0, 0]);
        all.insert(0, eigenvalues([top, bottom]));
    }
    all
}

/// The measures of the network.
pub(crate) fn of_network(request: &Request, precision: Precision) -> Vec<Asked> {
    selected(request, Of::Network, precision).0
}

/// What measures of the network take of the Hessian where that is not measured by itself.
pub(crate) fn of_hessian_alone(request: &Request) -> Option<Suite> {
    let (_, leading) = selected(request, Of::Network, Precision::Double);
    let alone = leading > 0 && !request.matrices.contains(&Matrix::Hessian);
    alone.then(|| Suite::new(vec![eigenvalues([leading, 0])]))
}

/// Some of the measures, and the eigenvectors that any of them all takes of the Hessian.
fn selected(request: &Request, of: Of, precision: Precision) -> (Vec<Asked>, usize) {
    let mut all = measures(&request.what);
    let leading = all
        .iter()
        .map(|one| one.measure.kind().leading)
        .max()
        .unwrap_or(0);
    all.retain(|one| {
        let kind = one.measure.kind();
        kind.of == of && kind.precision == precision
    });
    (all, leading)
}

fn eigenvalues(ends: [usize; 2]) -> Asked {
    let [top, bottom] = ends;
    let what = [(top, What::Top(top)), (bottom, What::Bottom(bottom))];
    let what = what.iter().filter(|(count, _)| *count > 0);
    Asked {
        what: what.map(|(_, what)| what.to_string()).collect(),
        measure: Box::new(Eigenvalues(ends)),
    }
}
