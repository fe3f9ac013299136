//! The two correlations and the kernel's gradient by the way that suits their shape, cut into parts
//! by images.

use candle_core::Result;
use pulp::Arch;

use super::kernel::Store;
use super::number::{Number, room};
use super::operands::{Extents, Images, Taps};
use super::winograd::Tiling;
use super::winograd::taps::{AddGradient, Order, Pack};
use super::{direct, pointwise, winograd};
use crate::parallel::{fill_parts, map_parts};

/// A kernel made ready for one way of applying it.
pub(super) struct Correlation<T> {
    extents: Extents,
    /// (K) in whole panels.
    start: Vec<T>,
    way: Way<T>,
}

enum Way<T> {
    Pointwise(Vec<T>),
    Winograd(Tiling, Vec<T>),
    Direct(direct::Direct<T>),
}

impl<T: Number> Correlation<T> {
    /// y = W * x + b.
    pub(super) fn forward(extents: Extents, taps: Taps<'_, T>, bias: Option<&[T]>) -> Self {
        let mut start = vec![T::ZERO; extents.outputs.next_multiple_of(T::WIDTH)];
        if let Some(bias) = bias {
            start[..extents.outputs].copy_from_slice(bias);
        }
        let way = if extents.is_pointwise() {
            Way::Pointwise(pointwise::pack(&extents, taps))
        } else if extents.suits_winograd() {
            let packed = Arch::new().dispatch(Pack {
                extents: &extents,
                taps,
                order: Order::Kept,
            });
            Way::Winograd(Tiling::forward(&extents), packed)
        } else {
            Way::Direct(direct::Direct::forward(&extents, taps))
        };
        Self {
            extents,
            start,
            way,
        }
    }

    /// x̄ = Wᵀ * ȳ: `extents` are those of the forward pass but for the channels, those of ȳ, and
    /// the outputs, those of x̄.
    pub(super) fn backward(extents: Extents, taps: Taps<'_, T>) -> Self {
        let start = vec![T::ZERO; extents.outputs.next_multiple_of(T::WIDTH)];
        let way = if extents.is_pointwise() {
            Way::Pointwise(pointwise::pack(&extents, taps))
        } else if extents.suits_winograd() {
            let packed = Arch::new().dispatch(Pack {
                extents: &extents,
                taps,
                order: Order::Flipped,
            });
            Way::Winograd(Tiling::backward(&extents), packed)
        } else {
            Way::Direct(direct::Direct::backward(&extents, taps))
        };
        Self {
            extents,
            start,
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
        fill_parts(out, count, |range, out| {
            let start = &self.start;
            T::with_scratch(|scratch| match &self.way {
                Way::Pointwise(packed) => {
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
                    Arch::new().dispatch(pointwise::Apply {
                        scratch,
                        extents: &self.extents,
                        packed,
                        images,
                        range,
                        out,
                        store,
                    });
                }
                Way::Winograd(tiling, packed) => Arch::new().dispatch(winograd::apply::Apply {
                    scratch,
                    tiling,
                    packed,
                    images,
                    range,
                    start,
                    out,
                    store,
                }),
                Way::Direct(direct) => Arch::new().dispatch(direct::Apply {
                    scratch,
                    direct,
                    images,
                    range,
                    start,
                    out,
                    store,
                }),
            });
            Ok(())
        })
    }
}

/// W̄ += ȳ x of `count` images and cotangents.
pub(super) fn accumulate_gradient<T: Number>(
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
        let tiling = &Tiling::forward(extents);
        let parts = map_parts(count, |range| {
            Ok(T::with_scratch(|scratch| {
                let mut packed = std::mem::take(&mut scratch.gradient);
                Arch::new().dispatch(winograd::gradient::Gradient {
                    scratch,
                    tiling,
                    images,
                    cotangents,
                    range,
                    sum: room(&mut packed, winograd::PLACES * width),
                });
                packed
            }))
        })?;
        for packed in parts {
            Arch::new().dispatch(AddGradient {
                extents,
                packed: &packed[..winograd::PLACES * width],
                sum,
            });
            T::with_scratch(|scratch| scratch.gradient = packed);
        }
        return Ok(());
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
