//! x <- c x + Σ cᵢ xᵢ in place, in one pass over memory on the CPU.

use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor, WithDType, bail};

/// Replaces `target` by `keep` times itself plus the weighted `addends`.
///
/// # Errors
/// Tensors that share storage with `target` or are not contiguous, or a device error.
pub(crate) fn combine<const N: usize>(
    target: &Tensor,
    keep: f64,
    addends: [(f64, &Tensor); N],
) -> Result<()> {
    match addends.as_slice() {
        &[(a, x)] if target.device().is_cpu() => {
            target.inplace_op2(x, &Combination { keep, a, b: 0.0 })
        }
        &[(a, x), (b, y)] if target.device().is_cpu() => {
            target.inplace_op3(x, y, &Combination { keep, a, b })
        }
        addends => {
            let sum = addends
                .iter()
                .try_fold((target * keep)?, |sum, &(factor, addend)| {
                    sum + (addend * factor)?
                })?;
            target.slice_set(&sum, 0, 0)
        }
    }
}

/// target <- keep target + a x + b y.
struct Combination {
    keep: f64,
    a: f64,
    b: f64,
}

impl Combination {
    fn two<T: WithDType>(&self, target: &mut [T], x: &[T]) {
        let (keep, a) = (T::from_f64(self.keep), T::from_f64(self.a));
        for (target, &x) in target.iter_mut().zip(x) {
            *target = keep * *target + a * x;
        }
    }

    fn three<T: WithDType>(&self, target: &mut [T], x: &[T], y: &[T]) {
        let (keep, a, b) = (
            T::from_f64(self.keep),
            T::from_f64(self.a),
            T::from_f64(self.b),
        );
        for ((target, &x), &y) in target.iter_mut().zip(x).zip(y) {
            *target = keep * *target + a * x + b * y;
        }
    }
}

impl InplaceOp2 for Combination {
    fn name(&self) -> &'static str {
        "combination-of-two"
    }

    fn cpu_fwd(
        &self,
        target: &mut CpuStorage,
        layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
    ) -> Result<()> {
        let (range, x_range) = (range(layout)?, range(x_layout)?);
        match target {
            CpuStorage::F32(target) => self.two(&mut target[range], &x.as_slice()?[x_range]),
            CpuStorage::F64(target) => self.two(&mut target[range], &x.as_slice()?[x_range]),
            _ => bail!("expected vectors of f32 or f64"),
        }
        Ok(())
    }
}

impl InplaceOp3 for Combination {
    fn name(&self) -> &'static str {
        "combination-of-three"
    }

    fn cpu_fwd(
        &self,
        target: &mut CpuStorage,
        layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
    ) -> Result<()> {
        let (range, x_range, y_range) = (range(layout)?, range(x_layout)?, range(y_layout)?);
        match target {
            CpuStorage::F32(target) => {
                self.three(
                    &mut target[range],
                    &x.as_slice()?[x_range],
                    &y.as_slice()?[y_range],
                );
            }
            CpuStorage::F64(target) => {
                self.three(
                    &mut target[range],
                    &x.as_slice()?[x_range],
                    &y.as_slice()?[y_range],
                );
            }
            _ => bail!("expected vectors of f32 or f64"),
        }
        Ok(())
    }
}

fn range(layout: &Layout) -> Result<std::ops::Range<usize>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(start..end),
        None => bail!("expected a contiguous vector, got {layout:?}"),
    }
}
