//! New elements, written once: by several threads where they are granted, and without zeros first.

use std::mem::MaybeUninit;
use std::ops::Range;

use candle_core::{Result, bail};

use crate::parallel::fill_parts;
use crate::vectorised::vectorised;

/// Room for the elements of one part, filled from its front.
pub(crate) struct Spare<'a, T> {
    slots: &'a mut [MaybeUninit<T>],
    written: usize,
}

impl<T: Copy> Spare<'_, T> {
    /// Writes `values` behind what is written; those that find no room are dropped.
    pub(crate) fn extend(&mut self, values: impl Iterator<Item = T>) {
        let room = &mut self.slots[self.written..];
        self.written += vectorised(|| {
            let mut count = 0;
            for (slot, value) in room.iter_mut().zip(values) {
                slot.write(value);
                count += 1;
            }
            count
        });
    }
}

/// The `width` elements of each of `items` items in their order; `work` writes those of a part.
///
/// # Errors
/// That of `work`, or a part that `work` has not filled.
pub(crate) fn collect<T: Copy + Send>(
    items: usize,
    width: usize,
    work: impl Fn(Range<usize>, &mut Spare<'_, T>) -> Result<()> + Sync,
) -> Result<Vec<T>> {
    let length = items * width;
    let mut elements = Vec::with_capacity(length);
    let slots = &mut elements.spare_capacity_mut()[..length];
    fill_parts(slots, items, |part, slots| {
        let mut spare = Spare { slots, written: 0 };
        work(part, &mut spare)?;
        if spare.written < spare.slots.len() {
            bail!(
                "expected {} elements, got {}",
                spare.slots.len(),
                spare.written
            );
        }
        Ok(())
    })?;
    // SAFETY: the parts of `fill_parts` cover the first `length` slots, and each has counted as many
    // written elements, from its front, as it has slots.
    #[allow(unsafe_code, reason = "see the crate root")]
    unsafe {
        elements.set_len(length);
    }
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use super::collect;
    use crate::parallel::with_threads;

    #[test]
    fn parts_are_written_in_order_whatever_the_threads() {
        for threads in [1, 2, 3] {
            for (items, width) in [(0, 3), (1, 4), (7, 2), (5, 0)] {
                let elements = with_threads(threads, || {
                    collect(items, width, |part, spare| {
                        part.for_each(|item| {
                            spare.extend((0..width).map(|place| item * width + place));
                        });
                        Ok(())
                    })
                });
                assert!(elements.unwrap().into_iter().eq(0..items * width));
            }
        }
    }

    #[test]
    fn too_few_elements_are_an_error_and_too_many_are_dropped() {
        for threads in [1, 2] {
            with_threads(threads, || {
                let one_missing = collect(2, 3, |part, spare| {
                    spare.extend(0..3 * part.len() - usize::from(part.contains(&1)));
                    Ok(())
                });
                assert!(one_missing.is_err());
                let one_more = collect(2, 3, |part, spare| {
                    spare.extend(0..3 * part.len() + 1);
                    Ok(())
                });
                assert_eq!(one_more.unwrap().len(), 6);
            });
        }
    }
}
