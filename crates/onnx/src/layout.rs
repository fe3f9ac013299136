//! Where the examples of a batch are in a tensor of the file.
//!
//! A network here has its batch in front and sees one example; a file has a batch axis anywhere, and may merge it with a
//! neighbour (B heads, T, d). While extents are computed, B is a number that no other extent is a multiple of. The
//! elements of one example keep their order whatever the axes are, so that most of what a file does to its batch axis is
//! nothing here.

use crate::array::Reason;

/// The axes of a value of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Extent of each axis in one example: that of the batch axis is one, or of what it is merged with.
    pub(crate) axes: Vec<usize>,
    /// None for a value that is the same for all examples.
    pub(crate) batch: Option<Batch>,
}

/// The batch axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) axis: usize,
    /// Extent of what is before the examples in this axis.
    pub(crate) before: usize,
}

impl Layout {
    /// Of a value with its batch in front of `example`.
    pub(crate) fn in_front(example: &[usize]) -> Self {
        let batch = Batch { axis: 0, before: 1 };
        Self {
            axes: [&[1], example].concat(),
            batch: Some(batch),
        }
    }

    /// The batch axis that an example does not have.
    pub(crate) fn dropped(&self) -> Option<usize> {
        let batch = self.batch?;
        (self.axes[batch.axis] == 1).then_some(batch.axis)
    }

    /// Shape of one example.
    pub(crate) fn example(&self) -> Vec<usize> {
        let mut example = self.axes.clone();
        if let Some(axis) = self.dropped() {
            example.remove(axis);
        }
        example
    }

    /// Shape in the file, with `marker` examples.
    pub(crate) fn shape(&self, marker: usize) -> Vec<usize> {
        let mut shape = self.axes.clone();
        if let Some(batch) = self.batch {
            shape[batch.axis] = shape[batch.axis].saturating_mul(marker);
        }
        shape
    }

    /// The axis of an example that is `axis` of the file.
    pub(crate) fn position(&self, axis: usize) -> Result<usize, Reason> {
        match self.batch {
            Some(batch) if batch.axis == axis => {
                Err("acts on the batch axis, which would make examples depend on each other".into())
            }
            _ => Ok(axis - usize::from(self.dropped().is_some_and(|dropped| dropped < axis))),
        }
    }

    pub(crate) fn transposed(&self, perm: &[usize]) -> Self {
        let place = |batch: Batch| Batch {
            axis: perm
                .iter()
                .position(|&axis| axis == batch.axis)
                .unwrap_or(0),
            ..batch
        };
        Self {
            axes: perm.iter().map(|&axis| self.axes[axis]).collect(),
            batch: self.batch.map(place),
        }
    }

    /// With another extent of an axis that is not that of the batch.
    pub(crate) fn with(&self, axis: usize, extent: usize) -> Self {
        let mut layout = self.clone();
        layout.axes[axis] = extent;
        layout
    }

    /// With axes of one element put in at these places, ascending, of the result.
    pub(crate) fn unsqueezed(&self, places: &[usize]) -> Self {
        let mut layout = self.clone();
        for &place in places {
            layout.axes.insert(place, 1);
            if let Some(batch) = layout.batch.as_mut().filter(|batch| batch.axis >= place) {
                batch.axis += 1;
            }
        }
        layout
    }

    /// Without these axes of one element, ascending, none of which is that of the batch.
    pub(crate) fn squeezed(&self, places: &[usize]) -> Self {
        let mut layout = self.clone();
        for &place in places.iter().rev() {
            layout.axes.remove(place);
            if let Some(batch) = layout.batch.as_mut().filter(|batch| batch.axis > place) {
                batch.axis -= 1;
            }
        }
        layout
    }

    /// The same elements in `shape`, which counts `marker` examples.
    pub(crate) fn reshaped(&self, shape: &[usize], marker: usize) -> Result<Self, Reason> {
        let Some(batch) = self.batch else {
            return Ok(Self {
                axes: shape.to_vec(),
                batch: None,
            });
        };
        let ahead = self.axes[..batch.axis].iter().product::<usize>() * batch.before;
        // The examples are in an axis that begins no later than they do, and does not end before.
        let fit = |axis: usize| {
            let before: usize = shape[..axis].iter().product();
            let extent = shape[axis]
                .is_multiple_of(marker)
                .then_some(shape[axis] / marker)?;
            let inside = (before > 0 && ahead % before == 0).then_some(ahead / before)?;
            (inside > 0 && extent % inside == 0).then_some((axis, extent, inside))
        };
        let fits: Vec<_> = (0..shape.len()).filter_map(fit).collect();
        let alone = fits.iter().find(|(_, extent, _)| *extent == 1);
        let in_front = fits.iter().find(|(_, _, inside)| *inside == 1);
        let Some(&(axis, extent, before)) = alone.or(in_front).or(fits.first()) else {
            return Err("tears the batch axis into axes that mix examples".into());
        };
        let mut axes = shape.to_vec();
        axes[axis] = extent;
        let batch = Some(Batch { axis, before });
        Ok(Self { axes, batch })
    }

    /// The layout that two values are broadcast to.
    pub(crate) fn joined(&self, other: &Self) -> Result<Self, Reason> {
        let rank = self.axes.len().max(other.axes.len());
        let padded = |layout: &Self| {
            let missing = rank - layout.axes.len();
            layout.unsqueezed(&(0..missing).collect::<Vec<_>>())
        };
        let (left, right) = (padded(self), padded(other));
        let batch = match (left.batch, right.batch) {
            (Some(left), Some(right)) if left != right => {
                return Err("takes two values whose batch axes are not the same".into());
            }
            (left, right) => left.or(right),
        };
        let axes = crate::array::broadcast(&left.axes, &right.axes)?;
        // What is the same for all examples has one element where they are.
        let fits = |layout: &Self| match (batch, layout.batch) {
            (Some(batch), Some(_)) => layout.axes[batch.axis] == axes[batch.axis],
            (Some(batch), None) => layout.axes[batch.axis] == 1,
            (None, _) => true,
        };
        if !fits(&left) || !fits(&right) {
            return Err("takes values of one example and of several side by side".into());
        }
        Ok(Self { axes, batch })
    }

    /// The shape of one example of a value of `shape` that is the same for all examples, with as many axes as an example
    /// of this layout.
    pub(crate) fn aligned(&self, shape: &[usize]) -> Vec<usize> {
        let mut aligned = vec![1; self.axes.len().saturating_sub(shape.len())];
        aligned.extend(shape);
        if let Some(axis) = self.dropped() {
            aligned.remove(axis);
        }
        aligned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: usize = 4099;

    fn merged(axes: &[usize], axis: usize, before: usize) -> Layout {
        Layout {
            axes: axes.to_vec(),
            batch: Some(Batch { axis, before }),
        }
    }

    #[test]
    fn heads_are_merged_with_the_batch_and_parted_again() {
        // (B, T, E) to (T, B, E) to (T, B h, d) to (B h, T, d) to (B, h, T, d), as in `nn.MultiheadAttention`.
        let x = Layout::in_front(&[5, 8]).transposed(&[1, 0, 2]);
        assert_eq!(
            (x.example(), x.shape(MARKER)),
            (vec![5, 8], vec![5, MARKER, 8])
        );
        let heads = x.reshaped(&[5, 2 * MARKER, 4], MARKER).unwrap();
        assert_eq!(heads, merged(&[5, 2, 4], 1, 1));
        let heads = heads.transposed(&[1, 0, 2]);
        let parted = heads.reshaped(&[MARKER, 2, 5, 4], MARKER).unwrap();
        assert_eq!(parted, Layout::in_front(&[2, 5, 4]));
        assert_eq!(heads.example(), parted.example());
    }

    #[test]
    fn a_batch_between_other_axes_keeps_its_place() {
        let x = merged(&[6, 1, 4], 1, 1);
        // (6, B, 4) to (3, 2 B, 4): two before the examples.
        let split = x.reshaped(&[3, 2 * MARKER, 4], MARKER).unwrap();
        assert_eq!(split, merged(&[3, 2, 4], 1, 2));
        assert_eq!(split.reshaped(&[6, MARKER, 4], MARKER).unwrap(), x);
        // (6, B, 4) to (B, 24) would give each example the elements of others.
        assert!(x.reshaped(&[MARKER, 24], MARKER).is_err());
    }

    #[test]
    fn a_static_batch_of_one_is_the_first_axis_that_can_be_it() {
        let x = Layout::in_front(&[3, 4, 4]);
        let heads = merged(&[5, 1, 8], 1, 1);
        assert_eq!(
            heads.reshaped(&[5, 2, 4], 1).unwrap(),
            merged(&[5, 2, 4], 1, 1)
        );
        assert_eq!(x.reshaped(&[1, 48], 1).unwrap(), Layout::in_front(&[48]));
        assert_eq!(
            x.reshaped(&[1, 1, 48], 1).unwrap(),
            Layout::in_front(&[1, 48])
        );
    }
}
