//! Matrix products: with a weight an affine map, with a value a product of two.

use super::value;
use crate::array::Reason;
use crate::import::Importer;
use crate::operand::{Call, Held, Operand, Value};
use crate::plan::Operation;
use crate::weights::{Role, transposed};

impl Importer<'_> {
    /// x Wᵀ, where the file has W as (inputs, outputs) if `is_transposed`; none where W is no plain matrix.
    fn affine(
        &mut self,
        call: &Call<'_>,
        argument: &Value,
        held: &Held,
        is_transposed: bool,
    ) -> Result<Option<Value>, Reason> {
        let Some(is_moved) = transposed(held).filter(|_| held.shape.len() == 2) else {
            return Ok(None);
        };
        let last = argument
            .layout
            .axes
            .len()
            .checked_sub(1)
            .ok_or("multiplies a scalar")?;
        argument.layout.position(last)?;
        let (inputs, outputs) = match is_transposed {
            true => (held.shape[0], held.shape[1]),
            false => (held.shape[1], held.shape[0]),
        };
        if argument.layout.axes[last] != inputs {
            let got = argument.layout.axes[last];
            return Err(format!("multiplies {got} columns with {inputs} rows").into());
        }
        // A copy that the exporter made is PyTorch's matrix transposed; a matrix under its own name is as it is there.
        let is_turned = is_transposed != is_moved;
        let is_copy = self.is_copy(held);
        let role = match is_turned && is_copy {
            true => Role::TransposedWeight,
            false => Role::Weight,
        };
        let weight = self.parameter(call, held, Some(role))?;
        let layout = argument.layout.with(last, outputs);
        let operation = Operation::Affine {
            weight,
            bias: None,
            is_inputs_first: is_turned && !is_copy,
        };
        Ok(Some(self.push(
            call,
            operation,
            &[argument.number],
            layout,
        )?))
    }

    /// `argument` + `held`, where that is an affine map without a bias and its bias.
    pub(super) fn with_bias(
        &mut self,
        call: &Call<'_>,
        argument: &Value,
        held: &Held,
    ) -> Result<Option<Value>, Reason> {
        let Some(step) = self.plan.step(argument.number) else {
            return Ok(None);
        };
        let Operation::Affine {
            weight,
            bias: None,
            is_inputs_first,
        } = step.operation
        else {
            return self.with_group_norm(call, argument, held);
        };
        let outputs = self.plan.weights[weight].shape[usize::from(is_inputs_first)];
        let inputs = step.inputs.clone();
        if held.shape != [outputs] || !held.movements.is_empty() {
            return Ok(None);
        }
        let bias = self.parameter(call, held, Some(Role::Bias))?;
        let weight = self.beside_bias(weight, bias)?;
        let operation = Operation::Affine {
            weight,
            bias: Some(bias),
            is_inputs_first,
        };
        Ok(Some(self.push(
            call,
            operation,
            &inputs,
            argument.layout.clone(),
        )?))
    }

    /// The product of two values on their last two axes.
    fn product(&mut self, call: &Call<'_>, left: &Value, right: &Value) -> Result<Value, Reason> {
        let rank = left.layout.axes.len();
        if let (Some(batch), [_, _]) = (left.layout.batch, &right.layout.axes[..])
            && batch.axis + 2 == rank
            && right.layout.batch.is_none()
        {
            // Each example is a row: a matrix of one row.
            let row = Operand::Value(left.clone());
            let row = self.unsqueezed(call, &row, &[rank - 1])?;
            let row = self.materialize(call, &row)?;
            let product = Operand::Value(self.product(call, &row, right)?);
            let product = self.squeezed(call, &product, &[rank - 1])?;
            return self.materialize(call, &product);
        }
        let leading = |value: &Value| {
            let rank = value.layout.axes.len();
            let last = rank.checked_sub(2).ok_or("multiplies vectors")?;
            if value.layout.batch.is_some_and(|batch| batch.axis >= last) {
                return Err(Reason::from("multiplies over the batch axis"));
            }
            let layout = value.layout.with(last, 1).with(last + 1, 1);
            Ok((layout, value.layout.axes[last], value.layout.axes[last + 1]))
        };
        let ((one, rows, inner), (other, depth, columns)) = (leading(left)?, leading(right)?);
        if inner != depth {
            return Err(format!("multiplies {inner} columns with {depth} rows").into());
        }
        let common = one.joined(&other)?;
        let last = common.axes.len() - 2;
        let matrices =
            |rows: usize, columns: usize| common.with(last, rows).with(last + 1, columns);
        let left = self.aligned(call, left, &matrices(rows, inner))?;
        let right = self.aligned(call, right, &matrices(depth, columns))?;
        let inputs = [left.number, right.number];
        self.push(call, Operation::MatMul, &inputs, matrices(rows, columns))
    }

    /// The matrix product of two operands, an affine map where the second is a weight.
    pub(super) fn matrix_product(
        &mut self,
        call: &Call<'_>,
        left: &Operand,
        right: &Operand,
    ) -> Result<Operand, Reason> {
        if let (Operand::Value(argument), Operand::Weight(held)) = (left, right)
            && let Some(product) = self.affine(call, argument, held, true)?
        {
            return Ok(Operand::Value(product));
        }
        let left = self.materialize(call, left)?;
        let right = self.materialize(call, right)?;
        Ok(Operand::Value(self.product(call, &left, &right)?))
    }
}

pub(super) fn matmul(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    super::one(importer.matrix_product(call, call.input(0)?, call.input(1)?)?)
}

/// α A B + β C, of matrices that may be transposed.
pub(super) fn gemm(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<Operand>, Reason> {
    let (alpha, beta) = (call.float("alpha", 1.0), call.float("beta", 1.0));
    if alpha != 1.0 || beta != 1.0 && call.optional(2).is_some() {
        return Err(
            format!("has the factors {alpha} and {beta}; only those of one are there").into(),
        );
    }
    let is_set = |name: &str| call.int(name, 0) != 0;
    let turned =
        |importer: &mut Importer<'_>, operand: &Operand| match operand.shape(importer.marker).len()
        {
            2 => importer.transposed(call, operand, &[1, 0]),
            rank => Err(format!("multiplies tensors of {rank} axes").into()),
        };
    let mut left = call.input(0)?.clone();
    if is_set("transA") {
        left = turned(importer, &left)?;
    }
    let right = call.input(1)?;
    let affine = match (&left, right) {
        (Operand::Value(argument), Operand::Weight(held)) => {
            importer.affine(call, argument, held, !is_set("transB"))?
        }
        _ => None,
    };
    let product = match affine {
        Some(affine) => affine,
        None => {
            let right = if is_set("transB") {
                turned(importer, right)?
            } else {
                right.clone()
            };
            let left = importer.materialize(call, &left)?;
            let right = importer.materialize(call, &right)?;
            importer.product(call, &left, &right)?
        }
    };
    match call.optional(2) {
        None => value(product),
        Some(bias) => super::one(importer.sum_of(call, &Operand::Value(product), bias)?),
    }
}
