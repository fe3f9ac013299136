//! From the nodes of a graph to a plan, in the order in which they stand.

mod initializers;

use std::collections::HashMap;
use std::path::Path;

use crate::Error;
use crate::array::{Array, Reason};
use crate::file::Source;
use crate::layout::Layout;
use crate::movement::Movement;
use crate::names::{self, Provenance, Provenances};
use crate::operand::{Call, Operand, Value};
use crate::operators;
use crate::plan::{Operation, Plan};
use crate::proto::{Node, ValueInfo};
use crate::weights::Weights;

/// Most elements of all constants that are computed: masks of 1024 by 1024 for four operations in each of 64 layers.
const MAX_COMPUTED: usize = 1 << 28;

/// Most elements of all windows along one axis: of a running sum of 2,000, or a mean of 10 at each place of a minute of sound.
const MAX_WINDOWS: usize = 1 << 22;

/// Examples where the file leaves their number open: a prime that no extent of a network is likely to have.
const MARKERS: [usize; 5] = [4099, 5003, 6007, 7001, 8009];

/// A name of the file as a sentence has it: short, and with nothing that a terminal obeys.
fn shown(name: &str) -> String {
    let short: String = name.chars().take(80).collect();
    match short.as_str() {
        "" => "without a name".to_owned(),
        short => short.escape_debug().to_string(),
    }
}

/// The graph so far.
#[derive(Debug)]
pub(crate) struct Importer<'m> {
    pub(crate) source: &'m Source,
    pub(crate) directory: Option<&'m Path>,
    pub(crate) provenances: Provenances<'m>,
    /// The number of examples in extents.
    pub(crate) marker: usize,
    /// How often each value of the file is still to be taken.
    uses: HashMap<&'m str, usize>,
    values: HashMap<&'m str, Operand>,
    pub(crate) plan: Plan,
    pub(crate) weights: Weights,
    pub(crate) notes: Vec<String>,
    /// Elements of constants that may still be computed.
    room: usize,
}

/// A plan and what is to be said about it.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) plan: Plan,
    pub(crate) notes: Vec<String>,
}

/// The plan of the graph in `source`, from `directory`; `origin` names it in errors.
pub(crate) fn import(
    source: &Source,
    directory: Option<&Path>,
    origin: &str,
    constants: &[String],
) -> Result<Import, Error> {
    let graph = &source.graph;
    let provenances = Provenances::new(graph);
    // What was computed from a buffer goes by the name of the buffer.
    let known = || {
        graph.initializer.iter().flat_map(|initializer| {
            let folded = match provenances.of(&initializer.name) {
                Provenance::Folded(name) => Some(name),
                _ => None,
            };
            std::iter::once(initializer.name.as_str()).chain(folded)
        })
    };
    if let Some(name) = constants
        .iter()
        .find(|name| !known().any(|known| known == *name))
    {
        return Err(Error::Constant {
            origin: origin.to_owned(),
            name: name.clone(),
            names: known().take(8).collect::<Vec<_>>().join(", "),
        });
    }
    let (is_open, import) = with_marker(source, directory, origin, constants, 0)?;
    // What depends on the number of examples is another plan for another number.
    if is_open && with_marker(source, directory, origin, constants, 1)?.1.plan != import.plan {
        let input = graph.input.first().map_or("", |input| input.name.as_str());
        return Err(Error::Place {
            origin: origin.to_owned(),
            place: format!("input {input}"),
            reason: "has a number of examples with which the network computes; its outputs must not depend on it".to_owned(),
        });
    }
    Ok(import)
}

/// The import with the `skip`-th marker where the number of examples is open, and whether it is.
fn with_marker(
    source: &Source,
    directory: Option<&Path>,
    origin: &str,
    constants: &[String],
    skip: usize,
) -> Result<(bool, Import), Error> {
    let graph = &source.graph;
    let mut uses = HashMap::new();
    let taken = graph.node.iter().flat_map(|node| &node.input);
    for name in taken.chain(graph.output.iter().map(|output| &output.name)) {
        *uses.entry(name.as_str()).or_insert(0) += 1;
    }
    let mut importer = Importer {
        source,
        directory,
        provenances: Provenances::new(graph),
        marker: 0,
        uses,
        values: HashMap::new(),
        plan: Plan::default(),
        weights: Weights::default(),
        notes: Vec::new(),
        room: MAX_COMPUTED,
    };
    importer.initializers(origin, constants)?;
    importer.input(origin, skip)?;
    let is_open = MARKERS.contains(&importer.marker);
    for node in &graph.node {
        importer.node(node, origin)?;
    }
    Ok((is_open, importer.finish(origin)?))
}

impl<'m> Importer<'m> {
    /// Counts a constant against the memory that there is for them.
    fn charge(&mut self, array: &Array) -> Result<(), Reason> {
        let left = self.room.checked_sub(array.values.len());
        self.room = left.ok_or("makes more constants than memory is kept for")?;
        Ok(())
    }

    /// Counts windows of so many elements along an axis of `extent` against the same memory, four numbers each.
    pub(crate) fn charge_windows(
        &mut self,
        windows: usize,
        elements: usize,
        extent: usize,
    ) -> Result<(), Reason> {
        let all = windows.checked_mul(elements.max(1));
        let all = all.filter(|&all| all <= MAX_WINDOWS && u32::try_from(extent).is_ok());
        let left = all.and_then(|all| self.room.checked_sub(4 * all));
        self.room = left.ok_or_else(|| {
            format!("has {windows} windows of {elements} elements, for which no memory is kept")
        })?;
        Ok(())
    }

    fn input(&mut self, origin: &str, skip: usize) -> Result<(), Error> {
        let graph = &self.source.graph;
        // Before IR version 4 initialisers were inputs too.
        let inputs = graph
            .input
            .iter()
            .filter(|input| !self.values.contains_key(input.name.as_str()));
        let inputs: Vec<&ValueInfo> = inputs.collect();
        let [input] = inputs[..] else {
            let names: Vec<&str> = inputs
                .iter()
                .take(8)
                .map(|input| input.name.as_str())
                .collect();
            return Err(Error::Inputs {
                origin: origin.to_owned(),
                count: inputs.len(),
                names: names.join(", "),
            });
        };
        let refused = |reason: &str| Error::Place {
            origin: origin.to_owned(),
            place: format!("input {}", input.name),
            reason: reason.to_owned(),
        };
        let shape = input
            .r#type
            .as_ref()
            .and_then(|kind| kind.tensor.as_ref()?.shape.as_ref());
        let shape = shape.ok_or_else(|| refused("has no shape"))?;
        let extents = shape
            .dim
            .iter()
            .map(|dim| dim.value.and_then(|value| usize::try_from(value).ok()));
        let extents: Vec<Option<usize>> = extents.collect();
        let [batch, example @ ..] = &extents[..] else {
            return Err(refused("has no batch axis"));
        };
        let example: Option<Vec<usize>> = example.iter().copied().collect();
        let example = example.filter(|example| example.len() < 16 && !example.contains(&0));
        let example = example.ok_or_else(|| {
            refused("has an axis of no fixed extent besides the first; export it with that extent fixed")
        })?;
        self.marker = match batch {
            Some(batch) if *batch > 0 => {
                self.notes.push(format!(
                    "exported for batches of {batch}; here they are of any size"
                ));
                *batch
            }
            _ => self.open_marker(skip),
        };
        self.plan.input = example.clone();
        let layout = Layout::in_front(&example);
        let value = Value { number: 0, layout };
        self.values.insert(&input.name, Operand::Value(value));
        Ok(())
    }

    /// The `skip`-th marker that no extent of an initialiser is a multiple of.
    fn open_marker(&self, skip: usize) -> usize {
        let tensors = self.source.graph.initializer.iter();
        let extents: Vec<i64> = tensors
            .flat_map(|tensor| tensor.dims.iter().copied())
            .collect();
        let is_free = |marker: &usize| {
            extents
                .iter()
                .all(|extent| *extent == 0 || extent % *marker as i64 != 0)
        };
        let mut free = MARKERS.into_iter().filter(is_free);
        free.nth(skip).unwrap_or(MARKERS[skip])
    }

    fn node(&mut self, node: &'m Node, origin: &str) -> Result<(), Error> {
        let is_fixed = self.marker == 1;
        let refused = |reason: Reason| Error::Node {
            origin: origin.to_owned(),
            node: shown(&node.name),
            operator: shown(&node.op_type),
            // An axis of one element may be that of the batch, or any other.
            reason: match is_fixed && reason.contains("batch axis") {
                true => format!("{reason}; export the model with a batch of no fixed size"),
                false => reason.into_owned(),
            },
        };
        let rule = operators::rule(&node.domain, &node.op_type).ok_or_else(|| Error::Operator {
            origin: origin.to_owned(),
            node: shown(&node.name),
            operator: match node.domain.as_str() {
                "" => shown(&node.op_type),
                domain => shown(&format!("{domain}.{}", node.op_type)),
            },
            known: operators::names(),
        })?;
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            inputs.push(match (name.as_str(), self.values.get(name.as_str())) {
                ("", _) => None,
                (_, Some(operand)) => Some(operand.clone()),
                (name, None) => {
                    return Err(refused(
                        format!("takes the value {name}, which nothing before it makes").into(),
                    ));
                }
            });
        }
        let call = Call {
            node,
            inputs,
            module: names::module(node),
        };
        let outputs = rule(self, &call).map_err(refused)?;
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            // Masks are large, and every layer makes its own.
            if let Some(left) = self.uses.get_mut(name.as_str()) {
                *left = left.saturating_sub(1);
                if *left == 0 && !matches!(self.values.get(name.as_str()), Some(Operand::Weight(_)))
                {
                    self.values.remove(name.as_str());
                }
            }
        }
        for (name, operand) in node.output.iter().zip(outputs) {
            if let Operand::Constant(array) = &operand {
                self.charge(array).map_err(refused)?;
            }
            if !name.is_empty() && self.values.insert(name, operand).is_some() {
                return Err(refused(
                    format!("makes the value {name} a second time").into(),
                ));
            }
        }
        Ok(())
    }

    fn finish(mut self, origin: &str) -> Result<Import, Error> {
        let outputs = &self.source.graph.output;
        let refused = |name: &str, reason: &str| Error::Place {
            origin: origin.to_owned(),
            place: format!("output {name}"),
            reason: reason.to_owned(),
        };
        let [output, others @ ..] = &outputs[..] else {
            return Err(refused("", "is missing"));
        };
        if !others.is_empty() {
            let names: Vec<&str> = others
                .iter()
                .take(8)
                .map(|output| output.name.as_str())
                .collect();
            let (first, names) = (&output.name, names.join(", "));
            self.notes
                .push(format!("the output is {first}; left out: {names}"));
        }
        let name = &output.name;
        let value = match self.values.get(name.as_str()) {
            Some(Operand::Value(value)) => value,
            Some(_) => return Err(refused(name, "does not depend on the input")),
            None => return Err(refused(name, "is made by no node")),
        };
        match value.layout.batch {
            Some(batch) if batch.axis == 0 && batch.before == 1 => {}
            _ => return Err(refused(name, "has no batch axis in front")),
        }
        let number = value.number;
        if number == 0 {
            return Err(refused(name, "is the input"));
        }
        let number = if self.plan.shape(number).is_empty() {
            // One number for each example is an output of one element.
            let operation = Operation::Move(Movement::Reshape(vec![1]));
            let pushed = self.plan.push("output", operation, &[number], vec![1]);
            pushed.map_err(|reason| refused(name, &reason))?
        } else {
            number
        };
        self.plan.trim(number);
        self.weights.retain(&mut self.plan);
        self.note_unknown();
        self.notes.extend(self.weights.notes());
        Ok(Import {
            plan: self.plan,
            notes: self.notes,
        })
    }

    /// Whether `extent` of an axis is the number of examples, and not that number by chance.
    pub(crate) fn is_batch(&self, axis: usize, extent: usize) -> bool {
        let is_certain = axis == 0 || MARKERS.contains(&self.marker);
        self.marker > 1 && extent == self.marker && is_certain
    }
}
