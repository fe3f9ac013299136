//! Sums over the spectrum as the probes of `quadrature.rs` see it.
//!
//! ```text
//! Σ f(λᵢ) ≈ Σ f(θ) over what was deflated + (1/n) Σ_p mass_p Σ_k w_pk f(θ_pk)
//! ```

use crate::estimate::Accumulator;
use crate::rule::InDoubt;
use crate::{Error, Estimate, Quadrature, Rule};

impl Quadrature {
    /// Tr f(A), with the standard error over probes.
    ///
    /// The standard error does not hold the quadrature error of too few steps, which is the same
    /// for every probe and which [`step_error`](Self::step_error) estimates, and with few probes it is
    /// itself uncertain: see [`Estimate::standard_error`].
    ///
    /// # Errors
    ///
    /// [`Error::NonFiniteIntegrand`], such as for a logarithm where a node is not positive.
    pub fn integrate(&self, integrand: impl Fn(f64) -> f64) -> Result<Estimate, Error> {
        let integrals = self.integrals(integrand)?.into_iter();
        Ok(self.mean(integrals.map(|Integral { value, size }| (value, size))))
    }

    /// The mean over probes of values that are sums of these magnitudes.
    fn mean(&self, values: impl Iterator<Item = (f64, f64)>) -> Estimate {
        let mut accumulator = Accumulator::default();
        for (value, size) in values {
            accumulator.push(value, self.precision.of_sum(size));
        }
        accumulator.estimate(self.products, self.seed)
    }

    /// Number of eigenvalues that are `inside` of a set with these ends, which the nodes in doubt are taken
    /// for as `self.in_doubt` says.
    pub(crate) fn number(&self, ends: [f64; 2], inside: impl Fn(f64) -> bool) -> Estimate {
        let counts = |value: f64, in_doubt: bool| match self.in_doubt {
            InDoubt::None if in_doubt => false,
            InDoubt::All if in_doubt => true,
            _ => inside(value),
        };
        let known = self.deflated.iter().filter(|known| {
            let near = |end: &f64| (known.value - end).abs() <= known.residual;
            counts(known.value, ends.iter().any(near))
        });
        let known = known.count() as f64;
        let rounding = self.rounding();
        self.mean(self.rules.iter().map(|rule| {
            let doubts = rule.in_doubt(&ends, self.asymmetry, rounding);
            let nodes = rule.nodes.iter().zip(&rule.weights).zip(doubts);
            let share: f64 = nodes
                .filter(|((node, _), in_doubt)| counts(**node, *in_doubt))
                .map(|((_, weight), _)| weight)
                .sum();
            let number = known + rule.mass * share;
            (number, number)
        }))
    }

    /// The largest |eigenvalue| known or seen by a probe.
    #[must_use]
    pub fn largest(&self) -> f64 {
        self.nodes()
            .fold(0.0, |largest, node| largest.max(node.abs()))
    }

    /// What rounding makes of a node at most.
    fn rounding(&self) -> f64 {
        self.precision.rounding(self.largest())
    }

    /// Refuses a matrix that is zero up to rounding.
    pub(crate) fn check_range(&self) -> Result<(), Error> {
        if self.largest() <= self.rounding() {
            return Err(Error::ZeroOperator);
        }
        Ok(())
    }

    /// The eigenvalues deflated and the nodes of every probe.
    pub fn nodes(&self) -> impl Iterator<Item = f64> {
        let known = self.deflated.iter().map(|one| one.value);
        known.chain(
            self.rules
                .iter()
                .flat_map(|rule| rule.nodes.iter().copied()),
        )
    }

    /// The spectrum as one probe sees it: values, and the share of the eigenvalues that each stands
    /// for, of sum 1 (in the mean over Rademacher probes).
    pub fn shares(&self, rule: &Rule) -> impl Iterator<Item = (f64, f64)> {
        let one = (self.dim as f64).recip();
        let known = self.deflated.iter().map(move |known| (known.value, one));
        let nodes = rule.nodes.iter().zip(&rule.weights);
        let mass = rule.mass;
        known.chain(nodes.map(move |(&node, weight)| (node, weight * mass * one)))
    }

    /// What each probe makes of Tr f(A), (probes).
    pub(crate) fn integrals(&self, integrand: impl Fn(f64) -> f64) -> Result<Vec<Integral>, Error> {
        let finite = |node: f64| {
            let got = integrand(node);
            if got.is_finite() {
                Ok(got)
            } else {
                Err(Error::NonFiniteIntegrand { node, got })
            }
        };
        let mut known = Integral::default();
        for eigenvalue in &self.deflated {
            known.add(finite(eigenvalue.value)?, 1.0);
        }
        self.rules
            .iter()
            .map(|rule| {
                let mut integral = known;
                let mut inside = Integral::default();
                for (&node, &weight) in rule.nodes.iter().zip(&rule.weights) {
                    inside.add(finite(node)?, weight);
                }
                integral.value += rule.mass * inside.value;
                integral.size += rule.mass * inside.size;
                Ok(integral)
            })
            .collect()
    }

    /// Tr f(A) / dim for a bounded f that is not negative, with the standard error over probes; f takes a
    /// value, and how close to it an eigenvalue is known to be.
    pub(crate) fn share(&self, function: impl Fn(f64, f64) -> f64) -> Estimate {
        let one = (self.dim as f64).recip();
        let known = self.deflated.iter();
        let known = known.map(|known| one * function(known.value, known.residual));
        let known: f64 = known.sum();
        self.mean(self.rules.iter().map(|rule| {
            let nodes = rule.nodes.iter().zip(&rule.residuals).zip(&rule.weights);
            let share: f64 = nodes
                .map(|((&node, &residual), weight)| {
                    weight * function(node, residual + self.asymmetry)
                })
                .sum();
            let share = known + one * rule.mass * share;
            (share, share)
        }))
    }
}

/// A sum over the spectrum, and that of the magnitudes of its terms.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Integral {
    pub(crate) value: f64,
    pub(crate) size: f64,
}

impl Integral {
    fn add(&mut self, value: f64, weight: f64) {
        self.value += weight * value;
        self.size += weight * value.abs();
    }
}
