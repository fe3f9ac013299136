//! The two correlations and the kernel's gradient by the way that suits their shape, cut into parts
//! for the threads: by images or, where the work on the kernel's taps would weigh too much in every
//! part, by outputs.

use std::ops::Range;

use candle_core::Result;
use pulp::Arch;

use super::kernel::Store;
use super::operands::{Extents, Images, Taps};
use super::winograd::gradient::Target;
use super::winograd::taps::{AddGradient, Kernel, Order};
use super::winograd::{PLACES, Tiling};
use super::{direct, pointwise, winograd};
use crate::parallel::{each_part, fill_parts, map_parts, parts, threads};
use crate::vectors::{Vectors, room};

/// A kernel made ready for one way of applying it.
pub(super) struct Correlation<'a, T> {
    extents: Extents,
    /// (K) in whole panels.
    start: Vec<T>,
    way: Way<'a, T>,
}

enum Way<'a, T> {
    Pointwise(Vec<T>),
    Winograd(Tiling, Kernel<'a, T>),
    Direct(direct::Direct<T>),
}

impl<'a, T: Vectors> Correlation<'a, T> {
    /// y = W * x + b.
    pub(super) fn forward(extents: Extents, taps: Taps<'a, T>, bias: Option<&[T]>) -> Self {
        let mut forward = Self::new(extents, taps, Order::Kept);
        if let Some(bias) = bias {
            forward.start[..extents.outputs].copy_from_slice(bias);
        }
        forward
    }

    /// x̄ = Wᵀ * ȳ: `extents` are those of the forward pass but for the channels, those of ȳ, and
    /// the outputs, those of x̄.
    pub(super) fn backward(extents: Extents, taps: Taps<'a, T>) -> Self {
        Self::new(extents, taps, Order::Flipped)
    }

    fn new(extents: Extents, taps: Taps<'a, T>, order: Order) -> Self {
        let forward = order == Order::Kept;
        let way = if extents.is_pointwise() {
            Way::Pointwise(pointwise::pack(&extents, taps))
        } else if extents.suits_winograd() {
            let tiling = if forward {
                Tiling::forward
            } else {
                Tiling::backward
            };
            let kernel = Kernel {
                channels: extents.channels,
                outputs: extents.outputs,
                taps,
                order,
            };
            Way::Winograd(tiling(&extents), kernel)
        } else if forward {
            Way::Direct(direct::Direct::forward(&extents, taps))
        } else {
            Way::Direct(direct::Direct::backward(&extents, taps))
        };
        Self {
            extents,
            start: vec![T::ZERO; extents.outputs.next_multiple_of(T::WIDTH)],
            way,
        }
    }

    /// Applies the kernel to all `count` images.
    pub(super) fn apply(
        &self,
        images: Images<'_, T>,
        count: usize,
        out: &mut [T],
        store: Store,
    ) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        let start = &self.start;
        match &self.way {
            Way::Pointwise(packed) => fill_parts(out, count, |range, out| {
                let mut store = store;
                if store == Store::Write && start.iter().any(|&value| value != T::ZERO) {
                    let pixels = self.extents.output_pixels();
                    let outputs = self.extents.outputs;
                    for planes in out.chunks_exact_mut(outputs * pixels) {
                        for (plane, &value) in planes.chunks_exact_mut(pixels).zip(start) {
                            plane.fill(value);
                        }
                    }
                    store = Store::Add;
                }
                T::with_scratch(|scratch| {
                    Arch::new().dispatch(pointwise::Apply {
                        scratch,
                        extents: &self.extents,
                        packed,
                        images,
                        range,
                        out,
                        store,
                    });
                });
                Ok(())
            }),
            Way::Winograd(tiling, kernel) => {
                let apply = |range, panels, out: &mut [&mut [T]]| {
                    T::with_scratch(|scratch| {
                        Arch::new().dispatch(winograd::apply::Apply {
                            scratch,
                            tiling,
                            kernel: *kernel,
                            images,
                            range,
                            panels,
                            start,
                            out,
                            store,
                        });
                    });
                    Ok(())
                };
                let planes = out.chunks_exact_mut(out.len() / count);
                if cut_by_outputs::<T>(tiling, count) {
                    let planes = by_panels(tiling, planes);
                    let all =
                        each_part(planes, |panels, mut out| apply(0..count, panels, &mut out));
                    return all.map(drop);
                }
                let mut planes: Vec<_> = planes.collect();
                fill_parts(&mut planes, count, |range, out| {
                    apply(range, 0..tiling.panels::<T>(), out)
                })
            }
            Way::Direct(direct) => fill_parts(out, count, |range, out| {
                T::with_scratch(|scratch| {
                    Arch::new().dispatch(direct::Apply {
                        scratch,
                        direct,
                        images,
                        range,
                        start,
                        out,
                        store,
                    });
                });
                Ok(())
            }),
        }
    }
}

/// Whether the parts are better cut by outputs than by images: transforming a kernel costs each
/// part about as much as 25 tiles do, transforming the images in every part 16 / outputs of the
/// products.
fn cut_by_outputs<T: Vectors>(tiling: &Tiling, images: usize) -> bool {
    let outputs = tiling.panels::<T>() * T::WIDTH;
    images < threads() || tiling.tiles_of(images) < 2 * outputs
}

/// The planes of each part's panels, image by image.
fn by_panels<'o, T: Vectors>(
    tiling: &Tiling,
    images: impl Iterator<Item = &'o mut [T]>,
) -> Vec<(Range<usize>, Vec<&'o mut [T]>)> {
    let mut pieces: Vec<_> = (parts(tiling.panels::<T>()).into_iter())
        .map(|panels| (panels, Vec::new()))
        .collect();
    for mut planes in images {
        let width = planes.len() / tiling.outputs() * T::WIDTH;
        for (panels, piece) in &mut pieces {
            let (mine, behind) = planes.split_at_mut(planes.len().min(panels.len() * width));
            piece.push(mine);
            planes = behind;
        }
    }
    pieces
}

/// W̄ += ȳ x of `count` images and cotangents.
pub(super) fn accumulate_gradient<T: Vectors>(
    extents: &Extents,
    images: Images<'_, T>,
    cotangents: Images<'_, T>,
    count: usize,
    sum: &mut [T],
) -> Result<()> {
    if sum.is_empty() || extents.image_pixels() == 0 {
        return Ok(());
    }
    let (rows, columns) = extents.kernel;
    let width = extents.outputs.next_multiple_of(T::WIDTH) * extents.channels;
    if extents.suits_winograd() {
        return winograd_gradient(extents, images, cotangents, count, sum);
    }
    let parts = map_parts(count, |range| {
        let mut sum = vec![T::ZERO; rows * columns * width];
        T::with_scratch(|scratch| {
            Arch::new().dispatch(direct::gradient::Gradient {
                scratch,
                extents,
                images,
                cotangents,
                range,
                sum: &mut sum,
            });
        });
        Ok(sum)
    })?;
    for part in parts {
        direct::gradient::add_gradient(extents, &part, sum);
    }
    Ok(())
}

fn winograd_gradient<T: Vectors>(
    extents: &Extents,
    images: Images<'_, T>,
    cotangents: Images<'_, T>,
    count: usize,
    sum: &mut [T],
) -> Result<()> {
    let tiling = &Tiling::forward(extents);
    let (channels, all) = (extents.channels, tiling.panels::<T>());
    let gradient = |range, panels, target: Target<'_, T>| {
        T::with_scratch(|scratch| {
            Arch::new().dispatch(winograd::gradient::Gradient {
                scratch,
                tiling,
                images,
                cotangents,
                range,
                panels,
                target,
            });
        });
    };
    if cut_by_outputs::<T>(tiling, count) || threads() < 2 {
        let sums = by_panels(tiling, std::iter::once(sum));
        let added = each_part(sums, |panels, mut sums| {
            for sum in &mut sums {
                gradient(0..count, panels.clone(), Target::Sum(sum));
            }
            Ok(())
        });
        return added.map(drop);
    }
    let size = PLACES * channels * all * T::WIDTH;
    let parts = map_parts(count, |range| {
        let mut packed = T::with_scratch(|scratch| std::mem::take(&mut scratch.gradient));
        let target = Target::Packed(room(&mut packed, size));
        gradient(range, 0..all, target);
        Ok(packed)
    })?;
    for packed in parts {
        Arch::new().dispatch(AddGradient {
            channels,
            packed: &packed[..size],
            sum,
        });
        T::with_scratch(|scratch| scratch.gradient = packed);
    }
    Ok(())
}
