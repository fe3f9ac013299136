//! Optimisers over the variables of a candle model.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::Optimizer as _;
use flatness_optim::{
    Adam, DecoupledDecay, Error, MomentSettings, Optimizer, SharpnessAware, VarOptimizer,
    VarSettings,
};
use flatness_testkit::{assert_close, gaussian, values};

fn adam(theta: &Tensor) -> Result<Box<dyn Optimizer>, Error> {
    let decay = DecoupledDecay::new(0.1)?;
    Ok(Box::new(Adam::new(
        MomentSettings::PUBLISHED,
        decay,
        theta,
    )?))
}

fn settings() -> VarSettings {
    VarSettings {
        learning_rate: 0.1,
        make: Box::new(adam),
    }
}

fn vars() -> Vec<Var> {
    let tensors = [gaussian((2, 3), 1), gaussian(3, 2), gaussian(2, 3)];
    tensors
        .map(|tensor| Var::from_tensor(&tensor).unwrap())
        .into()
}

fn flat(vars: &[Var]) -> Vec<f64> {
    vars.iter().flat_map(|var| values(var)).collect()
}

/// Σ (½ x² + x³/3) of the first two variables, whose gradient is x + x²; the third is not reached.
fn loss(vars: &[Var]) -> candle_core::Result<Tensor> {
    let term = |var: &Var| ((var.sqr()? * 0.5)? + (var.powf(3.0)? / 3.0)?)?.sum_all();
    term(&vars[0])? + term(&vars[1])?
}

fn gradient(theta: &[f64]) -> Tensor {
    let elements = theta.iter().enumerate();
    let gradient = elements.map(|(place, x)| if place < 9 { x + x * x } else { 0.0 });
    Tensor::new(gradient.collect::<Vec<f64>>(), &Device::Cpu).unwrap()
}

#[test]
fn variables_move_as_the_flat_vector_does() {
    let vars = vars();
    let theta = Tensor::new(flat(&vars), &Device::Cpu).unwrap();
    let mut flat_adam = adam(&theta).unwrap();
    let mut optimizer = VarOptimizer::new(vars.clone(), settings()).unwrap();
    for step in 0..4 {
        let rate = 0.1 / f64::from(step + 1);
        optimizer.set_learning_rate(rate);
        assert_eq!(optimizer.learning_rate(), rate);
        optimizer.backward_step(&loss(&vars).unwrap()).unwrap();
        let gradient = gradient(&values(&theta));
        flat_adam.step(&theta, &gradient, rate).unwrap();
        // The gradients differ by roundings.
        assert_close("θ", &flat(&vars), &values(&theta), 1e-13);
    }
    assert_eq!(values(&optimizer.theta().unwrap()), flat(&vars));
}

#[test]
fn a_sharpness_aware_step_is_that_of_the_flat_vector() {
    let vars = vars();
    let theta = Tensor::new(flat(&vars), &Device::Cpu).unwrap();
    let mut flat_adam = adam(&theta).unwrap();
    let mut optimizer = VarOptimizer::new(vars.clone(), settings()).unwrap();
    let sharpness_aware = SharpnessAware::new(0.3).unwrap();
    for _ in 0..3 {
        optimizer
            .sharpness_aware_step(sharpness_aware, || loss(&vars))
            .unwrap();
        let gradient = |at: &Tensor| Ok::<_, Error>(gradient(&values(at)));
        sharpness_aware
            .step(&mut *flat_adam, &theta, 0.1, gradient)
            .unwrap();
        assert_close("θ", &flat(&vars), &values(&theta), 1e-13);
    }
}

#[test]
fn variables_are_as_before_when_the_second_loss_fails() {
    let vars = vars();
    let before = flat(&vars);
    let mut optimizer = VarOptimizer::new(vars.clone(), settings()).unwrap();
    let calls = std::cell::Cell::new(0);
    let result = optimizer.sharpness_aware_step(SharpnessAware::new(0.3).unwrap(), || {
        calls.set(calls.get() + 1);
        if calls.get() == 2 {
            candle_core::bail!("no second loss");
        }
        loss(&vars)
    });
    assert!(result.unwrap_err().to_string().contains("no second loss"));
    assert_eq!(flat(&vars), before);
}

#[test]
fn a_vector_written_back_must_fit() {
    let vars = vars();
    let optimizer = VarOptimizer::new(vars.clone(), settings()).unwrap();
    let before = flat(&vars);
    for wrong in [
        gaussian(10, 1),
        gaussian(11, 1).to_dtype(DType::F32).unwrap(),
    ] {
        let error = optimizer.set_theta(&wrong).unwrap_err();
        assert!(
            matches!(&error, Error::Vector { place, .. } if place == "parameters"),
            "{error}"
        );
    }
    assert_eq!(flat(&vars), before);
    let theta = gaussian(11, 7);
    optimizer.set_theta(&theta).unwrap();
    assert_eq!(flat(&vars), values(&theta));
}

/// Integers among the variables, such as counters, are left alone.
#[test]
fn only_floats_are_optimised() {
    let mut vars = vars();
    let counter = Tensor::new(&[3u32], &Device::Cpu).unwrap();
    vars.insert(1, Var::from_tensor(&counter).unwrap());
    let optimizer = VarOptimizer::new(vars, settings()).unwrap();
    assert_eq!(optimizer.theta().unwrap().elem_count(), 11);
}
