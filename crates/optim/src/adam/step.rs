//! One step of the moments and of θ, element by element, with three vectors or four.

use flatness_kernels::{Elementwise, Real};

/// In place of a number of roots: the power `exponent`.
pub(super) const ANY: usize = usize::MAX;

/// The constants of one step in the number type of θ; 2p is that many roots of roots.
pub(super) struct Step<T, const ROOTS: usize> {
    pub(super) coupled: T,
    pub(super) keep: T,
    /// 1 - β1.
    pub(super) first_share: T,
    pub(super) beta2: T,
    /// 1 - β2.
    pub(super) second_share: T,
    /// s.
    pub(super) scale: T,
    pub(super) epsilon: T,
    /// a.
    pub(super) step: T,
    /// 2p.
    pub(super) exponent: T,
}

impl<T: Real, const ROOTS: usize> Step<T, ROOTS> {
    #[inline(always)]
    fn moments(&self, [theta, first, second]: [T; 3], gradient: T) -> [T; 2] {
        let gradient = gradient + self.coupled * theta;
        [
            first + self.first_share * (gradient - first),
            self.beta2 * second + self.second_share * gradient * gradient,
        ]
    }

    #[inline(always)]
    fn moved(&self, theta: T, first: T, square: T) -> T {
        let root = square.sqrt() * self.scale + self.epsilon;
        let denominator = match ROOTS {
            0 => root,
            1 => root.sqrt(),
            2 => root.sqrt().sqrt(),
            _ => root.powf(self.exponent),
        };
        self.keep * theta - self.step * first / denominator
    }
}

impl<T: Real, const ROOTS: usize> Elementwise<3, 1> for Step<T, ROOTS> {
    type Target = T;
    type Source = T;

    #[inline(always)]
    fn apply(&self, targets: [T; 3], [gradient]: [T; 1]) -> [T; 3] {
        let [first, second] = self.moments(targets, gradient);
        [self.moved(targets[0], first, second), first, second]
    }
}

impl<T: Real, const ROOTS: usize> Elementwise<4, 1> for Step<T, ROOTS> {
    type Target = T;
    type Source = T;

    #[inline(always)]
    fn apply(&self, targets: [T; 4], [gradient]: [T; 1]) -> [T; 4] {
        let [theta, first, second, largest] = targets;
        let [first, second] = self.moments([theta, first, second], gradient);
        let largest = if second > largest { second } else { largest };
        [self.moved(theta, first, largest), first, second, largest]
    }
}
