//! Vectors of eigenvalues, probes and diagonals within `--vector-memory`, decided before any product is
//! made. A vector has an element for each row of the measured matrix; what a product takes for each vector
//! that it multiplies has one for each of the P parameters.

use anyhow::Result;
use candle_core::DType;
use flatness_spectrum::{basis_bytes, quadrature_bytes, xdiag_bytes};

use super::allowance::{Allowance, Refusal, allowed};
use super::{diagonal, functions, moments, parameters, perturbed, spectral};
use crate::arguments::{MeasureOptions, What};

/// What a product holds for each of its vectors, in vectors of P elements, beside itself and the sums of the
/// sweeps that go on at a time: the vector in pieces and, where the matrix has fewer rows, among zeros.
const MULTIPLIED: u64 = 2;

/// Copies of the vectors of a search whose eigenvectors are taken out of probes.
const DEFLATED: usize = 2;

/// Copies of the eigenvectors while they are made of the basis.
const EIGENVECTORS: u64 = 3;

/// A matrix, and what is to be measured of it.
pub(super) struct Asked<'a> {
    pub(super) options: &'a MeasureOptions,
    pub(super) what: &'a [What],
    /// Rows of the matrix.
    pub(super) dim: usize,
    /// P
    pub(super) parameters: usize,
    pub(super) dtype: DType,
    /// Sweeps over the data that go on at a time, each with sums of its own.
    pub(super) sweeps: usize,
}

/// What fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plan {
    /// Vectors held in the search for eigenvalues.
    pub(super) basis: usize,
    /// Those that there would be with more memory.
    pub(super) basis_wished: usize,
    /// Bytes for the Krylov spaces of the probes of a quadrature.
    pub(super) krylov: u64,
    /// Bytes for the sketch of a diagonal.
    pub(super) sketch: u64,
    /// Vectors multiplied at a time where more are given.
    pub(super) rows: usize,
    /// Probes multiplied at a time for the sampling error of the Frobenius norm.
    pub(super) sampled: usize,
}

impl Asked<'_> {
    /// What fits, or a sentence with what would where the least does not.
    pub(super) fn plan(&self) -> Result<Plan> {
        let Self { dim, .. } = *self;
        let element = self.dtype.size_in_bytes() as u64;
        let whole = element * self.parameters as u64;
        let [top, bottom] = spectral::ends(self.what, dim)?;
        let mut memory = Allowance {
            allowed: allowed(self.options.vector_memory),
            vector: element * dim as u64,
            whole,
            product: whole * (MULTIPLIED + self.sweeps as u64),
            kept: whole * (top + bottom) as u64 + self.journal(spectral::BLOCK),
        };
        let mut plan = Plan {
            basis: 0,
            basis_wished: 0,
            krylov: 0,
            sketch: 0,
            rows: spectral::BLOCK,
            sampled: 1,
        };
        let mut refusals = Vec::new();
        let (of_moments, of_functions) = (
            self.asks(moments::of_products),
            self.asks(functions::of_quadrature),
        );
        if top + bottom > 0 || of_moments || of_functions {
            let block = self.options.block;
            let wanted = (top + bottom).max(1);
            let needed = wanted.saturating_add(block.saturating_mul(2));
            let wished = needed.saturating_add(spectral::SPARE_BASIS);
            plan.basis_wished = self.options.basis.unwrap_or(wished);
            let copies = if of_moments || of_functions {
                DEFLATED
            } else {
                1
            };
            let basis = self.basis(&memory, wanted, plan.basis_wished, copies);
            plan.basis = basis.unwrap_or_else(|refusal| {
                refusals.push(refusal);
                0
            });
        }
        let known = plan.basis.min(dim) as u64 * memory.vector;
        let mut rows = |found: Result<usize, Refusal>| match found {
            Ok(rows) => plan.rows = plan.rows.min(rows),
            Err(refusal) => refusals.push(refusal),
        };
        if of_moments {
            // What is left of the probes, and its products.
            let vectors = 2 * spectral::BLOCK as u64 * memory.vector + DEFLATED as u64 * known;
            rows(memory.rows("the trace", vectors, None));
        }
        for what in self.what {
            if let What::Diagonal(probes) = *what {
                rows(self.sketched(&memory, probes));
            }
        }
        plan.sketch = memory.beside(memory.kept + memory.product * plan.rows as u64);
        if of_functions {
            memory.kept += known;
            match self.krylov(&memory) {
                Ok(krylov) => plan.krylov = krylov,
                Err(refusal) => refusals.push(refusal),
            }
        }
        if self.options.sample.is_some() && self.asks(|what| *what == What::Frobenius) {
            match memory.sampled() {
                Ok(sampled) => plan.sampled = sampled,
                Err(refusal) => refusals.push(refusal),
            }
        }
        refusals.extend(self.others(&memory));
        match refusals.iter().max_by_key(|refusal| refusal.needed) {
            None => Ok(plan),
            Some(refusal) => Err(memory.sentence(refusal)),
        }
    }

    fn asks(&self, matches: impl Fn(&What) -> bool) -> bool {
        self.what.iter().any(matches)
    }

    /// Bytes that a journal holds of a block and its product.
    fn journal(&self, block: usize) -> u64 {
        match self.options.journal {
            Some(_) => 2 * (block * self.dim * self.dtype.size_in_bytes()) as u64,
            None => 0,
        }
    }

    /// Vectors of the basis for so many eigenvalues: as many as wished, or fewer where the user did not ask
    /// for them. Where the vectors are copied, for probes to come, the copies leave half of the memory.
    fn basis(
        &self,
        memory: &Allowance,
        wanted: usize,
        wished: usize,
        copies: usize,
    ) -> Result<usize, Refusal> {
        let Self { dim, dtype, .. } = *self;
        let block = self.options.block.min(dim);
        let beside = EIGENVECTORS * wanted as u64 * memory.vector
            + memory.product.saturating_mul(block as u64)
            + self.journal(block);
        let bytes = |basis: usize| basis_bytes(copies * basis.min(dim), block, dim, dtype) + beside;
        let least = (wanted + 2 * block).min(dim);
        let room = |allowed: u64| {
            let vectors = allowed.saturating_sub(bytes(0)) / memory.vector / copies as u64;
            usize::try_from(vectors).unwrap_or(usize::MAX)
        };
        let basis = match self.options.basis {
            Some(basis) => basis,
            None => wished.min(room(memory.allowed / copies as u64)).max(least),
        };
        if bytes(basis) <= memory.allowed {
            return Ok(basis);
        }
        let fits = room(memory.allowed);
        let (what, needed) = match self.options.basis {
            None if wanted == 1 => ("the search for an eigenvalue".to_owned(), least),
            None => (format!("the search for {wanted} eigenvalues"), least),
            Some(basis) => (format!("--basis {basis}"), basis),
        };
        Err(Refusal {
            what,
            needed: bytes(needed),
            fits: (fits >= least).then(|| format!("--basis {fits}")),
        })
    }

    /// Probes multiplied at a time for the sketch of a diagonal: as many as leave room for those asked for,
    /// or for the first ones of a sketch that grows.
    fn sketched(&self, memory: &Allowance, probes: Option<usize>) -> Result<usize, Refusal> {
        let Self { dim, dtype, .. } = *self;
        let needed = |probes: usize, rows: usize| {
            let products = memory.product.saturating_mul(rows as u64);
            let beside = products.saturating_add(memory.kept);
            xdiag_bytes(probes, rows, dim, dtype).saturating_add(beside)
        };
        let least = probes.unwrap_or(diagonal::LEAST_PROBES).min(dim);
        let first = probes.unwrap_or(diagonal::FIRST_PROBES).min(dim);
        for probes in [first, least] {
            let mut rows = (1..=spectral::BLOCK).rev();
            if let Some(rows) = rows.find(|&rows| needed(probes, rows) <= memory.allowed) {
                return Ok(rows);
            }
        }
        let fits = memory.beside(needed(0, 1)) / (needed(1, 1) - needed(0, 1));
        let fits = (fits > 1).then(|| format!("--what diagonal={fits}"));
        Err(Refusal {
            what: probes.map_or_else(
                || "the diagonal".to_owned(),
                |probes| format!("--what diagonal={probes}"),
            ),
            needed: needed(least, 1),
            fits,
        })
    }

    /// Bytes for the Krylov spaces of as many probes in lockstep as fit beside their products.
    fn krylov(&self, memory: &Allowance) -> Result<u64, Refusal> {
        let Self { dim, dtype, .. } = *self;
        let steps = self.options.steps.min(dim);
        let bytes = |probes: usize| quadrature_bytes(probes, steps, dim, dtype);
        let beside = |probes: usize| probes as u64 * memory.product + memory.kept;
        let needed = |probes: usize| bytes(probes).saturating_add(beside(probes));
        let mut blocks = (1..=functions::PROBES).rev();
        if let Some(block) = blocks.find(|&block| needed(block) <= memory.allowed) {
            return Ok(bytes(block));
        }
        let fixed = quadrature_bytes(1, 0, dim, dtype) + beside(1);
        let fits = memory.beside(fixed) / memory.vector;
        Err(Refusal {
            what: format!("one probe of --steps {steps}"),
            needed: needed(1),
            fits: (fits > 0).then(|| format!("--steps {fits}")),
        })
    }

    /// What does not fit of the rest, which takes the Hessian of all parameters.
    fn others(&self, memory: &Allowance) -> Vec<Refusal> {
        let Allowance {
            whole,
            product,
            kept,
            ..
        } = *memory;
        let krylov = quadrature_bytes(1, parameters::STEPS, self.parameters, self.dtype);
        let block = spectral::BLOCK as u64 * (2 * whole + product);
        let directions = 2 * perturbed::DIRECTIONS as u64 * whole + kept + product;
        let asks = |asked: What| self.asks(|what| *what == asked);
        let parts = [
            (
                asks(What::Adaptive),
                "--what adaptive",
                kept + krylov + product,
            ),
            (
                asks(What::RelativeFlatness),
                "--what relative-flatness",
                kept + block,
            ),
            (asks(What::Quadratic), "--what quadratic", kept + directions),
        ];
        let refusals = parts.into_iter().map(|(asked, what, needed)| {
            let needed = if asked { needed } else { 0 };
            memory.hold(what, needed, None).err()
        });
        refusals.flatten().collect()
    }
}
