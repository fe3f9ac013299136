//! scale · b + slope · (x - mean) + shift, as a new block or added to one.

use candle_core::{Result, Tensor};

use super::super::{Combination, Normalised};
use super::{Run, Sizes};
use crate::collect::collect;
use crate::elementwise::update_with;
use crate::parallel::fill_parts;
use crate::real::{Real, elements, tensor};
use crate::vectorised::add_to;

/// The elements of a combination.
struct Slices<'a, T> {
    x: &'a [T],
    mean: &'a [T],
    block: Option<(&'a [T], &'a [f64])>,
    slope: &'a [f64],
    shift: &'a [f64],
}

/// Calls `work` with the elements of a combination, locked for reading.
fn with_slices<T: Real, R>(
    Normalised { x, mean }: Normalised<'_>,
    combination: &Combination<'_>,
    work: impl FnOnce(&Slices<'_, T>) -> Result<R>,
) -> Result<R> {
    let (x, mean) = (elements::<T>(x)?, elements::<T>(mean)?);
    let (slope, shift) = (elements(&combination.slope)?, elements(&combination.shift)?);
    let block = match &combination.block {
        Some((block, scale)) => Some((elements::<T>(block)?, elements(scale)?)),
        None => None,
    };
    let block = match &block {
        Some((block, scale)) => Some((block.slice()?, scale.slice()?)),
        None => None,
    };
    work(&Slices {
        x: x.slice()?,
        mean: mean.slice()?,
        block,
        slope: slope.slice()?,
        shift: shift.slice()?,
    })
}

/// What a combination's run takes its terms from.
struct Terms<'a, T> {
    x: &'a [T],
    mean: T,
    slope: T,
    shift: T,
    block: Option<(&'a [T], T)>,
}

impl<'a, T: Real> Slices<'a, T> {
    fn terms(&self, run: &Run, area: usize) -> Terms<'a, T> {
        let block = self.block.map(|(block, scale)| {
            let scale = T::from_f64(scale[run.channel]);
            (&block[run.block..][..area], scale)
        });
        Terms {
            x: &self.x[run.primal..][..area],
            mean: self.mean[run.channel],
            slope: T::from_f64(self.slope[run.number]),
            shift: T::from_f64(self.shift[run.number]),
            block,
        }
    }
}

impl<'a, T: Real> Terms<'a, T> {
    /// slope · (x - mean) + shift
    #[inline(always)]
    fn normal(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let Self {
            mean, slope, shift, ..
        } = *self;
        self.x.iter().map(move |&x| slope * (x - mean) + shift)
    }
}

pub(in crate::batch_norm::passes) fn combine<T: Real>(
    normalised: Normalised<'_>,
    combination: &Combination<'_>,
) -> Result<Tensor> {
    let (vectors, channels) = combination.slope.dims2()?;
    let x = normalised.x;
    let (images, _, height, width) = x.dims4()?;
    let sizes = Sizes::new(x, vectors)?;
    let combined = with_slices::<T, _>(normalised, combination, |slices| {
        collect(sizes.rows(), sizes.width(), |rows, spare| {
            for run in sizes.runs(rows) {
                let terms = slices.terms(&run, sizes.area);
                let normal = terms.normal();
                match terms.block {
                    None => spare.extend(normal),
                    Some((block, scale)) => {
                        spare.extend(normal.zip(block).map(|(normal, &b)| scale * b + normal));
                    }
                }
            }
            Ok(())
        })
    })?;
    tensor(combined, (images, vectors, channels, height, width), x)
}

pub(in crate::batch_norm::passes) fn add<T: Real>(
    sum: &Tensor,
    cotangent: &Tensor,
    weight: &Tensor,
    combination: Option<(Normalised<'_>, &Combination<'_>)>,
) -> Result<()> {
    let sizes = Sizes::new(cotangent, weight.dim(0)?)?;
    let (cotangents, weight) = (elements::<T>(cotangent)?, elements::<f64>(weight)?);
    let (cotangents, weight) = (cotangents.slice()?, weight.slice()?);
    let mut sources = vec![cotangent];
    if let Some((normalised, combination)) = combination {
        sources.extend([normalised.x, normalised.mean]);
        sources.extend(combination.block.as_ref().map(|&(block, _)| block));
    }
    let add = |slices: Option<&Slices<'_, T>>| {
        update_with(sum, &sources, |sum: &mut [T]| {
            fill_parts(sum, sizes.rows(), |rows, sum| {
                let runs = sum.chunks_exact_mut(sizes.area.max(1));
                for (run, sum) in sizes.runs(rows).zip(runs) {
                    let weight = T::from_f64(weight[run.number]);
                    let cotangent = &cotangents[run.primal..][..sizes.area];
                    let weighted = cotangent.iter().map(|&y| weight * y);
                    let Some(slices) = slices else {
                        add_to(sum, weighted);
                        continue;
                    };
                    let terms = slices.terms(&run, sizes.area);
                    let both = weighted.zip(terms.normal()).map(|(y, normal)| y + normal);
                    match terms.block {
                        None => add_to(sum, both),
                        Some((block, scale)) => {
                            add_to(sum, both.zip(block).map(|(term, &b)| scale * b + term));
                        }
                    }
                }
                Ok(())
            })
        })
    };
    match combination {
        None => add(None),
        Some((normalised, combination)) => {
            with_slices(normalised, combination, |slices| add(Some(slices)))
        }
    }
}
