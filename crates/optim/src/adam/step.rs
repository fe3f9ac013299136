//! One step of the moments and of θ, element by element, with three vectors or four.

use flatness_kernels::{Elementwise, Number};

/// In place of a number of roots: the power `exponent`.
pub(super) const ANY: usize = usize::MAX;

/// What a step is made of; 2p is that many roots of roots.
pub(super) struct Step<const ROOTS: usize> {
    /// The L2 coefficient, what is kept of θ, 1 - β1, β2, 1 - β2, s, ε and a.
    pub(super) constants: [f64; 8],
    /// 2p.
    pub(super) exponent: f64,
}

impl<const ROOTS: usize> Step<ROOTS> {
    #[inline(always)]
    fn moments<X: Number>(constants: &[X; 8], [theta, first, second]: [&X; 3], g: &X) -> [X; 2] {
        let [coupled, _, first_share, beta2, second_share, ..] = constants;
        let g = g.plus(&coupled.times(theta));
        [
            first.plus(&first_share.times(&g.minus(first))),
            beta2.times(second).plus(&second_share.times(&g).times(&g)),
        ]
    }

    #[inline(always)]
    fn moved<X: Number>(&self, constants: &[X; 8], theta: &X, first: &X, square: &X) -> X {
        let [_, keep, _, _, _, scale, epsilon, step] = constants;
        let root = square.sqrt().times(scale).plus(epsilon);
        let denominator = match ROOTS {
            0 => root,
            1 => root.sqrt(),
            2 => root.sqrt().sqrt(),
            _ => root.powf(self.exponent),
        };
        keep.times(theta)
            .minus(&step.times(first).over(&denominator))
    }
}

impl<const ROOTS: usize> Elementwise<3, 1, 8> for Step<ROOTS> {
    const NAME: &'static str = "adam";

    fn constants(&self) -> [f64; 8] {
        self.constants
    }

    #[inline(always)]
    fn apply<X: Number>(
        &self,
        constants: &[X; 8],
        [theta, first, second]: &[X; 3],
        [gradient]: &[X; 1],
    ) -> [X; 3] {
        let [first, second] = Self::moments(constants, [theta, first, second], gradient);
        let theta = self.moved(constants, theta, &first, &second);
        [theta, first, second]
    }
}

impl<const ROOTS: usize> Elementwise<4, 1, 8> for Step<ROOTS> {
    const NAME: &'static str = "adam_of_the_largest";

    fn constants(&self) -> [f64; 8] {
        self.constants
    }

    #[inline(always)]
    fn apply<X: Number>(
        &self,
        constants: &[X; 8],
        [theta, first, second, largest]: &[X; 4],
        [gradient]: &[X; 1],
    ) -> [X; 4] {
        let [first, second] = Self::moments(constants, [theta, first, second], gradient);
        let largest = second.minus(largest).choose(0.0, &second, largest);
        let theta = self.moved(constants, theta, &first, &largest);
        [theta, first, second, largest]
    }
}
