//! What moves elements and computes nothing: on constants, on weights not yet read, and on values.

use crate::array::{Array, Reason, strides};

/// One step, on a tensor without its batch axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Movement {
    /// The same elements in row-major order.
    Reshape(Vec<usize>),
    /// Axis `perm[k]` becomes axis k.
    Transpose(Vec<usize>),
    /// `count` elements of `axis` from `start` on, `step` apart.
    Slice {
        axis: usize,
        start: usize,
        step: isize,
        count: usize,
    },
    /// These elements of `axis`.
    Take { axis: usize, indices: Vec<usize> },
    /// Axes of one element repeated; as many axes as before, or more in front.
    Expand(Vec<usize>),
}

impl Movement {
    /// The shape that `shape` becomes.
    pub(crate) fn shape(&self, shape: &[usize]) -> Vec<usize> {
        let with = |axis: usize, extent: usize| {
            let mut shape = shape.to_vec();
            shape[axis] = extent;
            shape
        };
        match self {
            Self::Reshape(shape) | Self::Expand(shape) => shape.clone(),
            Self::Transpose(perm) => perm.iter().map(|&axis| shape[axis]).collect(),
            Self::Slice { axis, count, .. } => with(*axis, *count),
            Self::Take { axis, indices } => with(*axis, indices.len()),
        }
    }

    /// Whether nothing moves in a tensor of `shape`.
    pub(crate) fn is_identity(&self, shape: &[usize]) -> bool {
        match self {
            Self::Reshape(_) | Self::Expand(_) => self.shape(shape) == shape,
            Self::Transpose(perm) => perm.iter().copied().eq(0..perm.len()),
            Self::Slice {
                axis,
                start,
                step,
                count,
            } => *start == 0 && *step == 1 && *count == shape[*axis],
            Self::Take { axis, indices } => indices.iter().copied().eq(0..shape[*axis]),
        }
    }

    pub(crate) fn apply(&self, array: &Array) -> Result<Array, Reason> {
        let own = strides(&array.shape);
        let mut strides: Vec<isize> = own.iter().map(|&stride| stride as isize).collect();
        let mut start = 0;
        match self {
            Self::Reshape(shape) => {
                return Ok(Array {
                    shape: shape.clone(),
                    ..array.clone()
                });
            }
            Self::Expand(shape) => return array.expand(shape),
            Self::Transpose(perm) => strides = perm.iter().map(|&axis| strides[axis]).collect(),
            Self::Slice {
                axis,
                start: first,
                step,
                ..
            } => {
                start = first * own[*axis];
                strides[*axis] = strides[*axis].saturating_mul(*step);
            }
            Self::Take { axis, indices } => {
                let shape = self.shape(&array.shape);
                let places = Array::new(shape.clone(), array.kind, Vec::new());
                let mut values = Vec::with_capacity(crate::array::elements(&shape)?);
                let inner = own[*axis];
                let block = inner * array.shape[*axis];
                let outer: usize = array.shape[..*axis].iter().product();
                for outer in 0..outer {
                    for index in indices {
                        let at = outer * block + index * inner;
                        values.extend_from_slice(
                            array.values.get(at..at + inner).unwrap_or_default(),
                        );
                    }
                }
                return Ok(Array {
                    values: values.into(),
                    ..places
                });
            }
        }
        array.gather(self.shape(&array.shape), start, &strides)
    }
}
