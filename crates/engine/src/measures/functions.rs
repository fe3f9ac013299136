//! Functions of a matrix and its density, from one stochastic Lanczos quadrature outside of known eigenvectors.
//!
//! ```text
//! Tr f(A) = Σ f(θᵢ) + E Σ_k w_k f(t_k) ‖P z‖²     θᵢ known eigenvalues, t_k and w_k nodes and weights of a probe's Gauss rule
//! ```
//!
//! Memory: steps + 4 vectors for each probe in lockstep, and the basis of the search. Cost: the search, then steps a probe, two
//! probes at least, until the least accurate of what is asked for is within the relative error. Error: standard error over
//! probes, and the error of too few steps (decision 11). A function that does not exist here, such as the logarithm of a negative
//! eigenvalue, is undefined and loses no other.

use flatness_records::{Quantity, Request, Stop, What};
use flatness_spectrum::{
    Error as Failure, Estimate, Goal, Probe, Quadrature, QuadratureSettings, quadrature_bytes,
    quadrature_until,
};

use super::{Kind, Measure, density};
use crate::Error;
use crate::context::Context;
use crate::cost::Span;
use crate::quantity::{stochastic, stop};
use crate::room::{BLOCK, Refusal, Room};

/// Probes at a time, and before their interval is looked at: few, since the search before has found what they err most in.
const PROBES: usize = 4;

/// Probes without which there is no error.
const LEAST_PROBES: usize = 2;

/// Residual, in units of its own Ritz value, of a Ritz vector that counts as an eigenvector in functions of the matrix. In
/// traces of the matrix and of its square all do.
const DEFLATED_RESIDUAL: f64 = 0.03;

#[derive(Debug)]
pub(super) struct Functions(Vec<What>);

impl Functions {
    pub(super) fn answers(what: &What) -> bool {
        *what == What::Density || function(what).is_some()
    }

    pub(super) fn asked(what: &[What]) -> Box<dyn Measure> {
        Box::new(Self(what.to_vec()))
    }

    /// Bytes for the Krylov spaces of as many probes in lockstep as fit beside their products.
    fn krylov(&self, room: &Room<'_>) -> Result<u64, Refusal> {
        let Room { dim, dtype, .. } = *room;
        let steps = room.request.steps.min(dim);
        let kept = room.kept + room.basis as u64 * room.vector();
        let bytes = |probes: usize| quadrature_bytes(probes, steps, dim, dtype);
        let beside = |probes: usize| probes as u64 * room.product + kept;
        let needed = |probes: usize| bytes(probes).saturating_add(beside(probes));
        let mut blocks = (1..=PROBES).rev();
        if let Some(block) = blocks.find(|&block| needed(block) <= room.allowed) {
            return Ok(bytes(block));
        }
        let fixed = quadrature_bytes(1, 0, dim, dtype) + beside(1);
        let fits = room.beside(fixed) / room.vector();
        let what = format!("one probe of --steps {steps}");
        let fits = (fits > 0).then(|| format!("--steps {fits}"));
        Err(room.refusal(what, needed(1), fits))
    }
}

impl Measure for Functions {
    fn kind(&self) -> Kind {
        Kind::PROBED
    }

    fn least(&self, request: &Request, rows: usize) -> Option<usize> {
        Some(LEAST_PROBES * request.steps.min(rows))
    }

    fn memory(&self, room: &Room<'_>) -> Result<usize, Refusal> {
        self.krylov(room).map(|_| BLOCK)
    }

    fn cost(&self, request: &Request, rows: usize) -> Span {
        Span::of_budget(PROBES * request.steps.min(rows), request)
    }

    fn measure(&self, context: &mut Context<'_>) -> Result<(), Error> {
        let Context { request, meter, .. } = *context;
        // The vectors of the search make room for those of the probes.
        let Some(pairs) = context.pairs.take() else {
            return Ok(());
        };
        let known = pairs.deflation(DEFLATED_RESIDUAL)?;
        drop(pairs);
        let products = context.purse.share();
        let steps = request.steps.min(context.room.dim);
        // The block that the budget holds; two probes are the least.
        let block = PROBES.min(products / steps).max(LEAST_PROBES);
        let settings = QuadratureSettings {
            probes: block,
            steps,
            block,
            bytes: Some(self.krylov(&context.room)?),
            probe: Probe::Gaussian,
            seed: context.streams.seed("density"),
        };
        let budget = meter.budget(products);
        let goal = Goal::relative(request.relative_error);
        let functions: Vec<(String, Function)> = self.0.iter().filter_map(function).collect();
        let boxed = functions.iter().map(|(_, function)| &**function as _);
        let mut judged: Vec<flatness_spectrum::Function<'_>> = boxed.collect();
        // A density alone is judged by its second moment.
        if judged.is_empty() {
            judged.push(&Quadrature::frobenius_squared);
        }
        meter.stage(&context.label("functions"), "products", block * steps);
        let measured = quadrature_until(
            context.operator,
            &settings,
            Some(&known),
            &judged,
            &goal,
            &budget,
            &mut |progress| {
                meter.estimate(
                    "function of the matrix",
                    progress,
                    goal.relative_error,
                    products,
                )
            },
        )?;
        let quadrature = measured.result;
        context.purse.spend(quadrature.products);
        for (name, function) in functions {
            let number = || -> Result<Quantity, Error> {
                let estimate = function(&quadrature)?;
                let step_error = quadrature.step_error(&function)?;
                let mut number = stochastic(&estimate, known.products);
                number.step_error = Some(step_error);
                let exact = step_error <= goal.relative_error * estimate.value.abs();
                number.stop = Some(match stop(measured.stop) {
                    ended if exact || !ended.is_accurate() => ended,
                    _ => Stop::Steps,
                });
                Ok(number)
            };
            context.results.keep(&name, number())?;
        }
        if self.0.contains(&What::Density) {
            match density::take(&quadrature, &mut context.results) {
                Err(error) if error.leaves_others() => {
                    let density = What::Density.to_string();
                    context.results.undefined.insert(density, error.to_string());
                }
                done => done?,
            }
        }
        Ok(())
    }
}

type Function = Box<dyn Fn(&Quadrature) -> Result<Estimate, Failure>>;

/// Name of what a quadrature gives a number of, and how it does.
fn function(what: &What) -> Option<(String, Function)> {
    Some(match *what {
        What::Rank(share) => (
            format!("rank({share:e})"),
            Box::new(move |rules| rules.numerical_rank(share * largest(rules))),
        ),
        What::EffectiveRank => (
            "effective_rank".to_owned(),
            Box::new(Quadrature::effective_rank),
        ),
        What::NuclearNorm => (
            "nuclear_norm".to_owned(),
            Box::new(Quadrature::nuclear_norm),
        ),
        What::LogDeterminant(shift) => (
            format!("log_determinant({shift:e})"),
            Box::new(move |rules| rules.log_determinant(shift)),
        ),
        What::Count { low, high } => (
            format!("count({low:e}:{high:e})"),
            Box::new(move |rules| rules.count(low..=high)),
        ),
        _ => return None,
    })
}

/// The largest |Ritz value| known or of any probe, but never zero.
fn largest(quadrature: &Quadrature) -> f64 {
    let nodes = quadrature.nodes();
    nodes.fold(f64::MIN_POSITIVE, |largest, node| largest.max(node.abs()))
}
