//! States: going on from one, and those that do not fit.

use candle_core::{DType, Tensor};
use flatness_optim::{
    Adam, AmsGrad, Average, CoupledL2, Error, ExponentialAverage, MomentSettings, Momentum,
    Optimizer, Padam, Sgd, State, TailAverage, UniformAverage,
};
use flatness_testkit::{gaussian, values};

use crate::golden::golden;

/// A run cut in two by saving θ and the state has the same bits as one in a piece.
#[test]
fn a_restored_optimiser_goes_on_where_it_was_left() {
    let golden = golden();
    for run in &golden.runs {
        let steps = |optimizer: &mut dyn Optimizer, theta: &Tensor| {
            for step in 1..=5 {
                let gradient = golden.gradient(&run.objective, theta);
                optimizer
                    .step(theta, &gradient, golden.rate(run, step))
                    .unwrap();
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

fn averages(like: &Tensor) -> [Box<dyn Average>; 4] {
    let window = |window| std::num::NonZeroUsize::new(window).unwrap();
    [
        Box::new(UniformAverage::new(3, like).unwrap()),
        Box::new(ExponentialAverage::new(0.7, like).unwrap()),
        Box::new(TailAverage::new(window(3), like).unwrap()),
        Box::new(TailAverage::new(window(30), like).unwrap()),
    ]
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

/// Optimisers and averages of θ with the names of the vectors of their states after one step.
fn everything(theta: &Tensor) -> Vec<(Vec<&'static str>, Box<dyn Restorable>)> {
    let decay = || CoupledL2::new(0.1).unwrap();
    let moments = vec!["first_moment", "second_moment"];
    let with_largest = vec!["first_moment", "largest_second_moment", "second_moment"];
    let published = MomentSettings::PUBLISHED;
    let sgd = Sgd::new(Momentum::HeavyBall(0.9), decay(), theta).unwrap();
    let adam = Adam::new(published, decay(), theta).unwrap();
    let ams_grad = AmsGrad::new(published, decay(), theta).unwrap();
    let padam = Padam::new(published, 0.125, decay(), theta).unwrap();
    let window = std::num::NonZeroUsize::new(3).unwrap();
    vec![
        (vec!["velocity"], Box::new(Stepped(sgd))),
        (moments, Box::new(Stepped(adam))),
        (with_largest.clone(), Box::new(Stepped(ams_grad))),
        (with_largest, Box::new(Stepped(padam))),
        (
            vec!["mean"],
            Box::new(Averaged(UniformAverage::new(0, theta).unwrap())),
        ),
        (
            vec!["mean"],
            Box::new(Averaged(ExponentialAverage::new(0.9, theta).unwrap())),
        ),
        (
            vec!["iterate_0"],
            Box::new(Averaged(TailAverage::new(window, theta).unwrap())),
        ),
    ]
}

/// What both kinds of state have in common.
trait Restorable {
    fn advance(&mut self, theta: &Tensor);
    fn state(&self) -> State;
    fn restore(&mut self, state: &State) -> Result<(), Error>;
}

struct Stepped<O>(O);

impl<O: Optimizer> Restorable for Stepped<O> {
    fn advance(&mut self, theta: &Tensor) {
        self.0.step(theta, &gaussian(4, 9), 0.1).unwrap();
    }

    fn state(&self) -> State {
        self.0.state().unwrap()
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        self.0.restore(state)
    }
}

struct Averaged<A>(A);

impl<A: Average> Restorable for Averaged<A> {
    fn advance(&mut self, theta: &Tensor) {
        self.0.add(theta).unwrap();
    }

    fn state(&self) -> State {
        self.0.state().unwrap()
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        self.0.restore(state)
    }
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
        let state = one.state();
        assert_eq!(state.vectors.keys().collect::<Vec<_>>(), names);
        for name in names {
            let mut missing = state.clone();
            missing.vectors.remove(name);
            let error = one.restore(&missing).unwrap_err();
            assert!(
                matches!(&error, Error::Missing { name: got } if got == name),
                "{error}"
            );

            for wrong in [
                gaussian(3, 2),
                gaussian((2, 2), 2),
                gaussian(4, 2).to_dtype(DType::F32).unwrap(),
            ] {
                let mut misshaped = state.clone();
                misshaped.vectors.insert(name.to_owned(), wrong);
                let error = one.restore(&misshaped).unwrap_err();
                assert!(
                    matches!(&error, Error::Vector { place, .. } if place == name),
                    "{error}"
                );
            }
        }
        let mut unexpected = state.clone();
        unexpected.vectors.insert("more".to_owned(), theta.clone());
        let error = one.restore(&unexpected).unwrap_err();
        assert!(
            matches!(&error, Error::Unexpected { name } if name == "more"),
            "{error}"
        );
        assert_eq!(contents(&one.state()), contents(&state));
    }
}

#[test]
fn states_are_copies_both_ways() {
    let theta = gaussian(4, 1);
    for (names, mut one) in everything(&theta) {
        one.advance(&theta);
        let state = one.state();
        let before = contents(&state);
        one.advance(&theta);
        assert_eq!(contents(&state), before, "{names:?}");
        one.restore(&state).unwrap();
        one.advance(&theta);
        assert_eq!(contents(&state), before, "{names:?}");
    }
}
