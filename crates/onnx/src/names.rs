//! Names of parameters in PyTorch: what the exporters leave of them.
//!
//! The exporter by tracing calls a node `/blocks.0/fc1/MatMul` and names after themselves the weights that it computes with,
//! `onnx::MatMul_42`. The exporter by `torch.export` keeps the module in the metadata of a node, the kind of an initialiser
//! and what it was computed from in the metadata of its value.

use std::collections::HashMap;

use crate::proto::{Entry, Graph, Node, entry};

/// What the metadata of a value say about an initialiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provenance<'m> {
    /// A parameter under its own name.
    Parameter,
    /// A buffer, which no training changes.
    Buffer,
    /// Computed from the parameter of this name.
    Folded(&'m str),
    /// Nothing, in a file that says it of others.
    Constant,
    /// Nothing, as in every file of the tracing exporter.
    Unknown,
}

/// Metadata of the values of a graph.
#[derive(Debug)]
pub(crate) struct Provenances<'m> {
    values: HashMap<&'m str, &'m [Entry]>,
    /// Whether there are any.
    is_told: bool,
}

const KIND: &str = "pkg.torch.export.graph_signature.InputSpec.kind";

impl<'m> Provenances<'m> {
    pub(crate) fn new(graph: &'m Graph) -> Self {
        let infos = graph.value_info.iter();
        let values = infos.map(|info| (info.name.as_str(), info.metadata.as_slice()));
        let values: HashMap<_, _> = values.collect();
        let mut told = graph.value_info.iter().chain(&graph.input);
        let is_told = told.any(|info| entry(&info.metadata, KIND).is_some());
        Self { values, is_told }
    }

    /// Whether the exporter says of its initialisers what they are.
    pub(crate) fn are_told(&self) -> bool {
        self.is_told
    }

    pub(crate) fn of(&self, name: &str) -> Provenance<'m> {
        let entries = self.values.get(name).copied().unwrap_or_default();
        match entry(entries, KIND) {
            Some("PARAMETER") => return Provenance::Parameter,
            Some(_) => return Provenance::Buffer,
            None => {}
        }
        let folded = entry(entries, "pkg.onnxscript.optimizer.folded_from").unwrap_or_default();
        // A list as Python prints it; parameters of modules have a dot in their names.
        let mut names = folded
            .split('\'')
            .skip(1)
            .step_by(2)
            .filter(|name| name.contains('.'));
        match (names.next(), names.next()) {
            (Some(name), None) if is_lifted(name) => Provenance::Constant,
            (Some(name), None) => Provenance::Folded(name),
            (Some(_), Some(_)) => Provenance::Parameter,
            (None, _) if !self.is_told => Provenance::Unknown,
            // A weight with which a batch norm was multiplied has lost its metadata, and kept its name.
            (None, _) if name.contains('.') => Provenance::Unknown,
            (None, _) => Provenance::Constant,
        }
    }
}

/// Whether `torch.export` gave the name to numbers in the program itself.
fn is_lifted(name: &str) -> bool {
    let local = name.rsplit('.').next().unwrap_or_default();
    local.starts_with("lifted_tensor_") || local.starts_with("_tensor_constant")
}

/// Whether an exporter made the name up.
pub(crate) fn is_made_up(name: &str) -> bool {
    let behind = name.strip_prefix("val_").unwrap_or_default();
    name.starts_with("onnx::")
        || !behind.is_empty() && behind.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a name is one of PyTorch's and not of a value between nodes.
pub(crate) fn is_stated(name: &str) -> bool {
    !is_made_up(name)
        && !name.starts_with('/')
        && !name.contains("Constant")
        && !name.contains("_output_")
}

/// The module that `node` is of, `blocks.0.fc1`; empty for the whole network, none where nothing says it.
pub(crate) fn module(node: &Node) -> Option<String> {
    if let Some(scopes) = entry(&node.metadata, "pkg.torch.onnx.name_scopes") {
        // ['', 'blocks.0', 'blocks.0.fc1', 'linear']: the last is the function.
        let scopes: Vec<&str> = scopes.split('\'').skip(1).step_by(2).collect();
        return Some(
            scopes
                .iter()
                .rev()
                .nth(1)
                .copied()
                .unwrap_or_default()
                .to_owned(),
        );
    }
    let path = node.name.strip_prefix('/')?;
    let mut module = String::new();
    let mut last = "";
    let (scopes, _) = path.rsplit_once('/').unwrap_or_default();
    for scope in scopes.split('/').filter(|scope| !scope.is_empty()) {
        // A child of `nn.Sequential` is called `features.3` within `features`.
        let child = scope
            .strip_prefix(last)
            .filter(|child| !last.is_empty() && child.starts_with('.'));
        match child {
            Some(child) => module.push_str(child),
            None if module.is_empty() => module.push_str(scope),
            None => {
                module.push('.');
                module.push_str(scope);
            }
        }
        last = scope;
    }
    Some(module)
}

/// The name of what is called `local` in `module`.
pub(crate) fn whole(module: &str, local: &str) -> String {
    if module.is_empty() {
        local.to_owned()
    } else {
        format!("{module}.{local}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_become_names_of_modules() {
        for (name, expected) in [
            ("/blocks.0/fc1/MatMul", Some("blocks.0.fc1")),
            (
                "/features/features.3/conv/conv.0/Conv",
                Some("features.3.conv.0"),
            ),
            ("/d1/d1.2/Conv", Some("d1.2")),
            ("/Reshape_1", Some("")),
            ("Identity_45", None),
        ] {
            let node = Node {
                name: name.to_owned(),
                ..Node::default()
            };
            assert_eq!(module(&node).as_deref(), expected, "{name}");
        }
        let scopes = Entry {
            key: "pkg.torch.onnx.name_scopes".to_owned(),
            value: "['', 'h.0', 'h.0.attn', 'h.0.attn.c_attn', 'linear']".to_owned(),
        };
        let node = Node {
            name: "node_MatMul_7".to_owned(),
            metadata: vec![scopes],
            ..Node::default()
        };
        assert_eq!(module(&node).as_deref(), Some("h.0.attn.c_attn"));
    }
}
