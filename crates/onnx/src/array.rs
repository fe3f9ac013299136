//! Constant tensors, as the importer computes with them.

use std::rc::Rc;

/// Most elements of one constant: a mask of 4096 by 4096.
const MAX_ELEMENTS: usize = 1 << 24;

/// What a rule has to say against a node, as a predicate.
pub(crate) type Reason = std::borrow::Cow<'static, str>;

/// What the elements of a constant are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Float,
    Int,
    Bool,
}

/// A constant tensor in row-major order. Integers are held as f64: those that are extents are exact, and the largest of
/// i64, which stands for "to the end", stays the largest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) kind: Kind,
    pub(crate) values: Rc<Vec<f64>>,
}

/// Number of elements of `shape`, where there is memory for them.
pub(crate) fn elements(shape: &[usize]) -> Result<usize, Reason> {
    let product = shape
        .iter()
        .try_fold(1, |product: usize, &extent| product.checked_mul(extent));
    let count = product.filter(|&count| count <= MAX_ELEMENTS);
    count.ok_or_else(|| format!("makes a constant of shape {shape:?}, which is too large").into())
}

/// The shape that `left` and `right` are broadcast to, aligned from the right.
pub(crate) fn broadcast(left: &[usize], right: &[usize]) -> Result<Vec<usize>, Reason> {
    let rank = left.len().max(right.len());
    let at = |shape: &[usize], axis: usize| {
        let missing = rank - shape.len();
        if axis < missing {
            1
        } else {
            shape[axis - missing]
        }
    };
    let extents = (0..rank).map(|axis| match (at(left, axis), at(right, axis)) {
        (one, other) if one == other || other == 1 => Ok(one),
        (1, other) => Ok(other),
        _ => Err(format!("cannot broadcast {left:?} to {right:?}").into()),
    });
    extents.collect()
}

/// Strides of a tensor in row-major order.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

impl Array {
    pub(crate) fn new(shape: Vec<usize>, kind: Kind, values: Vec<f64>) -> Self {
        Self {
            shape,
            kind,
            values: Rc::new(values),
        }
    }

    /// A vector of integers.
    pub(crate) fn integers(values: impl IntoIterator<Item = i64>) -> Self {
        let values: Vec<f64> = values.into_iter().map(|value| value as f64).collect();
        Self::new(vec![values.len()], Kind::Int, values)
    }

    /// The elements as integers.
    pub(crate) fn as_integers(&self) -> Vec<i64> {
        self.values.iter().map(|&value| value as i64).collect()
    }

    /// The one element, where there is one.
    pub(crate) fn scalar(&self) -> Option<f64> {
        match self.values[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// Whether all elements are `value`.
    pub(crate) fn is_all(&self, value: f64) -> bool {
        self.values.iter().all(|&element| element == value)
    }

    /// The tensor of `shape` whose element at an index is that of this one at the offset from `start` that `strides` give.
    pub(crate) fn gather(
        &self,
        shape: Vec<usize>,
        start: usize,
        strides: &[isize],
    ) -> Result<Self, Reason> {
        let count = elements(&shape)?;
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0; shape.len()];
        let mut at = start as isize;
        for _ in 0..count {
            values.push(self.values.get(at as usize).copied().unwrap_or(0.0));
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                at += strides[axis];
                if index[axis] < shape[axis] {
                    break;
                }
                at -= strides[axis] * shape[axis] as isize;
                index[axis] = 0;
            }
        }
        Ok(Self::new(shape, self.kind, values))
    }

    /// Broadcast to `shape`, which it fits.
    pub(crate) fn expand(&self, shape: &[usize]) -> Result<Self, Reason> {
        if self.shape == shape {
            return Ok(self.clone());
        }
        let missing = shape.len().saturating_sub(self.shape.len());
        let own = strides(&self.shape);
        let stride = |axis: usize| match axis.checked_sub(missing) {
            Some(own_axis) if self.shape[own_axis] > 1 => own[own_axis] as isize,
            _ => 0,
        };
        let strides: Vec<isize> = (0..shape.len()).map(stride).collect();
        self.gather(shape.to_vec(), 0, &strides)
    }

    /// Elementwise, of two that are broadcast to each other.
    pub(crate) fn combine(
        &self,
        other: &Self,
        kind: Kind,
        combine: impl Fn(f64, f64) -> f64,
    ) -> Result<Self, Reason> {
        let shape = broadcast(&self.shape, &other.shape)?;
        let (left, right) = (self.expand(&shape)?, other.expand(&shape)?);
        let pairs = left.values.iter().zip(right.values.iter());
        let values = pairs.map(|(&left, &right)| combine(left, right)).collect();
        Ok(Self::new(shape, kind, values))
    }

    pub(crate) fn map(&self, kind: Kind, map: impl Fn(f64) -> f64) -> Self {
        let values = self.values.iter().map(|&value| map(value)).collect();
        Self::new(self.shape.clone(), kind, values)
    }
}
