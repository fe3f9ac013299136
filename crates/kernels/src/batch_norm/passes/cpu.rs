//! The passes on CPU slices: runs of one channel of one image, with the channel's numbers hoisted.

mod combination;

use candle_core::{Result, Tensor};

use super::Normalised;
use crate::collect::collect;
use crate::parallel::map_parts;
use crate::real::{Real, elements, tensor};
use crate::vectorised::{mean_and_deviations, reduce, terms};
pub(super) use combination::{add, combine};

/// The axes of a block, H and W as one.
#[derive(Clone, Copy)]
struct Sizes {
    images: usize,
    vectors: usize,
    channels: usize,
    area: usize,
}

/// The entries of one channel of one vector of one image.
struct Run {
    channel: usize,
    /// vector · C + channel
    number: usize,
    /// Where the run begins in a tensor (B, C, H, W).
    primal: usize,
    /// Where the run begins in a block (B, V, C, H, W).
    block: usize,
}

impl Sizes {
    /// Of a tensor (B, C, H, W), or of blocks of `vectors` that belong to it.
    fn new(x: &Tensor, vectors: usize) -> Result<Self> {
        let (images, channels, height, width) = x.dims4()?;
        Ok(Self {
            images,
            vectors,
            channels,
            area: height * width,
        })
    }

    /// One row is one vector of one image.
    fn rows(self) -> usize {
        self.images * self.vectors
    }

    fn width(self) -> usize {
        self.channels * self.area
    }

    fn runs(self, rows: std::ops::Range<usize>) -> impl Iterator<Item = Run> {
        rows.flat_map(move |row| {
            let (image, vector) = (row / self.vectors, row % self.vectors);
            (0..self.channels).map(move |channel| Run {
                channel,
                number: vector * self.channels + channel,
                primal: (image * self.channels + channel) * self.area,
                block: (row * self.channels + channel) * self.area,
            })
        })
    }
}

/// Mean, and sum of squared deviations from it, of some entries of a channel.
#[derive(Clone, Copy, Default)]
struct Moments {
    mean: f64,
    deviations: f64,
}

impl Moments {
    fn of<T: Real>(run: &[T]) -> Self {
        let (mean, deviations) = mean_and_deviations(run);
        Self { mean, deviations }
    }

    /// Of both, where `share` is the other's share in the entries of both and `entries` is the
    /// product of that share with this one's entries.
    fn merge(&mut self, other: Self, share: f64, entries: f64) {
        let step = other.mean - self.mean;
        self.mean += step * share;
        self.deviations += other.deviations + step * step * entries;
    }
}

pub(super) fn moments<T: Real>(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let sizes = Sizes::new(x, 1)?;
    let values = elements::<T>(x)?;
    let values = values.slice()?;
    let merge = |all: &mut [Moments], seen: usize, others: &[Moments], images: usize| {
        let share = images as f64 / (seen + images) as f64;
        let entries = share * (seen * sizes.area) as f64;
        for (all, &other) in all.iter_mut().zip(others) {
            all.merge(other, share, entries);
        }
    };
    let parts = map_parts(sizes.images, |images| {
        let mut all = vec![Moments::default(); sizes.channels];
        let mut image_moments = Vec::with_capacity(sizes.channels);
        for (seen, image) in images.clone().enumerate() {
            let image = &values[image * sizes.width()..][..sizes.width()];
            image_moments.clear();
            image_moments.extend(image.chunks_exact(sizes.area).map(Moments::of));
            merge(&mut all, seen, &image_moments, 1);
        }
        Ok((images.len(), all))
    })?;
    let (mut seen, mut all) = (0, vec![Moments::default(); sizes.channels]);
    for (images, part) in parts {
        merge(&mut all, seen, &part, images);
        seen += images;
    }
    let entries = (seen * sizes.area) as f64;
    let mean = all.iter().map(|moments| moments.mean).collect();
    let variance = all
        .iter()
        .map(|moments| moments.deviations / entries)
        .collect();
    Ok((
        tensor::<f64, _>(mean, sizes.channels, x)?,
        tensor::<f64, _>(variance, sizes.channels, x)?,
    ))
}

pub(super) fn sums<T: Real>(
    Normalised { x, mean }: Normalised<'_>,
    block: &Tensor,
) -> Result<[Tensor; 2]> {
    let sizes = Sizes::new(x, block.dim(1)?)?;
    let (x_values, mean, blocks) = (elements::<T>(x)?, elements::<T>(mean)?, elements(block)?);
    let (x_values, mean, blocks) = (x_values.slice()?, mean.slice()?, blocks.slice()?);
    let sums = channel_sums(sizes, |run| {
        let mean = mean[run.channel];
        let x = &x_values[run.primal..][..sizes.area];
        let block = &blocks[run.block..][..sizes.area];
        reduce(x, block, mean, terms::centred_product)
    })?;
    let column = |k: usize| {
        let column = sums.iter().map(|sums| sums[k]).collect();
        tensor::<f64, _>(column, (sizes.vectors, sizes.channels), x)
    };
    Ok([column(0)?, column(1)?])
}

pub(super) fn inner<T: Real>(cotangent: &Tensor, block: &Tensor) -> Result<Tensor> {
    let sizes = Sizes::new(cotangent, block.dim(1)?)?;
    let (cotangents, blocks) = (elements::<T>(cotangent)?, elements(block)?);
    let (cotangents, blocks) = (cotangents.slice()?, blocks.slice()?);
    let sums = channel_sums(sizes, |run| {
        let cotangent = &cotangents[run.primal..][..sizes.area];
        let block = &blocks[run.block..][..sizes.area];
        reduce(cotangent, block, T::ZERO, terms::product)
    })?;
    let sums = sums.into_iter().map(|[sum]| sum).collect();
    tensor::<f64, _>(sums, (sizes.vectors, sizes.channels), cotangent)
}

/// Sums over the images of what `reduced` makes of each run, (V, C).
fn channel_sums<const K: usize>(
    sizes: Sizes,
    reduced: impl Fn(Run) -> [f64; K] + Sync,
) -> Result<Vec<[f64; K]>> {
    let zeros = || vec![[0.0; K]; sizes.vectors * sizes.channels];
    let add = |total: &mut [f64; K], terms: [f64; K]| {
        total
            .iter_mut()
            .zip(terms)
            .for_each(|(total, term)| *total += term);
    };
    let parts = map_parts(sizes.rows(), |rows| {
        let mut totals = zeros();
        for run in sizes.runs(rows) {
            let number = run.number;
            add(&mut totals[number], reduced(run));
        }
        Ok(totals)
    })?;
    let mut totals = zeros();
    for part in parts {
        totals
            .iter_mut()
            .zip(part)
            .for_each(|(total, terms)| add(total, terms));
    }
    Ok(totals)
}

pub(super) fn scale<T: Real>(block: &Tensor, scale: &Tensor) -> Result<Tensor> {
    let (images, vectors, channels, height, width) = block.dims5()?;
    let sizes = Sizes {
        images,
        vectors,
        channels,
        area: height * width,
    };
    let (blocks, scale) = (elements::<T>(block)?, elements::<f64>(scale)?);
    let (blocks, scale) = (blocks.slice()?, scale.slice()?);
    let scaled = collect(sizes.rows(), sizes.width(), |rows, spare| {
        for run in sizes.runs(rows) {
            let scale = T::from_f64(scale[run.channel]);
            let block = &blocks[run.block..][..sizes.area];
            spare.extend(block.iter().map(|&b| scale * b));
        }
        Ok(())
    })?;
    tensor(scaled, block.shape(), block)
}
