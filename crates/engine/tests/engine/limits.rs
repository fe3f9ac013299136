//! Refusals before any work, limits during it, and what it costs.

use std::cell::Cell;

use flatness_engine::{Observer, Resources, Size, cost, measure};
use flatness_records::{Cost, Matrix, Request, Streams};
use flatness_testkit::Activation;

use crate::oracle::{Place, WIDTHS, problem, request};

/// Everything that needs no more than a network of affine layers and ReLU.
const ALL: &str = "top=2,bottom,trace,frobenius,density,rank,diagonal=4,spectrum,norms,fisher-rao,adaptive,\
    relative-flatness,confidence,pac-bayes,keskar=1e-3,keskar-ball=1e-3,quadratic=1e-3:1e-2,landscape,scaling=1:2,\
    rescaling=1:2";

#[test]
fn what_cannot_be_measured_is_refused_in_a_sentence() {
    let relu = Place::new();
    type Change = fn(&mut Request);
    let some: Change = |it| it.parameters = vec!["fc0.*".to_owned()];
    let layers: Change = |it| it.each = vec!["layer".to_owned()];
    let unknown: Change = |it| it.parameters = vec!["fc7.*".to_owned()];
    let (decayed, nothing): (Change, Change) = (|it| it.l2 = 0.1, |_| ());
    let few = "--budget is 2 products, but what is asked for takes 3 at least";
    let many = "--what top=65: the matrix has 64 eigenvalues";
    let batches = "--batch-size must be from 1 to 12";
    let basis = "--basis must be at least 3, got 2";
    let keskar = "keskar=5e-4 is of the loss itself and of all parameters, and cannot obey --l2";
    let cases: [(&str, Change, &str); 13] = [
        ("trace", |it| it.budget = 2, few),
        ("rank", |it| it.budget = 60, "takes 61 at least"),
        ("top=65", nothing, many),
        ("trace", |it| it.batch_size = Some(13), batches),
        ("trace", |it| it.sample = Some(13), "got 13"),
        ("trace", unknown, "fc7.*"),
        ("top", |it| it.basis = Some(2), basis),
        ("trace,norms", layers, "ask for norms without it"),
        ("landscape", layers, "ask for landscape without it"),
        ("keskar", decayed, keskar),
        ("fisher-rao", decayed, "cannot obey --l2"),
        ("adaptive", some, "cannot obey --parameters"),
        ("quadratic", some, "cannot obey --parameters"),
    ];
    for (what, change, expected) in cases {
        let mut request = request(what);
        change(&mut request);
        let message = relu.refusal(&request);
        assert!(message.contains(expected), "{what}: {message}");
    }
    let tanh = Place::of(problem(&WIDTHS, Activation::Tanh));
    for what in ["scaling", "rescaling"] {
        let message = tanh.refusal(&request(&format!("{what}=1:2")));
        assert!(message.contains(&format!("--what {what}: ")), "{message}");
    }
}

/// A vector has 512 bytes, and less than a mebibyte is said to be none.
#[test]
fn what_does_not_fit_the_memory_is_refused_before_any_work() {
    let mut place = Place::new();
    place.vectors = 12 * 512;
    let search = "the search for an eigenvalue takes 1 MiB of vectors at least, but --vector-memory allows 0 MiB";
    for (what, expected) in [
        ("top", search),
        ("diagonal=40", "--what diagonal=40 takes"),
        ("rank", "takes 1 MiB"),
        ("adaptive", "--what adaptive takes"),
        ("quadratic", "takes 1 MiB"),
        ("scaling=1", "takes 1 MiB"),
        ("spectrum", "--what spectrum takes"),
    ] {
        let message = place.refusal(&request(what));
        assert!(message.contains(expected), "{what}: {message}");
    }
    place.activations = 1;
    let message = place.refusal(&request("norms"));
    let expected = "--memory-budget must be at least 1 MiB for";
    assert!(message.contains(expected), "{message}");
}

fn parts(cost: Cost) -> [u64; 3] {
    [cost.products, cost.losses, cost.gradients]
}

#[test]
fn a_limit_that_has_passed_leaves_every_number_undefined_and_loses_nothing() {
    let place = Place::new();
    let resources = Resources {
        interrupt: &|| true,
        ..place.resources()
    };
    let found = place.found_with(&place.subject(), &resources, &request(ALL));
    let measured = found.expect("what there is").measured;
    assert_eq!(parts(measured.cost), [0, 0, 1]);
    assert!(measured.loss.is_finite() && measured.number("gradient_norm").is_some());
    let network = "fisher-rao,adaptive,relative-flatness,confidence,landscape,scaling=1e0:2e0";
    for what in network.split(',') {
        let why = &measured.undefined[what];
        assert!(why.contains("time limit"), "{what}: {why}");
    }
    for what in ["top=2", "trace", "density", "diagonal=4", "spectrum"] {
        let record = &measured.matrices[0];
        assert!(record.undefined.contains_key(what), "{what}: {record:?}");
    }
}

#[test]
fn all_measures_cost_what_was_said_and_are_shown() {
    #[derive(Default)]
    struct Shown(Cell<u64>);
    impl Observer for Shown {
        fn advance(&self, units: u64) {
            self.0.set(self.0.get() + units);
        }
    }
    let place = Place::new();
    for matrices in [
        vec![Matrix::Hessian],
        vec![Matrix::GaussNewton, Matrix::EmpiricalFisher],
    ] {
        let mut request = request(ALL);
        request.matrices = matrices;
        let shown = Shown::default();
        let (subject, resources) = (place.subject(), place.resources());
        let found = measure(&subject, &request, Streams::new(0), &resources, &shown);
        let measured = found.expect("a measurement").measured;
        assert!(measured.undefined.is_empty(), "{:?}", measured.undefined);
        let size = Size {
            parameters: place.problem.dim(),
            groups: 1,
        };
        let mut work = cost(&request, &size);
        work.own.least += work.double.least;
        work.own.most += work.double.most;
        let (least, most) = (parts(work.own.least), parts(work.own.most));
        for (index, made) in parts(measured.cost).into_iter().enumerate() {
            let allowed = least[index]..=most[index];
            assert!(allowed.contains(&made), "{index}: {made} in {allowed:?}");
        }
        // Not the gradient of the beginning, nor the two losses of each factor, of the confidence and of the balls.
        let alone = 1 + 4 + 2 + 1 + 1;
        let made: u64 = parts(measured.cost).iter().sum();
        assert_eq!(shown.0.get() + alone, made);
    }
}
