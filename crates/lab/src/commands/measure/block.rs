//! One matrix to be measured: the whole, or its diagonal block of some parameters.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flatness_curvature::{CurvatureOperator, MeanLoss};
use flatness_operator::{LinearOperator, Principal, Shifted};

use super::memory::{Asked, Plan};
use super::narrow::Narrow;
use super::report::{Lines, Measured};
use super::spectral::{self, Spectral};
use super::{Subject, parameters, perturbed, picture, sampling};
use crate::arguments::{MeasureOptions, What};
use crate::journal::Journal;
use crate::progress::Watched;

/// What `--each` takes in place of patterns.
const LAYERS: &str = "layer";

/// The rows and columns of a matrix that are measured.
pub(super) struct Block {
    /// Name of the group of parameters, with `--each`.
    pub(super) name: Option<String>,
    /// Counted from 1.
    number: usize,
    /// Where its rows are among the P of the whole, in order.
    pub(super) ranges: Vec<Range<usize>>,
    pub(super) plan: Plan,
}

/// A journal of the products of a block.
pub(super) type Journalled<'c> = Journal<Box<dyn LinearOperator + 'c>>;

impl Block {
    /// Number of rows.
    pub(super) fn dim(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }

    /// Measures the block of `whole`. With `--journal`, the products belong to `identity`, and the file is to
    /// be removed when the result is out.
    pub(super) fn measure<'c>(
        &self,
        subject: &Subject<'_>,
        whole: &CurvatureOperator<'c>,
        identity: &str,
    ) -> Result<(Measured, Option<Journalled<'c>>)> {
        let measured = self.measure_alone(subject, whole, identity);
        match &self.name {
            None => measured,
            Some(name) => measured.with_context(|| name.clone()),
        }
    }

    fn measure_alone<'c>(
        &self,
        subject: &Subject<'_>,
        whole: &CurvatureOperator<'c>,
        identity: &str,
    ) -> Result<(Measured, Option<Journalled<'c>>)> {
        self.explain(subject);
        let options = subject.options;
        let (mut spectral, journal) = self.spectral(subject, whole, identity)?;
        if let Some(population) = subject.population {
            sampling::add(subject, &mut spectral, whole, self, population)?;
        }
        let mut lines = std::mem::take(&mut spectral.lines);
        lines.extend(parameters::measure(subject, subject.curvature)?);
        lines.extend(perturbed::measure(subject, &spectral, subject.curvature)?);
        let pictures = match &options.out {
            None => Vec::new(),
            Some(out) => picture::draw(subject, &spectral, self, out)?,
        };
        let measured = Measured {
            name: self.name.clone(),
            rows: (self.dim() < whole.dim()).then_some(self.dim()),
            basis: (self.plan.basis > 0).then_some(self.plan.basis),
            products: spectral.products,
            lines: Lines(lines),
            pictures,
        };
        Ok((measured, journal))
    }

    /// Eigenvalues, traces and functions; eigenvectors are of all parameters.
    fn spectral<'c>(
        &self,
        subject: &Subject<'_>,
        whole: &CurvatureOperator<'c>,
        identity: &str,
    ) -> Result<(Spectral, Option<Journalled<'c>>)> {
        let options = subject.options;
        let principal = (self.dim() < whole.dim())
            .then(|| Principal::new(whole.clone(), &self.ranges))
            .transpose()?;
        let mut operator: Box<dyn LinearOperator + 'c> = match &principal {
            Some(principal) => Box::new(principal.clone()),
            None => Box::new(whole.clone()),
        };
        if options.l2 != 0.0 {
            operator = Box::new(Shifted::new(operator, options.l2)?);
        }
        operator = Box::new(Narrow {
            operator,
            rows: self.plan.rows,
        });
        let mut journal = None;
        let operator: &dyn LinearOperator = match &options.journal {
            None => &operator,
            Some(path) => journal.insert(self.journal(subject, operator, path, identity)?),
        };
        let name = self.name.as_deref().unwrap_or("measuring");
        let total = options.budget as u64;
        let stage = subject.progress.stage(name, "products", total);
        let watched = Watched {
            operator,
            stage: &stage,
        };
        let mut spectral = spectral::measure(subject, &watched, self, &stage)?;
        if let Some(principal) = &principal {
            for eigenvector in &mut spectral.eigenvectors {
                let row = eigenvector.vector.unsqueeze(0)?;
                eigenvector.vector = principal.embed(&row)?.squeeze(0)?;
            }
        }
        Ok((spectral, journal))
    }

    /// The journal at `path`, one for each group with `--each`.
    fn journal<'c>(
        &self,
        subject: &Subject<'_>,
        operator: Box<dyn LinearOperator + 'c>,
        path: &Path,
        identity: &str,
    ) -> Result<Journalled<'c>> {
        let (path, identity) = match &self.name {
            None => (path.to_owned(), identity.to_owned()),
            Some(name) => (numbered(path, self.number), format!("{identity} {name}")),
        };
        let journal = Journal::open(operator, &path, &identity)?;
        if journal.recorded() > 0 {
            let line = format!("{} products are in {}", journal.recorded(), path.display());
            subject.progress.say(&line);
        }
        Ok(journal)
    }

    /// Where in `out` its files belong.
    pub(super) fn directory(&self, out: &Path) -> PathBuf {
        match &self.name {
            None => out.to_owned(),
            Some(name) => out.join(directory(self.number, name)),
        }
    }

    /// Says what less memory changes.
    fn explain(&self, subject: &Subject<'_>) {
        let Plan {
            basis,
            basis_wished,
            ..
        } = self.plan;
        if basis < basis_wished {
            let of = self
                .name
                .as_ref()
                .map_or_else(String::new, |name| format!(" of {name}"));
            subject.progress.say(&format!(
                "the search for eigenvalues{of} holds {basis} vectors, not {basis_wished}, to fit --vector-memory"
            ));
        }
    }
}

/// The blocks that are asked for, all of which fit the memory.
pub(super) fn blocks(
    options: &MeasureOptions,
    what: &[What],
    mean_loss: &MeanLoss<'_>,
) -> Result<Vec<Block>> {
    let layout = mean_loss.network().layout();
    let groups: Vec<(Option<String>, Vec<Range<usize>>)> = match options.each.as_slice() {
        [] if options.parameters.is_empty() => vec![(None, layout.select(&["*"])?)],
        [] => vec![(None, layout.select(&options.parameters)?)],
        [only] if only == LAYERS => layout
            .layers()
            .into_iter()
            .map(|(name, range)| (Some(name.to_owned()), vec![range]))
            .collect(),
        patterns => patterns
            .iter()
            .map(|pattern| Ok((Some(pattern.clone()), layout.select(&[pattern])?)))
            .collect::<Result<_>>()?,
    };
    if !options.each.is_empty() && !what.iter().all(What::of_matrix) {
        bail!(
            "--each measures blocks of the matrix: top, bottom, trace, frobenius, diagonal, density and what \
             comes from it; ask for the others without it"
        );
    }
    let blocks = groups.into_iter().zip(1..).map(|((name, ranges), number)| {
        let asked = Asked {
            options,
            what,
            dim: ranges.iter().map(Range::len).sum(),
            parameters: layout.dim(),
            dtype: mean_loss.settings().dtype,
            sweeps: mean_loss.sweeps_at_a_time(),
        };
        let plan = match &name {
            None => asked.plan(),
            Some(name) => asked.plan().with_context(|| name.clone()),
        };
        Ok(Block {
            name,
            number,
            ranges,
            plan: plan?,
        })
    });
    blocks.collect()
}

/// `path` with the number of a block behind it.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// A directory for the files of the group called `name`: what a file system may not take becomes `_`.
fn directory(number: usize, name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let name: String = name
        .chars()
        .map(|letter| if plain(letter) { letter } else { '_' })
        .collect();
    format!("{number}-{name}")
}
