//! One kernel with the same operands on two devices.

use candle_core::{DType, Device, Result, Tensor};
use flatness_testkit::values;

const NUMBER_TYPES: [(DType, f64); 2] = [(DType::F64, 1e-10), (DType::F32, 1e-4)];

/// What differs, so that one run of the test tells of every kernel.
pub(crate) struct Comparison {
    device: Device,
    differences: Vec<String>,
}

impl Comparison {
    /// Of the CPU with `device`.
    pub(crate) fn with(device: Device) -> Self {
        Self {
            device,
            differences: Vec::new(),
        }
    }

    /// Fails with all that differs.
    pub(crate) fn finish(self) {
        let differences = self.differences;
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }

    /// Calls `kernel` with `operands`, floats in each number type, on both devices.
    pub(crate) fn check(
        &mut self,
        what: &str,
        operands: &[Tensor],
        kernel: impl Fn(&[Tensor]) -> Result<Vec<Tensor>>,
    ) {
        for (dtype, tolerance) in NUMBER_TYPES {
            let results = |device: &Device| -> Result<Vec<Vec<f64>>> {
                let there = operands.iter().map(|operand| {
                    let float = operand.dtype().is_float();
                    let dtype = if float { dtype } else { operand.dtype() };
                    operand.to_dtype(dtype)?.to_device(device)
                });
                let results = kernel(&there.collect::<Result<Vec<_>>>()?)?;
                Ok(results.iter().map(values).collect())
            };
            let expected = results(&Device::Cpu).expect("operands that fit");
            match results(&self.device) {
                Ok(got) if got.len() == expected.len() => {
                    let pairs = got.iter().zip(&expected);
                    self.differences.extend(pairs.filter_map(|(got, expected)| {
                        let difference = difference(got, expected, tolerance)?;
                        Some(format!("{what}, {dtype:?}: {difference}"))
                    }));
                }
                other => self
                    .differences
                    .push(format!("{what}, {dtype:?}: {other:?}")),
            }
        }
    }

    /// As [`Comparison::check`], for a kernel that adds to its last `sums` operands in place.
    pub(crate) fn check_sums(
        &mut self,
        what: &str,
        operands: &[Tensor],
        sums: usize,
        kernel: impl Fn(&[Tensor]) -> Result<()>,
    ) {
        let first = operands.len() - sums;
        self.check(what, operands, |operands| {
            let copies = operands[first..].iter().map(Tensor::copy);
            let sums = copies.collect::<Result<Vec<_>>>()?;
            kernel(&[&operands[..first], &sums].concat())?;
            Ok(sums)
        });
    }
}

/// What differs first, where anything does.
fn difference(got: &[f64], expected: &[f64], tolerance: f64) -> Option<String> {
    if got.len() != expected.len() {
        let (got, expected) = (got.len(), expected.len());
        return Some(format!("{got} elements, expected {expected}"));
    }
    let scale = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let mut pairs = got.iter().zip(expected).enumerate();
    let (index, (got, expected)) = pairs.find(|(_, (got, expected))| {
        // Written so that NaN differs.
        let close = (*got - *expected).abs() <= tolerance * scale;
        !close
    })?;
    Some(format!(
        "element {index} is {got:e}, expected {expected:e} within {tolerance:e} of {scale:e}"
    ))
}
