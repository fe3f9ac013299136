//! A chain of named layers over one flat parameter vector.

use std::collections::HashSet;
use std::ops::Range;

use candle_core::Tensor;

use crate::{Error, Layer, Linearization, Loss, ParamLayout, Parameter, Point};

/// One layer of a network.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) layer: Box<dyn Layer>,
    /// Shape of one input example.
    pub(crate) input_shape: Vec<usize>,
    /// Its parameters among those of the layout.
    pub(crate) parameters: Range<usize>,
}

impl Node {
    pub(crate) fn at<'a>(&'a self, parameters: &'a [Tensor], saved: &'a [Tensor]) -> Point<'a> {
        Point {
            parameters: &parameters[self.parameters.clone()],
            saved,
            input_shape: &self.input_shape,
        }
    }
}

/// A chain of layers, with the layout of its parameters. It holds no values.
#[derive(Debug)]
pub struct Network {
    nodes: Vec<Node>,
    layout: ParamLayout,
    input_shape: Vec<usize>,
    output_shape: Vec<usize>,
    /// Nodes before this one have no parameters behind them: the backward sweep ends here.
    first_parametric: usize,
}

impl Network {
    /// Chains named layers behind inputs of `input_shape` (one example). Parameters are called
    /// `<layer>.<parameter>`.
    ///
    /// # Errors
    /// [`Error::Input`] when a layer cannot take what comes before it, [`Error::Names`] when two layers
    /// have one name, [`Error::NoParameters`].
    pub fn chain(
        input_shape: &[usize],
        layers: Vec<(String, Box<dyn Layer>)>,
    ) -> Result<Self, Error> {
        let mut names = HashSet::new();
        if let Some((name, _)) = layers.iter().find(|(name, _)| !names.insert(name.as_str())) {
            let problems = format!("there are two layers {name}");
            return Err(Error::Names { problems });
        }
        let mut shape = input_shape.to_vec();
        let (mut nodes, mut parameters) = (Vec::with_capacity(layers.len()), Vec::new());
        for (name, layer) in layers {
            let start = parameters.len();
            parameters.extend(layer.parameters().into_iter().map(|parameter| Parameter {
                name: format!("{name}.{}", parameter.name),
                ..parameter
            }));
            let output = layer.output_shape(&shape).map_err(|reason| Error::Input {
                layer: name,
                input: shape.clone(),
                reason,
            })?;
            let input_shape = std::mem::replace(&mut shape, output);
            nodes.push(Node {
                layer,
                input_shape,
                parameters: start..parameters.len(),
            });
        }
        let first_parametric = nodes
            .iter()
            .position(|node| !node.parameters.is_empty())
            .ok_or(Error::NoParameters)?;
        let layout = ParamLayout::new(parameters);
        let input_shape = input_shape.to_vec();
        Ok(Self {
            nodes,
            layout,
            input_shape,
            output_shape: shape,
            first_parametric,
        })
    }

    /// Layout of the parameters.
    #[must_use]
    pub fn layout(&self) -> &ParamLayout {
        &self.layout
    }

    /// Shape of one input example.
    #[must_use]
    pub fn input_shape(&self) -> &[usize] {
        &self.input_shape
    }

    /// Shape of one output example.
    #[must_use]
    pub fn output_shape(&self) -> &[usize] {
        &self.output_shape
    }

    /// Multiply-adds of the matrix products of one forward pass, per example.
    #[must_use]
    pub fn multiply_adds(&self) -> u64 {
        self.nodes
            .iter()
            .map(|node| node.layer.multiply_adds(&node.input_shape))
            .sum()
    }

    /// Elements of all layer outputs, per example.
    #[must_use]
    pub fn activations(&self) -> usize {
        let inputs = self
            .nodes
            .iter()
            .skip(1)
            .map(|node| node.input_shape.iter().product::<usize>());
        inputs.sum::<usize>() + self.output_shape.iter().product::<usize>()
    }

    /// Logits (B, C) of `inputs` (B, input shape) at `parameters`, the views of the layout.
    ///
    /// # Errors
    /// [`Error::Shape`] for parameters or inputs that do not fit, or a tensor operation that fails.
    pub fn forward(&self, parameters: &[Tensor], inputs: &Tensor) -> Result<Tensor, Error> {
        self.layout.expect_pieces("parameters", parameters)?;
        self.check_inputs(inputs)?;
        self.nodes.iter().try_fold(inputs.clone(), |x, node| {
            Ok(node
                .layer
                .forward(&parameters[node.parameters.clone()], &x)?
                .0)
        })
    }

    /// The forward sweep, with what derivatives at this point need, for `loss` summed over the
    /// batch.
    ///
    /// `parameters` are the views of the layout, `inputs` (B, input shape), `labels` (B) u32.
    ///
    /// # Errors
    /// [`Error::Shape`] for parameters or inputs that do not fit, labels out of range, or a tensor
    /// operation that fails.
    pub fn linearize<'n>(
        &'n self,
        parameters: &[Tensor],
        inputs: &Tensor,
        labels: &Tensor,
        loss: Loss,
    ) -> Result<Linearization<'n>, Error> {
        self.layout.expect_pieces("parameters", parameters)?;
        self.check_inputs(inputs)?;
        let mut x = inputs.clone();
        let mut saved = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let (y, kept) = node
                .layer
                .forward(&parameters[node.parameters.clone()], &x)?;
            saved.push(kept);
            x = y;
        }
        let loss = loss.evaluate(&x, labels)?;
        Ok(Linearization::new(self, parameters.to_vec(), saved, loss))
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(crate) fn first_parametric(&self) -> usize {
        self.first_parametric
    }

    fn check_inputs(&self, inputs: &Tensor) -> Result<(), Error> {
        match inputs.dims() {
            [_, shape @ ..] if shape == self.input_shape => Ok(()),
            got => Err(Error::Shape {
                place: "inputs (batch axis first)".to_owned(),
                expected: [got.first().copied().unwrap_or(0)]
                    .into_iter()
                    .chain(self.input_shape.iter().copied())
                    .collect(),
                got: got.to_vec(),
            }),
        }
    }
}
