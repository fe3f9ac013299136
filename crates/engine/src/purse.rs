//! A budget of products, shared by measurements that follow each other.

use std::collections::VecDeque;

use crate::Error;

/// What is left of the budget.
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
