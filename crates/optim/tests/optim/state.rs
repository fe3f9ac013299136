//! States: going on from one, and those that do not fit.

use candle_core::{DType, Tensor};
use flatness_optim::{Average, Decay, Error, Optimizer, State};
use flatness_testkit::{gaussian, values};

use crate::golden::golden;
use crate::optimizers;

/// A run cut in two by saving θ and the state has the same bits as one in a piece.
#[test]
fn a_restored_optimiser_goes_on_where_it_was_left() {
    let golden = golden();
    for run in &golden.runs {
        let steps = |optimizer: &mut dyn Optimizer, theta: &Tensor| {
            for step in 1..=5 {
                let gradient = golden.gradient(&run.objective, theta);
                let rate = golden.rate(run, step);
                optimizer.step(theta, &gradient, rate).unwrap();
            }
        };
        let theta = run.start();
        let mut whole = run.optimizer(&theta);
        steps(&mut *whole, &theta);
        let (saved_theta, saved) = (theta.copy().unwrap(), whole.state().unwrap());
        assert_eq!(saved.steps, 5);
        steps(&mut *whole, &theta);
        let mut resumed = run.optimizer(&saved_theta);
        resumed.restore(&saved).unwrap();
        steps(&mut *resumed, &saved_theta);
        assert_eq!(values(&saved_theta), values(&theta), "{}", run.describe());
    }
}

fn averages(like: &Tensor) -> [Average; 4] {
    let tail = |window| Average::tail(std::num::NonZeroUsize::new(window).unwrap(), like);
    let (uniform, exponential) = (Average::uniform(3, like), Average::exponential(0.7, like));
    [uniform, exponential, tail(3), tail(30)].map(Result::unwrap)
}

#[test]
fn a_restored_average_goes_on_where_it_was_left() {
    let like = gaussian(4, 1);
    let iterates: Vec<Tensor> = (1..12).map(|seed| gaussian(4, seed)).collect();
    for cut in [0, 2, 5, 9] {
        for (mut whole, mut resumed) in averages(&like).into_iter().zip(averages(&like)) {
            let mut saved = None;
            for (before, iterate) in iterates.iter().enumerate() {
                if before == cut {
                    saved = Some(whole.state().unwrap());
                }
                whole.add(iterate).unwrap();
            }
            resumed.restore(&saved.unwrap()).unwrap();
            for iterate in &iterates[cut..] {
                resumed.add(iterate).unwrap();
            }
            let [whole_average, average] = [&whole, &resumed].map(|a| a.average().unwrap());
            assert_eq!(values(&average), values(&whole_average), "{whole:?}");
            assert_eq!(resumed.count(), whole.count(), "{whole:?}");
        }
    }
}

/// An optimiser or an average.
enum One {
    Optimizer(Box<dyn Optimizer>),
    Average(Average),
}

impl One {
    fn advance(&mut self, theta: &Tensor) {
        match self {
            Self::Optimizer(one) => one.step(theta, &gaussian(4, 9), 0.1).unwrap(),
            Self::Average(one) => one.add(theta).unwrap(),
        }
    }

    fn saved(&self) -> State {
        match self {
            Self::Optimizer(one) => one.state().unwrap(),
            Self::Average(one) => one.state().unwrap(),
        }
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        match self {
            Self::Optimizer(one) => one.restore(state),
            Self::Average(one) => one.restore(state),
        }
    }
}

/// Optimisers and averages of θ with the names of the vectors of their states after one step.
fn everything(theta: &Tensor) -> impl Iterator<Item = (Vec<&'static str>, One)> {
    let optimizers = optimizers(&Decay::coupled(0.1).unwrap(), theta).into_iter();
    let averages = averages(theta).into_iter();
    let all = (optimizers.map(One::Optimizer)).chain(averages.map(One::Average));
    let with_largest = "first_moment largest_second_moment second_moment";
    let names = ["velocity", "velocity", "first_moment second_moment"];
    let names = names.into_iter().chain([with_largest; 2]);
    let names = names.chain(["mean", "mean", "iterate_0", "iterate_0"]);
    names.map(|names| names.split(' ').collect()).zip(all)
}

fn contents(state: &State) -> Vec<(String, Vec<f64>)> {
    let vectors = state.vectors.iter();
    vectors
        .map(|(name, vector)| (name.clone(), values(vector)))
        .collect()
}

#[test]
fn a_state_that_does_not_fit_is_named_and_changes_nothing() {
    let theta = gaussian(4, 1);
    for (names, mut one) in everything(&theta) {
        one.advance(&theta);
        let state = one.saved();
        assert_eq!(state.vectors.keys().collect::<Vec<_>>(), names);
        // The state without `name`, with `vector` in its place where there is one.
        let mut refused = |name: &str, vector: Option<Tensor>| {
            let mut wrong = state.clone();
            wrong.vectors.remove(name);
            let vector = vector.map(|vector| (name.to_owned(), vector));
            wrong.vectors.extend(vector);
            one.restore(&wrong).unwrap_err()
        };
        for name in names {
            let error = refused(name, None);
            assert!(matches!(&error, Error::Missing { name: got } if got == name));
            let single = gaussian(4, 2).to_dtype(DType::F32).unwrap();
            for wrong in [gaussian(3, 2), gaussian((2, 2), 2), single] {
                let error = refused(name, Some(wrong));
                assert!(matches!(&error, Error::Vector { place, .. } if place == name));
            }
        }
        let error = refused("more", Some(theta.clone()));
        assert!(matches!(&error, Error::Unexpected { name } if name == "more"));
        assert_eq!(contents(&one.saved()), contents(&state));
    }
}

#[test]
fn states_are_copies_both_ways() {
    let theta = gaussian(4, 1);
    for (names, mut one) in everything(&theta) {
        one.advance(&theta);
        let state = one.saved();
        let before = contents(&state);
        one.advance(&theta);
        assert_eq!(contents(&state), before, "{names:?}");
        one.restore(&state).unwrap();
        one.advance(&theta);
        assert_eq!(contents(&state), before, "{names:?}");
    }
}
