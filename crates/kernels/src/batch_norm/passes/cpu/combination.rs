//! scale · b + slope · (x - mean) + shift, as a new block or added to one.

use candle_core::{Result, Tensor};

use super::super::{Combination, Normalised};
use super::{Run, Sizes};
use crate::collect::collect;
use crate::elementwise::update_with;
use crate::parallel::fill_parts;
use crate::real::{Elements, Real, elements, tensor};
use crate::vectorised::add_to;

/// The elements of a combination.
struct Operands<'a, T> {
    x: Elements<'a, T>,
    mean: Elements<'a, T>,
    block: Option<(Elements<'a, T>, Elements<'a, f64>)>,
    slope: Elements<'a, f64>,
    shift: Elements<'a, f64>,
}

impl<'a, T: Real> Operands<'a, T> {
    fn new(normalised: Normalised<'a>, combination: &'a Combination<'_>) -> Result<Self> {
        let block = match &combination.block {
            Some((block, scale)) => Some((elements(block)?, elements(scale)?)),
            None => None,
        };
        Ok(Self {
            x: elements(normalised.x)?,
            mean: elements(normalised.mean)?,
            block,
            slope: elements(&combination.slope)?,
            shift: elements(&combination.shift)?,
        })
    }

    fn slices(&self) -> Result<Slices<'_, T>> {
        let block = match &self.block {
            Some((block, scale)) => Some((block.slice()?, scale.slice()?)),
            None => None,
        };
        Ok(Slices {
            x: self.x.slice()?,
            mean: self.mean.slice()?,
            block,
            slope: self.slope.slice()?,
            shift: self.shift.slice()?,
        })
    }
}

struct Slices<'a, T> {
    x: &'a [T],
    mean: &'a [T],
    block: Option<(&'a [T], &'a [f64])>,
    slope: &'a [f64],
    shift: &'a [f64],
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

pub(in crate::batch_norm::passes) fn combine<T: Real>(
    normalised: Normalised<'_>,
    combination: &Combination<'_>,
) -> Result<Tensor> {
    let (vectors, channels) = combination.slope.dims2()?;
    let x = normalised.x;
    let (images, _, height, width) = x.dims4()?;
    let sizes = Sizes::new(x, vectors)?;
    let operands = Operands::<T>::new(normalised, combination)?;
    let operands = operands.slices()?;
    let combined = collect(sizes.rows(), sizes.width(), |rows, spare| {
        for run in sizes.runs(rows) {
            let Terms {
                x,
                mean,
                slope,
                shift,
                block,
            } = operands.terms(&run, sizes.area);
            let normal = x.iter().map(|&x| slope * (x - mean) + shift);
            match block {
                None => spare.extend(normal),
                Some((block, scale)) => {
                    spare.extend(normal.zip(block).map(|(normal, &b)| scale * b + normal));
                }
            }
        }
        Ok(())
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
    let operands = match combination {
        Some((normalised, combination)) => Some(Operands::<T>::new(normalised, combination)?),
        None => None,
    };
    let operands = match &operands {
        Some(operands) => Some(operands.slices()?),
        None => None,
    };
    let mut sources = vec![cotangent];
    if let Some((normalised, combination)) = combination {
        sources.extend([normalised.x, normalised.mean]);
        sources.extend(combination.block.as_ref().map(|&(block, _)| block));
    }
    update_with(sum, &sources, |sum: &mut [T]| {
        fill_parts(sum, sizes.rows(), |rows, sum| {
            let runs = sum.chunks_exact_mut(sizes.area.max(1));
            for (run, sum) in sizes.runs(rows).zip(runs) {
                let weight = T::from_f64(weight[run.number]);
                let cotangent = &cotangents[run.primal..][..sizes.area];
                let weighted = cotangent.iter().map(|&y| weight * y);
                let Some(operands) = &operands else {
                    add_to(sum, weighted);
                    continue;
                };
                let Terms {
                    x,
                    mean,
                    slope,
                    shift,
                    block,
                } = operands.terms(&run, sizes.area);
                let normal = x.iter().map(|&x| slope * (x - mean) + shift);
                let terms = weighted.zip(normal).map(|(y, normal)| y + normal);
                match block {
                    None => add_to(sum, terms),
                    Some((block, scale)) => {
                        add_to(sum, terms.zip(block).map(|(term, &b)| scale * b + term));
                    }
                }
            }
            Ok(())
        })
    })
}
