//! Which initialisers are parameters.
//!
//! The exporter by `torch.export` says it. Files of the tracing exporter do not: there what is of a floating type is a parameter,
//! but for masks and what the user says.

use super::{Importer, shown};
use crate::Error;
use crate::array::{Kind, Reason};
use crate::names::{self, Provenance};
use crate::operand::{Held, Operand};
use crate::tensor;

/// What no weight that was trained is, and a mask before a softmax has.
const MASKED: f64 = -1e4;

/// Last parts of the names of parameters that modules of PyTorch have, which no buffer has.
const USUAL: [&str; 4] = ["weight", "bias", "in_proj_weight", "in_proj_bias"];

impl Importer<'_> {
    /// Takes every initialiser for a parameter, a constant or a mask; `said` are constants that the user names.
    pub(super) fn initializers(&mut self, origin: &str, said: &[String]) -> Result<(), Error> {
        let (mut constants, mut masks) = (Vec::new(), Vec::new());
        for (index, initializer) in self.source.graph.initializer.iter().enumerate() {
            let name = initializer.name.as_str();
            let refused = |reason: Reason| Error::Tensor {
                origin: origin.to_owned(),
                name: shown(name),
                reason: reason.into_owned(),
            };
            let number = tensor::number(initializer).map_err(refused)?;
            let shape = tensor::shape(initializer).map_err(refused)?;
            let provenance = self.provenances.of(name);
            let is_said = |own: &str| said.iter().any(|said| said == own);
            let is_open = number.kind() == Kind::Float
                && !is_said(name)
                && !matches!(provenance, Provenance::Folded(of) if is_said(of));
            let is_mask = is_open
                && provenance == Provenance::Unknown
                && tensor::any(initializer, self.directory, |value| value <= MASKED)
                    .map_err(refused)?;
            if is_mask {
                masks.push(name);
            }
            let is_weight = is_open
                && !is_mask
                && match provenance {
                    Provenance::Parameter | Provenance::Folded(_) => true,
                    // Numbers of the exporter have names of its own.
                    Provenance::Unknown => !shape.is_empty() || names::is_stated(name),
                    Provenance::Buffer | Provenance::Constant => false,
                };
            let operand = if is_weight {
                Operand::Weight(Held {
                    name: name.to_owned(),
                    tensor: index,
                    movements: Vec::new(),
                    shape,
                })
            } else {
                if number.kind() == Kind::Float
                    && provenance == Provenance::Constant
                    && !shape.is_empty()
                {
                    constants.push(name);
                }
                let array = tensor::array(initializer, self.directory).map_err(refused)?;
                self.charge(&array).map_err(refused)?;
                Operand::Constant(array)
            };
            self.values.insert(name, operand);
        }
        if !masks.is_empty() {
            let names = masks.join(", ");
            self.notes.push(format!(
                "taken for constants, since they have numbers below {MASKED}, as masks have: {names}"
            ));
        }
        if !constants.is_empty() {
            let names = constants.join(", ");
            self.notes
                .push(format!("of no parameter, and so constant: {names}"));
        }
        Ok(())
    }

    /// Notes parameters of which nothing says that they are no buffers.
    pub(super) fn note_unknown(&mut self) {
        let open = self.plan.weights.iter().filter(|weight| {
            let local = weight.name.rsplit('.').next().unwrap_or_default();
            !USUAL.contains(&local) && self.provenances.of(&weight.name) == Provenance::Unknown
        });
        let open: Vec<&str> = open.take(8).map(|weight| weight.name.as_str()).collect();
        if !open.is_empty() {
            let names = open.join(", ");
            self.notes.push(format!(
                "counted as parameters, since the file cannot tell them from buffers: {names}; --constants NAMES says which are not"
            ));
        }
    }
}
