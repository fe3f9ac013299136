//! The measures of one matrix: one search, one budget, one memory.

use std::collections::VecDeque;

use flatness_records::{Cost, Request};

use crate::Error;
use crate::context::Context;
use crate::cost::Span;
use crate::measures::{Asked, Search};
use crate::room::{BLOCK, Refusal, Room};

/// Measures that share what they can.
#[derive(Debug, Default)]
pub(crate) struct Suite {
    pub(crate) measures: Vec<Asked>,
    search: Option<Search>,
}

/// What fits the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fit {
    /// Vectors held in the search for eigenvalues; 0 where there is none.
    pub(crate) basis: usize,
    /// Those that there would be with more memory.
    pub(crate) wished: usize,
    /// Vectors multiplied at a time where more are given.
    pub(crate) rows: usize,
}

impl Suite {
    pub(crate) fn new(measures: Vec<Asked>) -> Self {
        let search = Search::shared(&measures);
        Self { measures, search }
    }

    /// The budget, with the products that each takes of it at least, in order.
    pub(crate) fn purse(&self, request: &Request, rows: usize) -> Result<Purse, Error> {
        if let Some(search) = &self.search {
            search.check(request, rows)?;
        }
        let search = self.search.map(|search| search.least(request, rows));
        let measures = self.measures.iter();
        let needs = measures.filter_map(|one| one.measure.least(request, rows));
        Purse::new(
            request.budget,
            &search.into_iter().chain(needs).collect::<Vec<_>>(),
        )
    }

    /// What fits `room`, which then holds what stays.
    pub(crate) fn fit(&self, room: &mut Room<'_>) -> Result<Fit, Refusal> {
        let mut refusals: Vec<Refusal> = Vec::new();
        let mut fit = Fit {
            basis: 0,
            wished: 0,
            rows: BLOCK,
        };
        room.kept += room.journal(BLOCK);
        if let Some(search) = &self.search {
            room.kept += room.whole * search.eigenvectors() as u64;
            fit.wished = search.wished(room.request);
            match search.basis(room) {
                Ok(basis) => fit.basis = basis,
                Err(refusal) => refusals.push(refusal),
            }
        }
        room.basis = fit.basis.min(room.dim);
        for Asked { measure, .. } in &self.measures {
            match measure.memory(room) {
                Ok(rows) => fit.rows = fit.rows.min(rows),
                Err(refusal) => refusals.push(refusal),
            }
        }
        match refusals.into_iter().max_by_key(|refusal| refusal.needed) {
            None => Ok(fit),
            Some(refusal) => Err(refusal),
        }
    }

    /// Vectors multiplied at a time where they all are to fit `room`.
    pub(crate) fn rows(&self, room: &Room<'_>) -> Result<usize, Refusal> {
        self.fit(&mut room.clone()).map(|fit| fit.rows)
    }

    /// What it takes of a matrix of so many rows: of what shares the budget no more than that, and the products of checks.
    pub(crate) fn cost(&self, request: &Request, rows: usize) -> Span {
        let (mut shared, mut other) = (Span::default(), Span::default());
        if let Some(search) = &self.search {
            shared += search.cost(request, rows);
        }
        for Asked { measure, .. } in &self.measures {
            match measure.least(request, rows) {
                Some(_) => shared += measure.cost(request, rows),
                None => other += measure.cost(request, rows),
            }
        }
        if shared.most != Cost::default() {
            let budget = request.budget as u64;
            shared.most.products = shared.most.products.min(budget) + CHECKS;
            shared.least.products = shared.least.products.min(budget);
        }
        other += shared;
        other
    }

    /// Measures, each within its share of the budget.
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<(), Error> {
        if let Some(search) = &self.search {
            let done = context.meter.ask().and_then(|()| search.run(context));
            context.unless_ended(&["eigenvalues".to_owned()], done)?;
        }
        for Asked { what, measure } in &self.measures {
            let done = context.meter.ask().and_then(|()| measure.measure(context));
            context.unless_ended(what, done)?;
        }
        Ok(())
    }
}

/// Products at most that show whether an operator keeps its promises: the first block again, a row of another alone.
const CHECKS: u64 = BLOCK as u64 + 2;

/// What is left of a budget of products that measurements share which follow each other.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    products: usize,
    /// Products that each measurement to come takes at least.
    needs: VecDeque<usize>,
}

impl Purse {
    /// The budget for measurements that take at least `needs` products each; refuses what it does not hold.
    pub(crate) fn new(products: usize, needs: &[usize]) -> Result<Self, Error> {
        let least: usize = needs.iter().sum();
        if products < least {
            return Err(Error::Budget { products, least });
        }
        let needs = needs.iter().copied().collect();
        Ok(Self { products, needs })
    }

    /// Products of the next measurement: an equal share of what is left, but what the others need at least is kept for
    /// them.
    pub(crate) fn share(&mut self) -> usize {
        let share = self.products / self.needs.len().max(1);
        let own = self.needs.pop_front().unwrap_or(0);
        let others: usize = self.needs.iter().sum();
        share.min(self.products.saturating_sub(others)).max(own)
    }

    pub(crate) fn spend(&mut self, products: usize) {
        self.products = self.products.saturating_sub(products);
    }
}
