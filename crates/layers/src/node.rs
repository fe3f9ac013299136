//! The steps of a network: layers in their places.

use std::sync::Arc;

use candle_core::Tensor;

use crate::{Layer, Point};

/// A layer in its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) layer: Arc<dyn Layer>,
    /// Values it takes, numbered as in [`Step`].
    pub(crate) inputs: Vec<usize>,
    /// Shape of one example of each.
    pub(crate) input_shapes: Vec<Vec<usize>>,
    /// Its parameters among those of the layout.
    pub(crate) parameters: Vec<usize>,
}

/// One step of a network: a layer and where it stands. Value 0 is the input, value k + 1 the output of step k.
#[derive(Debug, Clone, Copy)]
pub struct Step<'n> {
    /// Its name.
    pub name: &'n str,
    /// The layer.
    pub layer: &'n dyn Layer,
    /// Values it takes.
    pub inputs: &'n [usize],
    /// Its parameters among those of the layout.
    pub parameters: &'n [usize],
}

impl Node {
    /// Those of `all`, one for each parameter of the layout, that are its own.
    pub(crate) fn own(&self, all: &[Tensor]) -> Vec<Tensor> {
        self.parameters
            .iter()
            .map(|&index| all[index].clone())
            .collect()
    }

    pub(crate) fn at<'a>(&'a self, parameters: &'a [Tensor], saved: &'a [Tensor]) -> Point<'a> {
        Point {
            parameters,
            saved,
            input_shapes: &self.input_shapes,
        }
    }

    /// Shapes of one example of each input, as the layer takes them.
    pub(crate) fn shapes(&self) -> Vec<&[usize]> {
        self.input_shapes.iter().map(Vec::as_slice).collect()
    }

    pub(crate) fn step(&self) -> Step<'_> {
        Step {
            name: &self.name,
            layer: self.layer.as_ref(),
            inputs: &self.inputs,
            parameters: &self.parameters,
        }
    }
}
