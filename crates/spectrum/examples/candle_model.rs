//! The largest eigenvalue of the Hessian of any candle model, by differences of candle's own gradient:
//!
//! ```text
//! cargo run --release -p flatness-spectrum --example candle_model
//! ```

use std::error::Error;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Module, VarBuilder, VarMap, linear, loss::cross_entropy};
use flatness_operator::GradientDifferences;
use flatness_spectrum::{Budget, EigenpairsSettings, eigenpairs};

fn main() -> Result<(), Box<dyn Error>> {
    // A model and data as you have them.
    let variables = VarMap::new();
    let names = VarBuilder::from_varmap(&variables, DType::F64, &Device::Cpu);
    let (hidden, head) = (
        linear(4, 16, names.pp("hidden"))?,
        linear(16, 3, names.pp("head"))?,
    );
    let inputs = Tensor::arange(0f64, 256.0, &Device::Cpu)?
        .sin()?
        .reshape((64, 4))?;
    let labels = Tensor::from_iter((0..64u32).map(|example| example * 7 % 3), &Device::Cpu)?;

    // Its variables by name, since the map has no order, and the gradient as a function of all of them in one vector.
    let mut sorted: Vec<(String, Var)> = {
        let all = variables
            .data()
            .lock()
            .map_err(|_| "another thread has panicked")?;
        all.iter()
            .map(|(name, variable)| (name.clone(), variable.clone()))
            .collect()
    };
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let flat = |tensor: &dyn Fn(&Var) -> candle_core::Result<Tensor>| {
        let pieces = sorted
            .iter()
            .map(|(_, variable)| tensor(variable)?.flatten_all());
        Tensor::cat(&pieces.collect::<candle_core::Result<Vec<_>>>()?, 0)
    };
    let gradient = |theta: &Tensor| {
        let mut start = 0;
        for (_, variable) in &sorted {
            let piece = theta.narrow(0, start, variable.elem_count())?;
            start += variable.elem_count();
            variable.set(&piece.reshape(variable.shape())?)?;
        }
        let logits = head.forward(&hidden.forward(&inputs)?.gelu_erf()?)?;
        let gradients = cross_entropy(&logits, &labels)?.backward()?;
        flat(&|variable| {
            gradients
                .get(variable)
                .map_or_else(|| variable.zeros_like(), |piece| Ok(piece.clone()))
        })
    };

    let theta = flat(&|variable| variable.as_tensor().copy())?;
    let hessian = GradientDifferences::new(&theta, gradient)?;
    let search = EigenpairsSettings {
        top: 1,
        bottom: 1,
        block: 1,
        basis: 40,
        tolerance: 1e-6,
        least_products: 0,
        seed: 0,
    };
    let pairs = eigenpairs(&hessian, &search, &Budget::UNLIMITED, &mut |_| ())?;
    let error = hessian.error(&pairs.top_vectors()?.get(0)?)?;
    println!(
        "{} +- {:e} (residual) +- {:e} (differences)",
        pairs.top[0].value,
        pairs.top[0].residual,
        error.truncation + error.rounding
    );
    Ok(())
}
