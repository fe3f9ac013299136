//! Optimisers over the variables of a candle model.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Optimizer as _, VarMap};
use flatness_optim::{
    Adam, Average, Decay, Error, MomentSettings, Optimizer, SharpnessAware, State, VarOptimizer,
    VarSettings,
};
use flatness_testkit::{assert_close, gaussian, values};

fn adam(theta: &Tensor) -> Result<Box<dyn Optimizer>, Error> {
    let (published, decay) = (MomentSettings::PUBLISHED, Decay::decoupled(0.1)?);
    Ok(Box::new(Adam::new(published, decay, theta)?))
}

fn settings() -> VarSettings {
    VarSettings {
        learning_rate: 0.1,
        make: Box::new(adam),
    }
}

/// Over `vars`, and Adam at their flat vector.
fn both(vars: &Vars) -> (VarOptimizer, Tensor, Box<dyn Optimizer>) {
    let theta = Tensor::new(flat(vars), &Device::Cpu).unwrap();
    let flat_adam = adam(&theta).unwrap();
    (over(vars), theta, flat_adam)
}

fn over(vars: &Vars) -> VarOptimizer {
    VarOptimizer::new(vars.clone(), settings()).unwrap()
}

type Vars = BTreeMap<String, Var>;

fn vars() -> Vars {
    let tensors = [
        ("a", gaussian((2, 3), 1)),
        ("b", gaussian(3, 2)),
        ("c", gaussian(2, 3)),
    ];
    let vars = tensors.map(|(name, tensor)| (name.to_owned(), Var::from_tensor(&tensor).unwrap()));
    vars.into()
}

fn flat(vars: &Vars) -> Vec<f64> {
    vars.values().flat_map(|var| values(var)).collect()
}

/// Σ (½ x² + x³/3) of the first two variables, whose gradient is x + x²; the third is not reached.
fn loss(vars: &Vars) -> candle_core::Result<Tensor> {
    let term = |var: &Var| ((var.sqr()? * 0.5)? + (var.powf(3.0)? / 3.0)?)?.sum_all();
    term(&vars["a"])? + term(&vars["b"])?
}

fn gradient(theta: &[f64]) -> Tensor {
    let elements = theta.iter().enumerate();
    let gradient = elements.map(|(place, x)| if place < 9 { x + x * x } else { 0.0 });
    Tensor::new(gradient.collect::<Vec<f64>>(), &Device::Cpu).unwrap()
}

#[test]
fn variables_move_as_the_flat_vector_does() {
    let vars = vars();
    let (mut optimizer, theta, mut flat_adam) = both(&vars);
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
    let (mut optimizer, theta, mut flat_adam) = both(&vars);
    let sharpness_aware = SharpnessAware::new(0.3).unwrap();
    for _ in 0..3 {
        let step = optimizer.sharpness_aware_step(sharpness_aware, || loss(&vars));
        step.unwrap();
        let gradient = |at: &Tensor| Ok::<_, Error>(gradient(&values(at)));
        let step = sharpness_aware.step(&mut *flat_adam, &theta, 0.1, gradient);
        step.unwrap();
        assert_close("θ", &flat(&vars), &values(&theta), 1e-13);
    }
}

#[test]
fn variables_are_as_before_when_the_second_loss_fails() {
    let vars = vars();
    let before = flat(&vars);
    let mut optimizer = over(&vars);
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
    let optimizer = over(&vars);
    let before = flat(&vars);
    let single = gaussian(11, 1).to_dtype(DType::F32).unwrap();
    for wrong in [gaussian(10, 1), single] {
        let error = optimizer.set_theta(&wrong).unwrap_err();
        assert!(matches!(&error, Error::Vector { place, .. } if place == "parameters"));
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
    vars.insert("b.count".to_owned(), Var::from_tensor(&counter).unwrap());
    let optimizer = over(&vars);
    assert_eq!(optimizer.theta().unwrap().elem_count(), 11);
}

/// Six variables of one shape, put into the map in one order or the other. Two maps of the same names
/// iterate in different orders.
fn varmap(reversed: bool) -> VarMap {
    let varmap = VarMap::new();
    for index in 0..6 {
        let seed = if reversed { 5 - index } else { index };
        let var = Var::from_tensor(&gaussian(2, seed)).unwrap();
        let mut data = varmap.data().lock().unwrap();
        data.insert(format!("layer.{seed}"), var);
    }
    varmap
}

/// Σᵢ (i + 1) Σ xᵢ⁴: every variable has moments of its own size.
fn steep_loss(varmap: &VarMap) -> Tensor {
    let data = varmap.data().lock().unwrap();
    let terms = (0..6).map(|index| {
        let var = &data[&format!("layer.{index}")];
        (var.powf(4.0)?.sum_all()? * f64::from(index + 1))?.unsqueeze(0)
    });
    let terms: Vec<Tensor> = terms.collect::<candle_core::Result<_>>().unwrap();
    Tensor::cat(&terms, 0)
        .and_then(|terms| terms.sum_all())
        .unwrap()
}

/// One process trains and averages for three steps, writes its files, and another goes on with them.
#[test]
fn a_state_finds_its_variables_in_another_map() {
    let walk = |varmap: &VarMap, optimizer: &mut VarOptimizer, average: &mut Average| {
        for _ in 0..3 {
            optimizer.backward_step(&steep_loss(varmap)).unwrap();
            average.add(&optimizer.theta().unwrap()).unwrap();
        }
    };
    let start = |varmap: &VarMap| {
        let optimizer = VarOptimizer::from_varmap(varmap, settings()).unwrap();
        let average = Average::uniform(0, &optimizer.theta().unwrap()).unwrap();
        (optimizer, average)
    };
    let first = varmap(false);
    let (mut optimizer, mut average) = start(&first);
    walk(&first, &mut optimizer, &mut average);
    let averaged = optimizer.named(&average.state().unwrap()).unwrap();
    let files = [&optimizer.state().unwrap(), &averaged].map(|state| state.to_bytes().unwrap());
    let left: BTreeMap<String, Tensor> = (first.data().lock().unwrap().iter())
        .map(|(name, var)| (name.clone(), var.copy().unwrap()))
        .collect();
    walk(&first, &mut optimizer, &mut average);

    for reversed in [false, true] {
        let mut second = varmap(reversed);
        second.set(left.iter()).unwrap();
        let (mut resumed, mut resumed_average) = start(&second);
        let [state, averaged] =
            [&files[0], &files[1]].map(|file| State::from_bytes(file, &Device::Cpu).unwrap());
        assert_eq!((state.steps, state.vectors.len()), (3, 12));
        assert_eq!(state.vectors["second_moment/layer.4"].dims(), [2]);
        resumed.restore(&state).unwrap();
        resumed_average
            .restore(&resumed.flat(&averaged).unwrap())
            .unwrap();
        walk(&second, &mut resumed, &mut resumed_average);
        for (name, var) in first.data().lock().unwrap().iter() {
            let other = &second.data().lock().unwrap()[name];
            assert_eq!(values(var), values(other), "{name}");
        }
        let [whole, parts] = [&average, &resumed_average].map(|average| average.average().unwrap());
        assert_eq!(values(&whole), values(&parts));
    }
}

#[test]
fn a_state_of_other_variables_is_refused_and_changes_nothing() {
    let vars = vars();
    let mut optimizer = over(&vars);
    optimizer.backward_step(&loss(&vars).unwrap()).unwrap();
    let state = optimizer.state().unwrap();
    let before: Vec<_> = state.vectors.values().map(values).collect();
    // What the message names, the vector to be taken out and the one to be put in.
    let (moment, other) = (gaussian((2, 3), 1), gaussian((3, 2), 1));
    let (a, d) = ("first_moment/a", "first_moment/d");
    for (named, removed, inserted) in [
        ("no vector first_moment/a;", a, None),
        ("a vector first_moment/d;", "", Some((d, &moment))),
        ("a vector first_moment/d;", a, Some((d, &moment))),
        ("a vector velocity;", "", Some(("velocity", &moment))),
        ("no vector velocity/b;", "", Some(("velocity/a", &moment))),
        (
            "moment/a: expected [2, 3], got [3, 2]",
            "",
            Some((a, &other)),
        ),
    ] {
        let mut wrong = state.clone();
        wrong.vectors.remove(removed);
        let inserted = inserted.map(|(name, tensor)| (name.to_owned(), tensor.clone()));
        wrong.vectors.extend(inserted);
        let message = optimizer.restore(&wrong).unwrap_err().to_string();
        assert!(message.contains(named), "{named} {message}");
    }
    let after = optimizer.state().unwrap();
    let after: Vec<_> = after.vectors.values().map(values).collect();
    assert_eq!(after, before);
    let short = Average::uniform(0, &gaussian(10, 1)).and_then(|average| average.state());
    let error = optimizer.named(&short.unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "mean: expected [11], got [10]");
}

#[test]
fn bytes_that_are_not_the_file_of_a_state_are_refused() {
    let vars = vars();
    let file = over(&vars).state().unwrap().to_bytes().unwrap();
    for bytes in [&[][..], b"no safetensors", &file[..file.len() - 1]] {
        let error = State::from_bytes(bytes, &Device::Cpu).unwrap_err();
        let is_file = matches!(error, Error::File(_) | Error::Candle(_));
        assert!(is_file, "{error}");
    }
    let named = vars.iter();
    let named = named.map(|(name, var)| (name, var.as_tensor().clone()));
    let weights = safetensors::serialize(named.collect::<Vec<_>>(), None).unwrap();
    let error = State::from_bytes(&weights, &Device::Cpu).unwrap_err();
    assert!(matches!(error, Error::Steps), "{error}");
}

/// The constructor of candle's trait, which has variables without names.
#[test]
fn every_variable_has_a_name_of_its_own() {
    let make = |names: &[&str]| {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let vars = vars().into_values().collect();
        <VarOptimizer as candle_nn::Optimizer>::new(vars, (names, settings()))
    };
    let optimizer = make(&["b", "c", "a"]).unwrap();
    let state = optimizer.state().unwrap();
    assert_eq!(state.vectors["first_moment/b"].dims(), [2, 3]);
    for names in [&["a", "b"][..], &["a", "b", "c", "d"], &["a", "b", "a"]] {
        let message = make(names).unwrap_err().to_string();
        let expected = "one name for each of 3 variables";
        assert!(message.contains(expected), "{message}");
    }
}
