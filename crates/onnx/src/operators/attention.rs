//! Attention as one operator (opset 23), taken apart: softmax(c q kᵀ + mask) v.

use super::one;
use crate::array::{Array, Kind, Reason, elements};
use crate::import::Importer;
use crate::operand::{Call, Operand};
use crate::plan::{Function, Operation};

impl Importer<'_> {
    /// (batch, heads, positions, width) of input number `index`, where the heads may be one axis with their width.
    fn heads(&mut self, call: &Call<'_>, index: usize, heads: &str) -> Result<Operand, Reason> {
        let operand = call.input(index)?;
        let heads = usize::try_from(call.int(heads, 0)).unwrap_or(0);
        match operand.shape(self.marker)[..] {
            [_, _, _, _] => Ok(operand.clone()),
            [batch, positions, width] if heads > 0 => {
                let shape = [batch, positions, heads, width / heads];
                let parted = self.reshaped(call, operand, &shape)?;
                self.transposed(call, &parted, &[0, 2, 1, 3])
            }
            _ => Err("needs (batch, heads, positions, width)".into()),
        }
    }

    /// Every head as often as several heads of queries share it.
    fn shared(
        &mut self,
        call: &Call<'_>,
        operand: Operand,
        heads: usize,
    ) -> Result<Operand, Reason> {
        let own = operand.shape(self.marker)[1];
        match heads.checked_div(own) {
            Some(1) => Ok(operand),
            Some(times) if times * own == heads => {
                let indices = (0..heads).map(|head| head / times).collect();
                self.taken(call, &operand, 1, indices)
            }
            _ => Err(format!("shares {own} heads among {heads}").into()),
        }
    }

    /// Scores where the mask lets them be, or with its numbers added.
    fn masked(
        &mut self,
        call: &Call<'_>,
        scores: &Operand,
        mask: &Operand,
    ) -> Result<Operand, Reason> {
        let nothing = Array::new(Vec::new(), Kind::Float, vec![f64::NEG_INFINITY]);
        let is_step = |number| self.plan.step(number).is_some_and(|step| step.is_whole);
        match mask {
            Operand::Constant(array) if array.kind == Kind::Bool => {
                let border = array.map(Kind::Float, |kept| {
                    if kept == 0.0 { f64::NEG_INFINITY } else { 0.0 }
                });
                self.sum_of(call, scores, &Operand::Constant(border))
            }
            Operand::Value(kept) if is_step(kept.number) => {
                let chosen = self.choice(call, kept, scores, &Operand::Constant(nothing))?;
                Ok(Operand::Value(chosen))
            }
            other => self.sum_of(call, scores, other),
        }
    }
}

pub(super) fn attention(
    importer: &mut Importer<'_>,
    call: &Call<'_>,
) -> Result<Vec<Operand>, Reason> {
    let outputs = &call.node.output;
    if outputs.iter().skip(1).any(|output| !output.is_empty()) || call.inputs.len() > 4 {
        return Err("has keys and values of the past".into());
    }
    let is_flat = call.input(0)?.shape(importer.marker).len() == 3;
    let queries = importer.heads(call, 0, "q_num_heads")?;
    let (keys, values) = (
        importer.heads(call, 1, "kv_num_heads")?,
        importer.heads(call, 2, "kv_num_heads")?,
    );
    let shape = queries.shape(importer.marker);
    let (heads, positions, width) = (shape[1], shape[2], shape[3]);
    let keys = importer.shared(call, keys, heads)?;
    let values = importer.shared(call, values, heads)?;
    let scale = call.float("scale", 1.0 / (width as f64).sqrt());
    let scale = Operand::Constant(Array::new(Vec::new(), Kind::Float, vec![scale]));
    let queries = importer.product_of(call, &queries, &scale)?;
    let turned = importer.transposed(call, &keys, &[0, 1, 3, 2])?;
    let mut scores = importer.matrix_product(call, &queries, &turned)?;
    if call.int("is_causal", 0) != 0 {
        let others = keys.shape(importer.marker)[2];
        let place = |place: usize| f64::from(u8::from(place % others <= place / others));
        let kept = (0..elements(&[positions, others])?).map(place).collect();
        let mask = Array::new(vec![positions, others], Kind::Bool, kept);
        scores = importer.masked(call, &scores, &Operand::Constant(mask))?;
    }
    if let Some(mask) = call.optional(3) {
        scores = importer.masked(call, &scores, mask)?;
    }
    let cap = call.float("softcap", 0.0);
    let mut scores = importer.materialize(call, &scores)?;
    if cap != 0.0 {
        scores = importer.push_line(call, &scores, cap.recip(), 0.0)?;
        scores = importer.push_function(call, Function::Tanh, &scores)?;
        scores = importer.push_line(call, &scores, cap, 0.0)?;
    }
    let layout = scores.layout.clone();
    let weights = importer.push(call, Operation::Softmax, &[scores.number], layout)?;
    let mixed = importer.matrix_product(call, &Operand::Value(weights), &values)?;
    if !is_flat {
        return one(mixed);
    }
    let mixed = importer.transposed(call, &mixed, &[0, 2, 1, 3])?;
    let shape = mixed.shape(importer.marker);
    one(importer.reshaped(call, &mixed, &[shape[0], shape[1], shape[2] * shape[3]])?)
}
