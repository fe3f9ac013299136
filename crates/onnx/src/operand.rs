//! What an input of a node is, and the call of a node with all of them.

use crate::array::{Array, Reason};
use crate::layout::Layout;
use crate::movement::Movement;
use crate::proto::{Attribute, Node, Tensor};
use crate::tensor::decimal;

/// A value of the file while it is imported.
#[derive(Debug, Clone)]
pub(crate) enum Operand {
    /// Numbers that are known.
    Constant(Array),
    /// A parameter that no operation has taken yet.
    Weight(Held),
    /// A value of the plan.
    Value(Value),
    /// Several of these, as `SplitToSequence` makes them.
    Sequence(Vec<Operand>),
}

/// An initialiser of floats, with what was done to it.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// Name of the value in the file.
    pub(crate) name: String,
    /// Number of the initialiser.
    pub(crate) tensor: usize,
    pub(crate) movements: Vec<Movement>,
    pub(crate) shape: Vec<usize>,
}

/// A value of the plan and its axes in the file.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) number: usize,
    pub(crate) layout: Layout,
}

impl Operand {
    /// Shape in the file, with `marker` examples.
    pub(crate) fn shape(&self, marker: usize) -> Vec<usize> {
        match self {
            Self::Constant(array) => array.shape.clone(),
            Self::Weight(held) => held.shape.clone(),
            Self::Value(value) => value.layout.shape(marker),
            Self::Sequence(_) => Vec::new(),
        }
    }
}

/// A node and its inputs.
#[derive(Debug)]
pub(crate) struct Call<'m> {
    pub(crate) node: &'m Node,
    pub(crate) inputs: Vec<Option<Operand>>,
    /// Name of the module that it is of, where that is known.
    pub(crate) module: Option<String>,
}

impl<'m> Call<'m> {
    /// Input number `index`, which may be absent.
    pub(crate) fn optional(&self, index: usize) -> Option<&Operand> {
        self.inputs.get(index)?.as_ref()
    }

    pub(crate) fn input(&self, index: usize) -> Result<&Operand, Reason> {
        let input = self.optional(index);
        input.ok_or_else(|| format!("has no input number {}", index + 1).into())
    }

    /// Input number `index`, if it is there, as numbers that are known.
    pub(crate) fn known(&self, index: usize) -> Result<Option<&Array>, Reason> {
        match self.optional(index) {
            None => Ok(None),
            Some(Operand::Constant(array)) => Ok(Some(array)),
            Some(_) => {
                Err(format!("has an input number {} that depends on the data", index + 1).into())
            }
        }
    }

    /// The integers in input number `index`, if it is there.
    pub(crate) fn integers(&self, index: usize) -> Result<Option<Vec<i64>>, Reason> {
        Ok(self.known(index)?.map(Array::as_integers))
    }

    /// Input number `index`, which is a value.
    pub(crate) fn value(&self, index: usize) -> Result<&Value, Reason> {
        match self.input(index)? {
            Operand::Value(value) => Ok(value),
            _ => Err("acts on what does not depend on the data".into()),
        }
    }

    fn attribute(&self, name: &str) -> Option<&'m Attribute> {
        let mut attributes = self.node.attribute.iter();
        attributes.find(|attribute| attribute.name == name)
    }

    pub(crate) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name)
            .and_then(|attribute| attribute.i)
            .unwrap_or(default)
    }

    pub(crate) fn ints(&self, name: &str) -> Option<&'m [i64]> {
        Some(&self.attribute(name)?.ints)
    }

    pub(crate) fn floats(&self, name: &str) -> Option<&'m [f32]> {
        Some(&self.attribute(name)?.floats)
    }

    pub(crate) fn float(&self, name: &str, default: f64) -> f64 {
        // Exactly the default where float32 cannot tell it from that.
        match self.attribute(name).and_then(|attribute| attribute.f) {
            Some(value) if value != default as f32 => decimal(value),
            _ => default,
        }
    }

    pub(crate) fn text(&self, name: &str, default: &'static str) -> &'m str {
        let text = self
            .attribute(name)
            .and_then(|attribute| attribute.s.as_ref());
        text.map_or(default, |text| {
            std::str::from_utf8(text).unwrap_or_default()
        })
    }

    pub(crate) fn tensor(&self, name: &str) -> Option<&'m Tensor> {
        self.attribute(name)?.t.as_ref()
    }

    /// A name for a step of this node.
    pub(crate) fn name(&self) -> &'m str {
        match (self.node.name.as_str(), self.node.output.first()) {
            ("", Some(output)) => output,
            (name, _) => name,
        }
    }
}

/// The axis that `axis` counts, from behind where it is negative.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, Reason> {
    let counted = if axis < 0 {
        axis.checked_add(rank as i64)
    } else {
        Some(axis)
    };
    let place = counted.and_then(|axis| usize::try_from(axis).ok());
    place
        .filter(|&place| place < rank)
        .ok_or_else(|| format!("names the axis {axis} of a tensor of {rank} axes").into())
}

/// Those axes, ascending and each once.
pub(crate) fn axes(axes: &[i64], rank: usize) -> Result<Vec<usize>, Reason> {
    let mut places = axes
        .iter()
        .map(|&number| axis(number, rank))
        .collect::<Result<Vec<_>, _>>()?;
    places.sort_unstable();
    places.dedup();
    Ok(places)
}
