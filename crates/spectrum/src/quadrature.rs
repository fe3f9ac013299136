//! Stochastic Lanczos quadrature: Tr f(A) for any f, and the spectral density.
//!
//! ```text
//! Tr f(A) ≈ (dim / n) Σ_p Σ_k w_pk f(θ_pk)
//! ```
//!
//! For probe p of unit norm, θ_pk and w_pk are the Ritz values and squared first eigenvector
//! components of its m-step tridiagonal matrix: the nodes and weights of the Gauss rule of vᵀ f(A)
//! v, exact for polynomials of degree 2 m − 1 (Golub and Meurant, Matrices, Moments and Quadrature,
//! ch. 6; Ubaru, Chen and Saad, SIAM J. Matrix Anal. Appl. 38, 2017). E over probes of vᵀ f(A) v is
//! Tr f(A) / dim.

use candle_core::DType;
use flatness_operator::LinearOperator;

use crate::deflation::{mass, outside};
use crate::eigenpairs_settings::vector_bytes;
use crate::error::{check_dimension, check_probes};
use crate::krylov;
use crate::product::Precision;
use crate::rule::InDoubt;
use crate::{
    Budget, Deflation, Eigenvalue, Error, Estimate, Goal, Measured, Probe, Progress, Rule, Stop,
};

/// Vectors at work for each probe beside its Krylov space: its start, the current one, and both once more
/// in the block that is multiplied and its product.
const AT_WORK: u64 = 4;

/// Vectors at work for the one probe whose next vector is made.
const ORTHOGONALIZED: u64 = 4;

/// What [`quadrature_until`] is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuadratureSettings {
    /// Start vectors, at least 2.
    pub probes: usize,
    /// Lanczos steps m per probe, from 1 to the operator's dimension: probes × steps products in
    /// all.
    pub steps: usize,
    /// Probes added at a time, at least 1, which run in lockstep as far as `bytes` allows: block ×
    /// steps × dim elements of memory. It changes the speed, not the probes.
    pub block: usize,
    /// Bytes allowed for [`quadrature_bytes`]; `None` for no bound.
    pub bytes: Option<u64>,
    /// Distribution of the start vectors, which are normalised.
    pub probe: Probe,
    /// Seed of the probes.
    pub seed: u64,
}

/// Bytes held by [`quadrature_until`] while `block` probes run in lockstep over `steps` vectors of length `dim`,
/// beside what the operator itself needs.
#[must_use]
pub fn quadrature_bytes(block: usize, steps: usize, dim: usize, dtype: DType) -> u64 {
    let each = (steps as u64).saturating_add(AT_WORK);
    let vectors = (block as u64).saturating_mul(each);
    vectors
        .saturating_add(ORTHOGONALIZED)
        .saturating_mul(vector_bytes(dim, dtype))
}

impl QuadratureSettings {
    /// The most probes in lockstep, up to the block, that the bytes allow.
    fn lockstep(&self, operator: &dyn LinearOperator) -> Result<usize, Error> {
        let (steps, block, dim, dtype) = (self.steps, self.block, operator.dim(), operator.dtype());
        let Some(allowed) = self.bytes else {
            return Ok(block);
        };
        let vectors = (allowed / vector_bytes(dim, dtype)).saturating_sub(ORTHOGONALIZED);
        let fits = vectors / (steps as u64).saturating_add(AT_WORK);
        if fits == 0 {
            return Err(Error::TooLarge {
                count: steps,
                vectors: "Lanczos steps of one probe",
                needed: quadrature_bytes(1, steps, dim, dtype),
                allowed,
                fits: usize::try_from(vectors.saturating_sub(AT_WORK)).unwrap_or(usize::MAX),
            });
        }
        Ok(usize::try_from(fits).map_or(block, |fits| fits.min(block)))
    }
}

/// The outcome of [`quadrature_until`].
#[derive(Debug, Clone, PartialEq)]
pub struct Quadrature {
    /// Eigenvalues that no probe sees, from a [`Deflation`].
    pub deflated: Vec<Eigenvalue>,
    /// One rule per probe, (probes).
    pub rules: Vec<Rule>,
    /// Dimension of the operator.
    pub dim: usize,
    /// Lanczos steps asked for per probe, or to which an interrupt came.
    pub steps: usize,
    /// Matrix-vector products used, without those of the deflation; an interrupt may leave the last ones
    /// without use.
    pub products: usize,
    /// Distribution of the start vectors.
    pub probe: Probe,
    /// Seed of the probes.
    pub seed: u64,
    /// Frobenius norm of the entries of Qᵀ A Q that a symmetric A makes vanish, as far as the steps saw them, the
    /// largest of any probe: the rounding of the products, or a defect of the operator.
    pub asymmetry: f64,
    pub(crate) precision: Precision,
    pub(crate) in_doubt: InDoubt,
}

/// A function of the spectrum as [`quadrature_until`] is asked for it.
pub type Function<'a> = &'a dyn Fn(&Quadrature) -> Result<Estimate, Error>;

/// Computes the Gauss rules of `settings.probes` random probes and then of a block more at a time,
/// until each of `functions` of them is as accurate as the goal asks, or the budget ends it:
/// `&Quadrature::nuclear_norm`, for instance, or `&|rules| rules.integrate(f64::exp)`. What has no value is
/// left out of the judgement: each function gives its number or its own error when asked of the result. Without a
/// function that has a value the first probes are all.
///
/// Given a `deflation`, its Ritz values count as eigenvalues and the probes see the rest alone: the
/// errors shrink as the large eigenvalues are taken out, and those are in the density as the lines
/// that they are.
///
/// An interrupt before there are two probes of all steps leaves rules of the steps that were made, if
/// there are two.
///
/// # Errors
///
/// [`Error::TooFewProbes`], [`Error::Zero`] for no steps or an empty block, [`Error::BeyondDimension`],
/// [`Error::TooLarge`] where the bytes allowed hold not even one probe, [`Error::OutOfRange`] for a goal
/// that makes no sense, [`Error::BudgetTooSmall`], [`Error::Interrupted`] before there are two probes of one
/// step, and those of products, see [`Error`].
pub fn quadrature_until(
    operator: &dyn LinearOperator,
    settings: &QuadratureSettings,
    deflation: Option<&Deflation>,
    functions: &[Function<'_>],
    goal: &Goal,
    budget: &Budget<'_>,
    observe: &mut dyn FnMut(&Progress),
) -> Result<Measured<Quadrature>, Error> {
    goal.check()?;
    budget.check(settings.probes.saturating_mul(settings.steps))?;
    check_probes(settings.probes, settings.block)?;
    check_dimension("steps", settings.steps, operator.dim())?;
    let mut result = Quadrature {
        deflated: deflation.map_or_else(Vec::new, |known| known.eigenvalues.clone()),
        rules: Vec::with_capacity(settings.probes),
        dim: operator.dim(),
        steps: settings.steps,
        products: 0,
        probe: settings.probe,
        seed: settings.seed,
        asymmetry: 0.0,
        precision: Precision::of(operator)?,
        in_doubt: InDoubt::AsFound,
    };
    let lockstep = settings.lockstep(operator)?;
    loop {
        let missing = settings.probes.saturating_sub(result.rules.len());
        let rows = if missing > 0 {
            settings.block.min(missing)
        } else {
            settings.block
        };
        let end = result.rules.len() + rows;
        while result.rules.len() < end {
            let rows = lockstep.min(end - result.rules.len());
            if let Some(stop) = result.run(operator, deflation, rows, budget)? {
                return Ok(Measured { result, stop });
            }
        }
        if result.rules.len() < settings.probes {
            continue;
        }
        let estimates = functions.iter().map(|function| function(&result));
        let estimates: Vec<Estimate> = estimates.filter_map(Result::ok).collect();
        let next = settings.block.saturating_mul(settings.steps);
        let made = (result.products, next);
        if let Some(stop) = goal.judge(&estimates, made, budget, observe)? {
            return Ok(Measured { result, stop });
        }
    }
}

impl Quadrature {
    /// Adds the rules of the next `rows` probes, in lockstep; says where an interrupt ended it.
    fn run(
        &mut self,
        operator: &dyn LinearOperator,
        deflation: Option<&Deflation>,
        rows: usize,
        budget: &Budget<'_>,
    ) -> Result<Option<Stop>, Error> {
        let first = self.rules.len();
        let probes = self.probe.rows(operator, first..first + rows, self.seed)?;
        let starts = outside(deflation, probes)?;
        let recurrences = krylov::lockstep(operator, &starts, self.steps, first, budget)?;
        let whole = |recurrence: &krylov::Recurrence| {
            recurrence.invariant || recurrence.diagonal.len() == self.steps
        };
        let interrupted = !recurrences.iter().all(whole);
        let steps = recurrences.iter().map(|one| one.diagonal.len());
        self.products += steps.clone().sum::<usize>();
        let steps = steps.max().unwrap_or_default();
        if interrupted && (steps == 0 || first >= 2 || first + rows < 2) {
            if first < 2 {
                return Err(Error::Interrupted {
                    products: self.products,
                });
            }
            return Ok(Some(Stop::Interrupted));
        }
        for (row, recurrence) in recurrences.into_iter().enumerate() {
            let start = starts.narrow(0, row, 1)?;
            self.asymmetry = self.asymmetry.max(recurrence.asymmetry);
            let mass = mass(deflation, self.probe, &start)?;
            self.rules
                .push(Rule::new(recurrence, mass, self.precision)?);
        }
        if interrupted {
            let products = self.products;
            *self = self.truncated(steps)?;
            self.products = products;
            return Ok(Some(Stop::Interrupted));
        }
        Ok(None)
    }
}
