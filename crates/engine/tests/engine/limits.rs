//! Refusals before any work, limits during it, and what it costs.

use std::cell::Cell;

use flatness_engine::{Observer, Resources, Size, cost, measure, plan};
use flatness_layers::Loss;
use flatness_records::{Cost, Matrix, Request, Streams};
use flatness_testkit::{Activation, Problem};

use crate::oracle::{EXAMPLES, Place, WIDTHS, request};

/// Everything that needs no more than a network of affine layers and ReLU.
const ALL: &str = "top=2,bottom,trace,frobenius,density,rank,diagonal=4,spectrum,norms,fisher-rao,adaptive,\
    relative-flatness,confidence,pac-bayes,keskar=1e-3,keskar-ball=1e-3,quadratic=1e-3:1e-2,landscape,scaling=1:2,\
    rescaling=1:2";

#[test]
fn what_cannot_be_measured_is_refused_in_a_sentence() {
    let relu = Place::new();
    let tanh = Place::of(Problem::new(
        &WIDTHS,
        Activation::Tanh,
        Loss::CrossEntropy,
        EXAMPLES,
        3,
    ));
    type Change = fn(&mut Request);
    let nothing: Change = |_| ();
    let cases: [(&Place, &str, Change, &str); 15] = [
        (
            &relu,
            "trace",
            |r| r.budget = 2,
            "--budget is 2 products, but what is asked for takes 3 at least",
        ),
        (&relu, "rank", |r| r.budget = 60, "takes 61 at least"),
        (
            &relu,
            "top=65",
            nothing,
            "--what top=65: the matrix has 64 eigenvalues",
        ),
        (
            &relu,
            "trace",
            |r| r.batch_size = Some(13),
            "--batch-size must be in 1..=12",
        ),
        (&relu, "trace", |r| r.sample = Some(13), "got 13"),
        (
            &relu,
            "trace",
            |r| r.parameters = vec!["fc7.*".to_owned()],
            "fc7.*",
        ),
        (
            &relu,
            "top",
            |r| r.basis = Some(2),
            "the basis holds 2 vectors",
        ),
        (
            &relu,
            "trace,norms",
            |r| r.each = vec!["layer".to_owned()],
            "ask for norms without it",
        ),
        (
            &relu,
            "keskar",
            |r| r.l2 = 0.1,
            "keskar=5e-4 is of the loss itself and of all parameters, and cannot obey --l2",
        ),
        (&relu, "fisher-rao", |r| r.l2 = 0.1, "cannot obey --l2"),
        (
            &relu,
            "adaptive",
            |r| r.parameters = vec!["fc0.*".to_owned()],
            "cannot obey --parameters",
        ),
        (
            &relu,
            "quadratic",
            |r| r.parameters = vec!["fc0.*".to_owned()],
            "cannot obey --parameters",
        ),
        (&tanh, "scaling=1:2", nothing, "--what scaling: "),
        (&tanh, "rescaling=1:2", nothing, "--what rescaling: "),
        (
            &relu,
            "landscape",
            |r| r.each = vec!["fc0.*".to_owned()],
            "ask for landscape without it",
        ),
    ];
    for (place, what, change, expected) in cases {
        let mut request = request(what);
        change(&mut request);
        let refused = plan(&place.subject(), &request, &place.resources());
        let message = refused.expect_err(what).to_string();
        assert!(message.contains(expected), "{what}: {message}");
    }
}

/// A vector has 512 bytes, and less than a mebibyte is said to be none.
#[test]
fn what_does_not_fit_the_memory_is_refused_before_any_work() {
    let mut place = Place::new();
    place.vectors = 12 * 512;
    for (what, expected) in [
        (
            "top",
            "the search for an eigenvalue takes 1 MiB of vectors at least, but --vector-memory allows 0 MiB",
        ),
        ("diagonal=40", "--what diagonal=40 takes"),
        ("rank", "takes 1 MiB"),
        ("adaptive", "--what adaptive takes"),
        ("quadratic", "takes 1 MiB"),
        ("scaling=1", "takes 1 MiB"),
        ("spectrum", "--what spectrum takes"),
    ] {
        let refused = plan(&place.subject(), &request(what), &place.resources());
        let message = refused.expect_err(what).to_string();
        assert!(message.contains(expected), "{what}: {message}");
    }
    place.activations = 1;
    let refused = plan(&place.subject(), &request("norms"), &place.resources());
    let message = refused.expect_err("no activations").to_string();
    assert!(
        message.contains("--memory-budget must be at least 1 MiB for"),
        "{message}"
    );
}

#[test]
fn a_limit_that_has_passed_leaves_every_number_undefined_and_loses_nothing() {
    let place = Place::new();
    let resources = Resources {
        interrupt: &|| true,
        ..place.resources()
    };
    let found = measure(
        &place.subject(),
        &request(ALL),
        Streams::new(0),
        &resources,
        &(),
    );
    let measured = found.expect("what there is").measured;
    assert_eq!(
        measured.cost,
        Cost {
            products: 0,
            losses: 0,
            gradients: 1
        }
    );
    assert!(measured.loss.is_finite() && measured.number("gradient_norm").is_some());
    for what in [
        "fisher-rao",
        "adaptive",
        "relative-flatness",
        "confidence",
        "landscape",
        "scaling=1e0:2e0",
    ] {
        let why = &measured.undefined[what];
        assert!(why.contains("time limit"), "{what}: {why}");
    }
    for what in ["top=2", "trace", "density", "diagonal=4", "spectrum"] {
        assert!(
            measured.matrices[0].undefined.contains_key(what),
            "{what}: {:?}",
            measured.matrices[0]
        );
    }
}

#[test]
fn all_measures_cost_what_was_said_and_are_shown() {
    #[derive(Default)]
    struct Shown(Cell<u64>);
    impl Observer for Shown {
        fn begin(&self, _: &str, _: &'static str, _: u64) {}
        fn expect(&self, _: u64) {}
        fn advance(&self, units: u64) {
            self.0.set(self.0.get() + units);
        }
        fn message(&self, _: &str) {}
        fn say(&self, _: &str) {}
    }
    let place = Place::new();
    for matrices in [
        vec![Matrix::Hessian],
        vec![Matrix::GaussNewton, Matrix::EmpiricalFisher],
    ] {
        let mut request = request(ALL);
        request.matrices = matrices;
        let shown = Shown::default();
        let found = measure(
            &place.subject(),
            &request,
            Streams::new(0),
            &place.resources(),
            &shown,
        );
        let measured = found.expect("a measurement").measured;
        assert!(measured.undefined.is_empty(), "{:?}", measured.undefined);
        let size = Size {
            parameters: place.problem.dim(),
            groups: 1,
        };
        let work = cost(&request, &size);
        let parts = |cost: Cost| [cost.products, cost.losses, cost.gradients];
        let (least, most) = (parts(work.own.least), parts(work.own.most));
        let (double_least, double_most) = (parts(work.double.least), parts(work.double.most));
        for (index, made) in parts(measured.cost).into_iter().enumerate() {
            let (least, most) = (
                least[index] + double_least[index],
                most[index] + double_most[index],
            );
            assert!(
                (least..=most).contains(&made),
                "{index}: {made} in {least}..={most}"
            );
        }
        // Not the gradient of the beginning, nor the two losses of each factor, of the confidence and of the balls.
        let alone = 1 + 4 + 2 + 1 + 1;
        assert_eq!(
            shown.0.get() + alone,
            parts(measured.cost).iter().sum::<u64>()
        );
    }
}
