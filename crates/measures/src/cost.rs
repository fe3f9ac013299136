//! What a measure cost: sweeps over the whole data set.

use std::ops::AddAssign;

/// Numbers of sweeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Mean losses, one forward sweep each.
    pub losses: u64,
    /// Gradients, one forward and one backward sweep each.
    pub gradients: u64,
    /// Products of a curvature matrix with a vector.
    pub products: u64,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.losses += other.losses;
        self.gradients += other.gradients;
        self.products += other.products;
    }
}
