//! The parameters that operations take: their names, and which of them are one.

use std::collections::HashMap;

use crate::array::Reason;
use crate::import::Importer;
use crate::movement::Movement;
use crate::names::{self, Provenance, whole};
use crate::operand::{Call, Held};
use crate::plan::{Operation, Plan, Weight, WeightId};
use crate::tensor;

/// What is known of the names of parameters.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    /// Names that were worked out: in the file, in PyTorch.
    recovered: Vec<(String, String)>,
    /// Several parameters of one initialiser.
    parted: Vec<(String, String)>,
    /// Names of one initialiser under two.
    tied: Vec<(String, String)>,
    /// What exporters computed of parameters.
    computed: Vec<String>,
    /// Convolutions with a batch norm in them.
    folded: Vec<String>,
    /// Whether all elements of an initialiser are one number.
    uniform: HashMap<usize, bool>,
}

/// What a layer calls a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Weight,
    Bias,
    /// What each element is multiplied with.
    Factor,
    /// A matrix that the file has as (inputs, outputs).
    TransposedWeight,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Weight | Self::Factor | Self::TransposedWeight => "weight",
            Self::Bias => "bias",
        }
    }
}

impl Importer<'_> {
    /// The parameter that `held` is, in `role` of the layer of `call`, or in none that has a name.
    pub(crate) fn parameter(
        &mut self,
        call: &Call<'_>,
        held: &Held,
        role: Option<Role>,
    ) -> Result<WeightId, Reason> {
        let initializer = &self.source.graph.initializer[held.tensor];
        let mut shape = tensor::shape(initializer)?;
        let is_transposed = role == Some(Role::TransposedWeight);
        if is_transposed {
            shape.reverse();
        }
        let name = self.name(call, held, role)?;
        // Vectors are exported in the axes that they are broadcast in: (C, 1, 1).
        let is_derived = name != initializer.name;
        let is_spread = matches!(role, Some(Role::Factor | Role::Bias)) && shape.len() > 1;
        if is_derived && is_spread && shape.iter().filter(|&&extent| extent != 1).count() == 1 {
            shape = vec![shape.iter().product()];
        }
        let mut weight = Weight {
            name,
            shape,
            tensor: held.tensor,
            is_transposed,
        };
        let known = self
            .plan
            .weights
            .iter()
            .position(|known| known.name == weight.name);
        if let Some(known) = known {
            if self.is_same(&self.plan.weights[known], &weight)? {
                return Ok(known);
            }
            // Parts of one parameter that the exporter has cut, such as those of attention.
            let parts = (1..).map(|part| format!("{}.{part}", weight.name));
            let taken = |name: &String| self.plan.weights.iter().any(|known| known.name == *name);
            weight.name = parts
                .into_iter()
                .find(|name| !taken(name))
                .unwrap_or_default();
        }
        if weight.name != initializer.name {
            let names = (initializer.name.clone(), weight.name.clone());
            self.weights.recovered.push(names);
        }
        self.plan.weights.push(weight);
        Ok(self.plan.weights.len() - 1)
    }

    /// The weight beside `bias` in an affine map: the name of a bias, which no exporter changes, says of which module both are.
    pub(crate) fn beside_bias(
        &mut self,
        weight: WeightId,
        bias: WeightId,
    ) -> Result<WeightId, Reason> {
        let (own, beside) = (&self.plan.weights[weight], &self.plan.weights[bias]);
        let name_of = |weight: &Weight| self.source.graph.initializer[weight.tensor].name.as_str();
        let is_derived = names::is_made_up(name_of(own))
            && self.provenances.of(name_of(own)) == Provenance::Unknown
            && self
                .weights
                .recovered
                .iter()
                .any(|(_, name)| *name == own.name);
        let module = match beside.name.strip_suffix(".bias") {
            Some(module) if is_derived && name_of(beside) == beside.name => module,
            _ => return Ok(weight),
        };
        let name = whole(module, Role::Weight.name());
        if let Some(known) = self
            .plan
            .weights
            .iter()
            .position(|known| known.name == name)
        {
            let is_same = self.is_same(&self.plan.weights[known], own)?;
            return Ok(if is_same { known } else { weight });
        }
        for (_, recovered) in &mut self.weights.recovered {
            if *recovered == own.name {
                recovered.clone_from(&name);
            }
        }
        self.plan.weights[weight].name = name;
        Ok(weight)
    }

    /// Whether the exporter computed `held` from a parameter.
    pub(crate) fn is_copy(&self, held: &Held) -> bool {
        let initializer = &self.source.graph.initializer[held.tensor].name;
        let is_folded = matches!(self.provenances.of(initializer), Provenance::Folded(_));
        is_folded || names::is_made_up(&held.name)
    }

    fn name(&mut self, call: &Call<'_>, held: &Held, role: Option<Role>) -> Result<String, Reason> {
        let initializer = &self.source.graph.initializer[held.tensor];
        let provenance = self.provenances.of(&initializer.name);
        let module = call.module.as_deref();
        let local = role.map(Role::name);
        let stated = match provenance {
            Provenance::Folded(name) => name,
            _ => held.name.as_str(),
        };
        if names::is_made_up(stated) {
            if role == Some(Role::TransposedWeight)
                && let Some(original) = self.original(held.tensor)?
            {
                let names = (held.name.clone(), original.clone());
                self.weights.tied.push(names);
                return Ok(original);
            }
            // What is no vector was computed of parameters: a table that was looked up, a product of two.
            let is_vector = held.shape.iter().filter(|&&extent| extent != 1).count() < 2;
            let is_computed =
                !is_vector && !matches!(role, Some(Role::Weight | Role::TransposedWeight));
            if is_computed {
                self.weights.computed.push(held.name.clone());
            }
            let own = module
                .zip(local.filter(|_| !is_computed))
                .map(|(module, local)| {
                    // PyTorch's attention has three matrices in one parameter.
                    let packed = whole(module, "in_proj_bias");
                    let is_packed = role == Some(Role::TransposedWeight)
                        && self
                            .source
                            .graph
                            .initializer
                            .iter()
                            .any(|other| other.name == packed);
                    whole(module, if is_packed { "in_proj_weight" } else { local })
                });
            return Ok(own.unwrap_or_else(|| held.name.clone()));
        }
        // Parameters of equal values share an initialiser: ones and zeros before training, which nothing ties. A parameter of
        // a module within this one is used by a function of it.
        if let (Some(module), Some(local)) = (module.filter(|module| !module.is_empty()), local) {
            let own = whole(module, local);
            let is_inner = stated
                .strip_prefix(module)
                .is_some_and(|inner| inner.starts_with('.'));
            let is_local = stated.rsplit('.').next() == Some(local);
            if is_local && !is_inner && self.is_uniform(held.tensor)? {
                let names = (stated.to_owned(), own.clone());
                self.weights.parted.push(names);
                return Ok(own);
            }
        }
        Ok(stated.to_owned())
    }

    /// The name under which the file has the matrix in `tensor` transposed: weights tied to an embedding.
    fn original(&self, tensor: usize) -> Result<Option<String>, Reason> {
        let initializers = &self.source.graph.initializer;
        let mut dims = initializers[tensor].dims.clone();
        dims.reverse();
        let copy = |index: usize, is_transposed: bool| {
            let mut shape = tensor::shape(&initializers[index])?;
            if is_transposed {
                shape.reverse();
            }
            Ok::<_, Reason>(Weight {
                name: initializers[index].name.clone(),
                shape,
                tensor: index,
                is_transposed,
            })
        };
        for (index, other) in initializers.iter().enumerate() {
            let may_be = index != tensor && other.dims == dims && !names::is_made_up(&other.name);
            if may_be && self.is_same(&copy(index, false)?, &copy(tensor, true)?)? {
                return Ok(Some(other.name.clone()));
            }
        }
        Ok(None)
    }

    /// Whether two have the same elements in the same order.
    fn is_same(&self, one: &Weight, other: &Weight) -> Result<bool, Reason> {
        if one.tensor == other.tensor && one.is_transposed == other.is_transposed {
            return Ok(true);
        }
        let count = |weight: &Weight| weight.shape.iter().product::<usize>();
        if count(one) != count(other) {
            return Ok(false);
        }
        let elements = |weight: &Weight| {
            let mut elements = vec![0.0; count(weight)];
            self.read(weight, &mut |place, value| elements[place] = value)?;
            Ok::<_, Reason>(elements)
        };
        Ok(elements(one)? == elements(other)?)
    }

    /// Shows the elements of a parameter with their places in row-major order.
    pub(crate) fn read(
        &self,
        weight: &Weight,
        see: &mut dyn FnMut(usize, f64),
    ) -> Result<(), Reason> {
        let initializer = &self.source.graph.initializer[weight.tensor];
        read(initializer, weight, self.directory, see)
    }

    pub(crate) fn is_uniform(&mut self, tensor: usize) -> Result<bool, Reason> {
        if let Some(&known) = self.weights.uniform.get(&tensor) {
            return Ok(known);
        }
        let (mut first, mut is_uniform) = (None, true);
        let initializer = &self.source.graph.initializer[tensor];
        tensor::visit(initializer, self.directory, &mut |value| {
            is_uniform &= *first.get_or_insert(value) == value;
        })?;
        self.weights.uniform.insert(tensor, is_uniform);
        Ok(is_uniform)
    }

    /// Notes a convolution whose weight the exporter has multiplied with a batch norm.
    pub(crate) fn note_folded(&mut self, held: &Held, name: &str) {
        let initializer = &self.source.graph.initializer[held.tensor].name;
        let is_told =
            self.provenances.of(initializer) == Provenance::Unknown && self.provenances.are_told();
        if is_told || initializer.starts_with("onnx::Conv") {
            let module = name.rsplit_once('.').map_or(name, |(module, _)| module);
            self.weights.folded.push(module.to_owned());
        }
    }
}

/// Shows the elements of a parameter, which `initializer` has, with their places in row-major order.
pub(crate) fn read(
    initializer: &crate::proto::Tensor,
    weight: &Weight,
    directory: Option<&std::path::Path>,
    see: &mut dyn FnMut(usize, f64),
) -> Result<(), Reason> {
    let mut index = 0;
    let [rows, columns] = match (weight.is_transposed, &weight.shape[..]) {
        (true, &[rows, columns]) => [rows, columns],
        _ => [0, 0],
    };
    tensor::visit(initializer, directory, &mut |value| {
        let place = match rows {
            0 => index,
            // In the file (columns, rows).
            _ => index % rows * columns + index / rows,
        };
        see(place, value);
        index += 1;
    })
}

/// Whether the movements of a matrix are none, or one that transposes it.
pub(crate) fn transposed(held: &Held) -> Option<bool> {
    match &held.movements[..] {
        [] => Some(false),
        [Movement::Transpose(perm)] if *perm == [1, 0] => Some(true),
        _ => None,
    }
}

impl Weights {
    /// Drops what no step of the plan takes.
    pub(crate) fn retain(&mut self, plan: &mut Plan) {
        let mut places = vec![None; plan.weights.len()];
        let mut kept = Vec::new();
        for step in &mut plan.steps {
            for id in step.operation.weights_mut() {
                let place = *places[*id].get_or_insert_with(|| {
                    kept.push(plan.weights[*id].clone());
                    kept.len() - 1
                });
                *id = place;
            }
        }
        plan.weights = kept;
    }

    /// Sentences about names that are not those of the file.
    pub(crate) fn notes(&self) -> Vec<String> {
        let listed = |pairs: &[(String, String)], between: &str| {
            let mut text: Vec<String> = pairs
                .iter()
                .take(4)
                .map(|(one, other)| format!("{one} {between} {other}"))
                .collect();
            if let Some(more) = pairs.len().checked_sub(5) {
                text.push(format!("and {} more", more + 1));
            }
            text.join(", ")
        };
        let mut notes = Vec::new();
        if !self.recovered.is_empty() {
            let names = listed(&self.recovered, "is");
            notes.push(format!(
                "names of the exporter were taken back to PyTorch's: {names}"
            ));
        }
        if !self.tied.is_empty() {
            let names = listed(&self.tied, "is");
            notes.push(format!(
                "equal matrices were taken for one parameter: {names}"
            ));
        }
        if !self.parted.is_empty() {
            let names = listed(&self.parted, "is also");
            notes.push(format!(
                "an initialiser of one number throughout was taken for the parameters of several modules: {names}"
            ));
        }
        if !self.computed.is_empty() {
            let names = self.computed.iter().take(4).cloned().collect::<Vec<_>>();
            notes.push(format!(
                "the exporter has computed {} of parameters, which {} instead of them; export with do_constant_folding=False (or optimize=False with dynamo) to keep them",
                names.join(", "),
                if self.computed.len() == 1 { "is one" } else { "are some" },
            ));
        }
        if let [first, ..] = &self.folded[..] {
            let (count, plural) = (
                self.folded.len(),
                if self.folded.len() == 1 { "" } else { "s" },
            );
            notes.push(format!(
                "the exporter has multiplied batch norms into {count} convolution{plural} ({first} first): their parameters are the products, and the batch norms are no more; export with training=TrainingMode.PRESERVE (or optimize=False with dynamo) to keep them"
            ));
        }
        notes
    }
}

impl Operation {
    /// The parameters it takes, in the order of a layer's own.
    pub(crate) fn weights_mut(&mut self) -> Vec<&mut WeightId> {
        match self {
            Self::ShiftBy(weight, _)
            | Self::ScaleBy(weight, _)
            | Self::Parameter(weight)
            | Self::Embedding(weight) => vec![weight],
            Self::Affine { weight, bias, .. }
            | Self::Convolution { weight, bias, .. }
            | Self::TransposedConvolution { weight, bias, .. } => {
                std::iter::once(weight).chain(bias).collect()
            }
            Self::LayerNorm { weight, bias, .. } => weight.iter_mut().chain(bias).collect(),
            Self::BatchNorm {
                affine: Some((weight, bias)),
                ..
            }
            | Self::GroupNorm {
                affine: Some((weight, bias)),
                ..
            } => vec![weight, bias],
            _ => Vec::new(),
        }
    }
}
