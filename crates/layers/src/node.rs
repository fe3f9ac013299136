//! The steps of a network: layers in their places, and sums.

use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;

use crate::{Layer, Point};

/// One step as the network keeps it; values are numbered as in [`Step`].
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

/// One step of a network. Value 0 is the input, value k + 1 the output of step k.
#[derive(Debug, Clone)]
pub enum Step<'n> {
    /// A layer behind one value.
    Layer {
        /// Its name.
        name: &'n str,
        /// The layer.
        layer: &'n dyn Layer,
        /// Value it takes.
        input: usize,
        /// Its parameters among those of the layout.
        parameters: Range<usize>,
    },
    /// The sum of two values.
    Sum([usize; 2]),
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

    pub(crate) fn step(&self) -> Step<'_> {
        match self {
            Self::Layer(node) => Step::Layer {
                name: &node.name,
                layer: node.layer.as_ref(),
                input: node.input,
                parameters: node.parameters.clone(),
            },
            Self::Add(inputs) => Step::Sum(*inputs),
        }
    }
}
