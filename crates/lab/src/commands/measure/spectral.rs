//! Eigenvalues, trace, Frobenius norm, density and functions of a matrix, within one budget of products.

use anyhow::{Result, bail};
use candle_core::Tensor;
use flatness_operator::LinearOperator;
use flatness_records::{Quantity, Uncertainty};
use flatness_spectrum::{
    Budget, Diagonal, Eigenpairs, EigenpairsSettings, Eigenvalue, Quadrature, Stop, Verified,
    eigenpairs,
};

use super::block::Block;
use super::memory::Plan;
use super::purse::Purse;
use super::report::Line;
use super::{Subject, diagonal, functions, moments};
use crate::arguments::What;
use crate::progress::Stage;

/// Vectors per product where they are random and independent: beyond, a pass over the data costs as
/// much per vector.
pub(super) const BLOCK: usize = 8;

/// Products of the search for eigenvectors that probes need not find.
const DEFLATING_PRODUCTS: usize = 48;

/// Residual, in units of its own Ritz value, of a Ritz vector that counts as an eigenvector in
/// functions of the matrix. In traces of the matrix and of its square all do.
const DEFLATED_RESIDUAL: f64 = 0.03;

/// Vectors held beyond those that are needed, so that a restart loses little.
pub(super) const SPARE_BASIS: usize = 40;

/// What was found.
pub(super) struct Spectral {
    pub(super) lines: Vec<Line>,
    /// The most positive first, then the most negative ones.
    pub(super) eigenvectors: Vec<Eigenvector>,
    /// Number of the most positive ones.
    pub(super) top: usize,
    pub(super) quadrature: Option<Quadrature>,
    pub(super) diagonal: Option<Diagonal>,
    pub(super) products: u64,
}

/// A unit vector (P) with its eigenvalue.
pub(super) struct Eigenvector {
    pub(super) name: String,
    /// Eigenvalue of the measured matrix.
    pub(super) value: f64,
    pub(super) vector: Tensor,
}

pub(super) fn measure(
    subject: &Subject<'_>,
    operator: &dyn LinearOperator,
    block: &Block,
    stage: &Stage,
) -> Result<Spectral> {
    let options = subject.options;
    let ends = ends(&subject.what, operator.dim())?;
    let eigen = ends != [0, 0];
    let of_moments = subject.asks(moments::of_products);
    let of_functions = subject.asks(functions::of_quadrature);
    let probing = of_moments || of_functions;
    let probes = subject.what.iter().filter_map(|what| match *what {
        What::Diagonal(probes) => Some(probes),
        _ => None,
    });
    // A number of probes goes before none.
    let probes = probes.max();
    let dim = operator.dim();
    let needs = [
        (eigen || probing).then_some(options.block.min(dim)),
        of_moments.then_some(2),
        of_functions.then_some(2 * options.steps.min(dim)),
        probes.map(|_| diagonal::least_products(dim)),
    ];
    let mut purse = Purse::new(options, needs.into_iter().flatten())?;
    let mut found = Spectral {
        lines: Vec::new(),
        eigenvectors: Vec::new(),
        top: 0,
        quadrature: None,
        diagonal: None,
        products: 0,
    };
    // The limit of time is looked at between the blocks of each measurement.
    let verified = Verified::new(operator, Budget::UNLIMITED);
    let operator = &verified;
    let mut pairs = None;
    if eigen || probing {
        let least = if probing { DEFLATING_PRODUCTS } else { 0 };
        purse.spend(|budget| {
            let pairs = pairs.insert(search(
                subject,
                operator,
                ends,
                (least, &block.plan),
                budget,
                stage,
            )?);
            Ok(pairs.products)
        })?;
    }
    if let Some(pairs) = pairs {
        if eigen {
            take_eigenpairs(&pairs, &mut found)?;
        }
        if of_moments {
            let known = pairs.deflation(f64::MAX)?;
            purse.spend(|budget| {
                moments::measure(subject, operator, &known, budget, stage, &mut found)
            })?;
        }
        if of_functions {
            let known = pairs.deflation(DEFLATED_RESIDUAL)?;
            drop(pairs);
            purse.spend(|budget| {
                functions::measure(
                    subject,
                    operator,
                    &known,
                    &block.plan,
                    budget,
                    stage,
                    &mut found,
                )
            })?;
        }
    }
    if let Some(probes) = probes {
        purse.spend(|budget| {
            let measured =
                diagonal::measure(subject, operator, probes, &block.plan, budget, stage)?;
            let layout = subject.network.layout();
            let lines = diagonal::lines(&measured, probes, layout, &block.ranges)?;
            found.lines.extend(lines);
            let products = measured.result.products;
            found.diagonal = Some(measured.result);
            Ok(products)
        })?;
    }
    // Those of the checks are not of the budget: what a broken promise would cost is more.
    found.products = (purse.used + verified.extra_products()) as u64;
    Ok(found)
}

/// Eigenvalues wanted at the two ends, at most as many as there are.
pub(super) fn ends(whats: &[What], dim: usize) -> Result<[usize; 2]> {
    let (mut top, mut bottom) = (0, 0);
    for what in whats {
        match *what {
            What::Top(count) => top = count.max(top),
            What::Bottom(count) => bottom = count.max(bottom),
            What::Landscape => top = top.max(2),
            What::Quadratic | What::Keskar(_) => top = top.max(1),
            _ => {}
        }
    }
    for (name, count) in [("top", top), ("bottom", bottom)] {
        if count > dim {
            bail!(
                "--what {name}={count}: the matrix has {dim} eigenvalues; ask for at most as many"
            );
        }
    }
    Ok([top, bottom])
}

fn search(
    subject: &Subject<'_>,
    operator: &dyn LinearOperator,
    [top, bottom]: [usize; 2],
    (least_products, plan): (usize, &Plan),
    budget: &Budget<'_>,
    stage: &Stage,
) -> Result<Eigenpairs> {
    let options = subject.options;
    let settings = EigenpairsSettings {
        // Those of largest magnitude are at one of the ends.
        top: if top + bottom == 0 { 1 } else { top },
        bottom,
        block: options.block,
        basis: plan.basis,
        tolerance: options.tolerance,
        least_products,
        bytes: None,
        seed: subject.streams.seed("lanczos"),
    };
    let name = if bottom > 0 && top == 0 {
        "lambda_min"
    } else {
        "lambda_max"
    };
    Ok(eigenpairs(operator, &settings, budget, &mut |progress| {
        stage.message(&format!(
            "{name} {:.4e}, residual {:.1e}",
            progress.value, progress.error
        ));
    })?)
}

fn take_eigenpairs(pairs: &Eigenpairs, found: &mut Spectral) -> Result<()> {
    let seed = pairs.seed;
    let quantity = |eigenvalue: &Eigenvalue| Quantity {
        value: eigenvalue.value,
        products: pairs.products as u64,
        uncertainty: Uncertainty::Iterative {
            residual: eigenvalue.residual,
            steps: pairs.products as u64,
            converged: eigenvalue.converged,
            seed,
        },
    };
    let vectors: [fn(&Eigenpairs) -> _; 2] = [Eigenpairs::top_vectors, Eigenpairs::bottom_vectors];
    let ends = [("lambda_max", &pairs.top), ("lambda_min", &pairs.bottom)];
    for ((end, eigenvalues), vectors) in ends.into_iter().zip(vectors) {
        if eigenvalues.is_empty() {
            continue;
        }
        let vectors = vectors(pairs)?;
        for (index, eigenvalue) in eigenvalues.iter().enumerate() {
            let name = match index {
                0 => end.to_owned(),
                index => format!("{end}_{}", index + 1),
            };
            let mut line = Line::new(&name, quantity(eigenvalue));
            line.stop = Some(describe(pairs.stop));
            found.lines.push(line);
            found.eigenvectors.push(Eigenvector {
                name,
                value: eigenvalue.value,
                vector: vectors.get(index)?,
            });
        }
    }
    found.top = pairs.top.len();
    if let Some(norm) = pairs.spectral_norm() {
        let value = norm.value.abs();
        let norm = quantity(&norm);
        let mut line = Line::new("spectral_norm", Quantity { value, ..norm });
        line.stop = Some(describe(pairs.stop));
        found.lines.push(line);
    }
    Ok(())
}

pub(super) fn describe(stop: Stop) -> &'static str {
    match stop {
        Stop::Converged => "as accurate as asked",
        Stop::Products => "the budget ended it",
        Stop::Interrupted => "the time limit ended it",
        Stop::Memory => "the memory ended it",
        Stop::Rounding => "down to rounding",
        Stop::Complete => "complete",
        Stop::Undefined => "not defined",
    }
}
