//! The steps of a network: layers in their places, and sums.

use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;

use crate::{Layer, Point};

/// One step of a network. Value 0 is the input, value k + 1 the output of node k.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// A layer behind one value.
    Layer(LayerNode),
    /// The sum of two values.
    Add([usize; 2]),
}

/// A layer in its place.
#[derive(Debug, Clone)]
pub(crate) struct LayerNode {
    pub(crate) name: String,
    pub(crate) layer: Arc<dyn Layer>,
    /// Value it takes.
    pub(crate) input: usize,
    /// Shape of one input example.
    pub(crate) input_shape: Vec<usize>,
    /// Its parameters among those of the layout.
    pub(crate) parameters: Range<usize>,
}

impl LayerNode {
    pub(crate) fn at<'a>(&'a self, parameters: &'a [Tensor], saved: &'a [Tensor]) -> Point<'a> {
        Point {
            parameters: &parameters[self.parameters.clone()],
            saved,
            input_shape: &self.input_shape,
        }
    }
}

impl Node {
    /// Values it takes.
    pub(crate) fn inputs(&self) -> &[usize] {
        match self {
            Self::Layer(node) => std::slice::from_ref(&node.input),
            Self::Add(inputs) => inputs,
        }
    }

    pub(crate) fn layer(&self) -> Option<&LayerNode> {
        match self {
            Self::Layer(node) => Some(node),
            Self::Add(_) => None,
        }
    }
}
