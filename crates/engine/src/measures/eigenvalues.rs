//! The largest and the smallest eigenvalues of a matrix, by a restarted block Lanczos search to a tolerance.
//!
//! ```text
//! A x = λ x + r,   |λ − an eigenvalue of A| ≤ ‖r‖ ≤ tolerance · max |λ|;   ‖A‖₂ = max |λ|
//! ```
//!
//! Memory: the basis (40 vectors more than needed), 4 a block and 3 for each eigenvector; twice the basis where probes follow.
//! Cost: 15 to 40 products for one pair, about 5 more for each. Error: the residual, which says that an eigenvalue is so close, and
//! not that it is the largest. ‖A‖₂ takes both ends. The eigenvectors that probes need not find come from the same search
//! (decision 10).

use flatness_layers::Network;
use flatness_records::{Cost, Quantity, Request, Uncertainty, What};
use flatness_spectrum::{Eigenpairs, EigenpairsSettings, Eigenvalue, basis_bytes, eigenpairs};

use super::{Asked, Kind, Measure};
use crate::Error;
use crate::context::{Context, Eigenvector};
use crate::cost::Span;
use crate::quantity::stop;
use crate::room::{Refusal, Room};

/// Vectors held beyond those that are needed, so that a restart loses little.
const SPARE_BASIS: usize = 40;

/// Copies of the vectors of a search whose eigenvectors are taken out of probes.
pub(crate) const DEFLATED: usize = 2;

/// Copies of the eigenvectors while they are made of the basis.
const EIGENVECTORS: u64 = 3;

/// So many eigenvalues at either end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Eigenvalues(pub(crate) [usize; 2]);

impl Eigenvalues {
    pub(super) fn answers(what: &What) -> bool {
        matches!(what, What::Top(_) | What::Bottom(_))
    }

    pub(super) fn asked(what: &[What]) -> Box<dyn Measure> {
        let most = what.iter().fold([0, 0], |[top, bottom], what| match *what {
            What::Top(count) => [count.max(top), bottom],
            What::Bottom(count) => [top, count.max(bottom)],
            _ => [top, bottom],
        });
        Box::new(Self(most))
    }
}

impl Measure for Eigenvalues {
    fn kind(&self) -> Kind {
        Kind::MATRIX
    }

    fn check(&self, _: &Network, rows: usize) -> Result<(), Error> {
        for (end, count) in ["top", "bottom"].into_iter().zip(self.0) {
            if count > rows {
                return Err(Error::Eigenvalues { end, count, rows });
            }
        }
        Ok(())
    }

    fn ends(&self) -> [usize; 2] {
        self.0
    }

    /// That of the search, which all share.
    fn cost(&self, _: &Request, _: usize) -> Span {
        Span::default()
    }

    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let Some(pairs) = &context.pairs else {
            return Ok(());
        };
        let ends = [
            (
                "lambda_max",
                &pairs.top,
                Eigenpairs::top_vectors as fn(&Eigenpairs) -> _,
            ),
            ("lambda_min", &pairs.bottom, Eigenpairs::bottom_vectors),
        ];
        for (end, eigenvalues, vectors) in ends {
            if eigenvalues.is_empty() {
                continue;
            }
            let vectors = context.embed(&vectors(pairs)?)?;
            for (index, eigenvalue) in eigenvalues.iter().enumerate() {
                let name = match index {
                    0 => end.to_owned(),
                    index => format!("{end}_{}", index + 1),
                };
                let found = quantity(eigenvalue, pairs);
                context.eigenvectors.push(Eigenvector {
                    name: name.clone(),
                    quantity: found.clone(),
                    vector: vectors.get(index)?,
                });
                context.results.insert(name, found);
            }
        }
        // One end alone says nothing of the other.
        if let (false, Some(norm)) = (self.0.contains(&0), pairs.spectral_norm()) {
            context
                .results
                .insert("spectral_norm", quantity(&norm, pairs));
        }
        Ok(())
    }
}

/// An eigenvalue as a record holds it, at the cost of all `pairs`.
pub(super) fn quantity(eigenvalue: &Eigenvalue, pairs: &Eigenpairs) -> Quantity {
    let products = pairs.products as u64;
    let uncertainty = Uncertainty::Iterative {
        residual: eigenvalue.residual,
        steps: products,
        converged: eigenvalue.converged,
    };
    Quantity {
        stop: Some(stop(pairs.stop)),
        ..Quantity::new(eigenvalue.value, uncertainty, Cost::products(products))
    }
}

/// The search for eigenpairs that all measures of a matrix share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search {
    ends: [usize; 2],
    /// Whether probes follow that leave out what it finds.
    deflates: bool,
}

impl Search {
    /// What `measures` need, where they need any.
    pub(crate) fn shared(measures: &[Asked]) -> Option<Self> {
        let (mut ends, mut deflates) = ([0, 0], false);
        for Asked { measure, .. } in measures {
            let [top, bottom] = measure.ends();
            ends = [ends[0].max(top), ends[1].max(bottom)];
            deflates |= measure.kind().deflates;
        }
        (deflates || ends != [0, 0]).then_some(Self { ends, deflates })
    }

    /// Eigenvectors that stay.
    pub(crate) fn eigenvectors(&self) -> usize {
        self.ends[0] + self.ends[1]
    }

    fn products(&self, request: &Request) -> usize {
        if self.deflates { request.search } else { 0 }
    }

    /// Refuses a basis that does not hold the least.
    pub(crate) fn check(&self, request: &Request, rows: usize) -> Result<(), Error> {
        let (wanted, block) = (self.eigenvectors().max(1), request.block);
        let needed = (wanted + 2 * block).min(rows);
        match request.basis {
            Some(basis) if basis < needed => Err(Error::Basis {
                basis,
                wanted,
                block,
                needed,
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn least(&self, request: &Request, rows: usize) -> usize {
        request.block.min(rows)
    }

    pub(crate) fn cost(&self, request: &Request, rows: usize) -> Span {
        let least = self.products(request).max(self.eigenvectors());
        let least = least.max(self.least(request, rows));
        Span::of_budget(least.min(rows).min(request.budget), request)
    }

    /// Vectors that are wished for, with any memory.
    pub(crate) fn wished(&self, request: &Request) -> usize {
        let needed = self.eigenvectors().max(1) + 2 * request.block;
        request.basis.unwrap_or(needed + SPARE_BASIS)
    }

    /// Vectors of the basis: as many as wished, or fewer where the request does not say. Where the vectors are copied,
    /// for probes to come, the copies leave half of the memory.
    pub(crate) fn basis(&self, room: &Room<'_>) -> Result<usize, Refusal> {
        let Room {
            request,
            dim,
            dtype,
            ..
        } = *room;
        let (wanted, block) = (self.eigenvectors().max(1), request.block.min(dim));
        let copies = if self.deflates { DEFLATED } else { 1 };
        let beside = EIGENVECTORS * wanted as u64 * room.vector()
            + room.product.saturating_mul(block as u64)
            + room.journal(block);
        let bytes = |basis: usize| basis_bytes(copies * basis.min(dim), block, dim, dtype) + beside;
        let least = (wanted + 2 * block).min(dim);
        let fitting = |allowed: u64| {
            let vectors = allowed.saturating_sub(bytes(0)) / room.vector() / copies as u64;
            usize::try_from(vectors).unwrap_or(usize::MAX)
        };
        let basis = match request.basis {
            Some(basis) => basis,
            None => self
                .wished(request)
                .min(fitting(room.allowed / copies as u64))
                .max(least),
        };
        if bytes(basis) <= room.allowed {
            return Ok(basis);
        }
        let fits = fitting(room.allowed);
        let (what, needed) = match request.basis {
            None if wanted == 1 => ("the search for an eigenvalue".to_owned(), least),
            None => (format!("the search for {wanted} eigenvalues"), least),
            Some(basis) => (format!("--basis {basis}"), basis),
        };
        let fits = (fits >= least).then(|| format!("--basis {fits}"));
        Err(room.refusal(what, bytes(needed), fits))
    }

    /// Searches within the share of the budget.
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let Context { request, meter, .. } = *context;
        let [top, bottom] = self.ends;
        let products = context.purse.share();
        let settings = EigenpairsSettings {
            // Those of largest magnitude are at one of the ends.
            top: if top + bottom == 0 { 1 } else { top },
            bottom,
            block: request.block,
            basis: context.fit.basis,
            tolerance: request.tolerance,
            least_products: self.products(request),
            seed: context.streams.seed("lanczos"),
        };
        let end = if top == 0 && bottom > 0 {
            "lambda_min"
        } else {
            "lambda_max"
        };
        let budget = meter.budget(products);
        let least = self.cost(request, context.room.dim).least.products;
        meter.stage(&context.label("eigenvalues"), "products", least as usize);
        let pairs = eigenpairs(context.operator, &settings, &budget, &mut |progress| {
            meter.search(end, progress);
        })?;
        context.purse.spend(pairs.products);
        context.pairs = Some(pairs);
        Ok(())
    }
}
