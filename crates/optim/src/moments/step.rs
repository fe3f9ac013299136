//! One step of the moments and of θ, element by element, with three vectors or four.

use flatness_kernels::{Elementwise, Real};

/// The constants of one step in the number type of θ.
pub(super) struct Step<T, R> {
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
    pub(super) root: R,
}

/// x^{2p} for one exponent.
pub(super) trait Root<T>: Copy + Sync {
    fn of(&self, x: T) -> T;
}

#[derive(Clone, Copy)]
pub(super) struct One;

#[derive(Clone, Copy)]
pub(super) struct Half;

#[derive(Clone, Copy)]
pub(super) struct Quarter;

#[derive(Clone, Copy)]
pub(super) struct Power<T>(pub(super) T);

impl<T: Real> Root<T> for One {
    #[inline(always)]
    fn of(&self, x: T) -> T {
        x
    }
}

impl<T: Real> Root<T> for Half {
    #[inline(always)]
    fn of(&self, x: T) -> T {
        x.sqrt()
    }
}

impl<T: Real> Root<T> for Quarter {
    #[inline(always)]
    fn of(&self, x: T) -> T {
        x.sqrt().sqrt()
    }
}

impl<T: Real> Root<T> for Power<T> {
    #[inline(always)]
    fn of(&self, x: T) -> T {
        x.powf(self.0)
    }
}

impl<T: Real, R: Root<T>> Step<T, R> {
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
        let root = self.root.of(square.sqrt() * self.scale + self.epsilon);
        self.keep * theta - self.step * first / root
    }
}

impl<T: Real, R: Root<T>> Elementwise<3, 1> for Step<T, R> {
    type Target = T;
    type Source = T;

    #[inline(always)]
    fn apply(&self, targets: [T; 3], [gradient]: [T; 1]) -> [T; 3] {
        let [first, second] = self.moments(targets, gradient);
        [self.moved(targets[0], first, second), first, second]
    }
}

impl<T: Real, R: Root<T>> Elementwise<4, 1> for Step<T, R> {
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
