//! Building a network node by node, skips included.

use std::collections::HashSet;
use std::sync::Arc;

use crate::node::Node;
use crate::{BatchNorm, Error, Layer, Network, ParamLayout, Parameter, Sum};

/// The output of one node of a [`Graph`], or its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value(usize);

/// A network under construction: nodes in topological order.
///
/// Parameters and buffers are laid out in the order in which their layers are put in.
///
/// ```
/// use flatness_layers::{Affine, Graph, Relu};
///
/// let mut graph = Graph::new(&[4]);
/// let x = graph.input();
/// let hidden = graph.layer("fc0", Affine::new(4, 4), x)?;
/// let hidden = graph.layer("relu", Relu, hidden)?;
/// let skipped = graph.add("skip", x, hidden)?;
/// let logits = graph.layer("fc1", Affine::new(4, 2), skipped)?;
/// assert_eq!(graph.finish(logits)?.layout().dim(), 30);
/// # Ok::<(), flatness_layers::Error>(())
/// ```
#[derive(Debug)]
pub struct Graph {
    nodes: Vec<Node>,
    /// Shape of one example of each value: of the input, then of each node's output.
    shapes: Vec<Vec<usize>>,
    parameters: Vec<Parameter>,
    buffers: Vec<Parameter>,
}

impl Graph {
    /// A graph whose input has `input_shape` (one example).
    #[must_use]
    pub fn new(input_shape: &[usize]) -> Self {
        Self {
            nodes: Vec::new(),
            shapes: vec![input_shape.to_vec()],
            parameters: Vec::new(),
            buffers: Vec::new(),
        }
    }

    /// The input of the network.
    #[must_use]
    pub fn input(&self) -> Value {
        Value(0)
    }

    /// Shape of one example of `value`.
    ///
    /// # Errors
    /// [`Error::Value`] for a value of another graph.
    pub fn shape(&self, value: Value) -> Result<&[usize], Error> {
        let shape = self.shapes.get(value.0).ok_or(Error::Value)?;
        Ok(shape)
    }

    /// Puts `layer` behind `input`; its parameters are called `<name>.<parameter>`.
    ///
    /// # Errors
    /// [`Error::Input`] when the layer cannot take `input`, [`Error::Value`].
    pub fn layer(
        &mut self,
        name: &str,
        layer: impl Layer + 'static,
        input: Value,
    ) -> Result<Value, Error> {
        self.own(name, Arc::new(layer), &[input])
    }

    /// As [`Graph::layer`], for a layer of several inputs.
    ///
    /// # Errors
    /// Those of [`Graph::layer`].
    pub fn join(
        &mut self,
        name: &str,
        layer: impl Layer + 'static,
        inputs: &[Value],
    ) -> Result<Value, Error> {
        self.own(name, Arc::new(layer), inputs)
    }

    /// As [`Graph::join`], with whole names for the parameters, in the order of the layer's own. A name that is there already
    /// is that parameter, used once more: tied weights. A second batch-norm of the same `name` has the running statistics of
    /// the first.
    ///
    /// # Errors
    /// Those of [`Graph::layer`], and [`Error::Names`] for another number of names and for a parameter of another shape.
    pub fn tied(
        &mut self,
        name: &str,
        layer: impl Layer + 'static,
        inputs: &[Value],
        parameters: &[&str],
    ) -> Result<Value, Error> {
        self.place(name, Arc::new(layer), inputs, parameters)
    }

    /// The sum of two values of one shape: a skip connection.
    ///
    /// # Errors
    /// [`Error::Input`] when the shapes differ, [`Error::Value`].
    pub fn add(&mut self, name: &str, left: Value, right: Value) -> Result<Value, Error> {
        self.join(name, Sum, &[left, right])
    }

    /// A layer whose parameters are its own.
    pub(crate) fn own(
        &mut self,
        name: &str,
        layer: Arc<dyn Layer>,
        inputs: &[Value],
    ) -> Result<Value, Error> {
        let own = layer.parameters().into_iter();
        let own: Vec<String> = own.map(|own| format!("{name}.{}", own.name)).collect();
        let twice = own.iter().find(|&own| self.parameter(own).is_some());
        let buffers = buffers(name, layer.as_ref());
        if let Some(twice) = twice.or(buffers
            .iter()
            .map(|buffer| &buffer.name)
            .find(|&own| self.has_buffer(own)))
        {
            return names(format!("there are two of {twice}"));
        }
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        self.place(name, layer, inputs, &own)
    }

    /// A layer with these whole names for its parameters.
    pub(crate) fn place(
        &mut self,
        name: &str,
        layer: Arc<dyn Layer>,
        inputs: &[Value],
        whole_names: &[&str],
    ) -> Result<Value, Error> {
        let shapes = inputs.iter().map(|&input| self.shape(input));
        let shapes = shapes.collect::<Result<Vec<_>, Error>>()?;
        let output = layer.output_shape(&shapes).map_err(|reason| Error::Input {
            layer: name.to_owned(),
            inputs: shapes.iter().map(|shape| shape.to_vec()).collect(),
            reason,
        })?;
        let input_shapes = shapes.into_iter().map(<[usize]>::to_vec).collect();
        let own = layer.parameters();
        if own.len() != whole_names.len() {
            let (takes, got) = (own.len(), whole_names.len());
            return names(format!("{name} takes {takes} parameters, got {got} names"));
        }
        let mut parameters = Vec::with_capacity(own.len());
        for (parameter, &whole) in own.into_iter().zip(whole_names) {
            let known = self.parameter(whole);
            if let Some(Parameter { shape, .. }) = known.map(|index| &self.parameters[index])
                && *shape != parameter.shape
            {
                let wanted = parameter.shape;
                return names(format!("{whole} is {shape:?}, and {name} needs {wanted:?}"));
            }
            parameters.push(known.unwrap_or(self.parameters.len()));
            if known.is_none() {
                self.parameters.push(Parameter {
                    name: whole.to_owned(),
                    ..parameter
                });
            }
        }
        // One batch-norm used twice has its statistics once.
        for buffer in buffers(name, layer.as_ref()) {
            if !self.has_buffer(&buffer.name) {
                self.buffers.push(buffer);
            }
        }
        self.nodes.push(Node {
            name: name.to_owned(),
            layer,
            inputs: inputs.iter().map(|input| input.0).collect(),
            input_shapes,
            parameters,
        });
        self.shapes.push(output);
        Ok(Value(self.nodes.len()))
    }

    fn has_buffer(&self, name: &str) -> bool {
        self.buffers.iter().any(|buffer| buffer.name == name)
    }

    /// Number of the parameter called `name`, where there is one.
    fn parameter(&self, name: &str) -> Option<usize> {
        let mut parameters = self.parameters.iter();
        parameters.position(|parameter| parameter.name == name)
    }

    /// The network from the input to `output`.
    ///
    /// # Errors
    /// [`Error::Names`] when two parameters have one name or a node leads nowhere,
    /// [`Error::NoParameters`], [`Error::Value`].
    pub fn finish(self, output: Value) -> Result<Network, Error> {
        if output.0 != self.nodes.len() {
            return Err(Error::Value);
        }
        let mut seen = HashSet::new();
        let named = self.parameters.iter().chain(&self.buffers);
        if let Some(twice) = named
            .map(|parameter| &parameter.name)
            .find(|&name| !seen.insert(name))
        {
            return names(format!("there are two of {twice}"));
        }
        let used: HashSet<usize> = self
            .nodes
            .iter()
            .flat_map(|node| node.inputs.iter().copied())
            .collect();
        if let Some(idle) = (0..output.0).find(|value| !used.contains(value)) {
            let name = if idle == 0 {
                "input"
            } else {
                &self.nodes[idle - 1].name
            };
            return names(format!("the output of {name} leads nowhere"));
        }
        if self.parameters.is_empty() {
            return Err(Error::NoParameters);
        }
        Ok(Network::new(
            self.nodes,
            self.shapes,
            ParamLayout::new(self.parameters),
            ParamLayout::new(self.buffers),
        ))
    }
}

/// The running statistics of `layer`, by their whole names.
fn buffers(name: &str, layer: &dyn Layer) -> Vec<Parameter> {
    let own = layer.batch_norm().into_iter().flat_map(BatchNorm::buffers);
    let whole = own.map(|buffer| Parameter {
        name: format!("{name}.{}", buffer.name),
        ..buffer
    });
    whole.collect()
}

fn names<T>(problems: String) -> Result<T, Error> {
    Err(Error::Names { problems })
}
