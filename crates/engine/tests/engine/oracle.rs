//! A small problem, its request, and dense matrices that share no code with operators and estimators.

use candle_core::{DType, Device, Tensor};
use flatness_data::LabelledTensors;
use flatness_engine::{Error, Found, Resources, Subject, Weights, measure, plan};
use flatness_layers::{Loss, Workers};
use flatness_records::{CurvePoint, Measured, Quantity, Request, Streams, What};
use flatness_testkit::{Activation, Problem};
use nalgebra::DMatrix;

/// Images of 5 pixels, 6 hidden units, 4 classes: P = 64.
pub(crate) const WIDTHS: [usize; 3] = [5, 6, 4];
pub(crate) const EXAMPLES: usize = 12;

/// A problem and what the engine takes of it.
pub(crate) struct Place {
    pub(crate) problem: Problem,
    pub(crate) weights: Weights,
    pub(crate) data: LabelledTensors,
    workers: Workers,
    pub(crate) activations: usize,
    pub(crate) vectors: u64,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::of(problem(&WIDTHS, Activation::Relu))
    }

    pub(crate) fn of(problem: Problem) -> Self {
        let theta = Tensor::new(problem.theta.as_slice(), &Device::Cpu).expect("a vector");
        let statistics = problem.network.buffers();
        let buffers = statistics.initialize(0, DType::F64, &Device::Cpu);
        let buffers = buffers.expect("statistics");
        let classes = problem.classes();
        let data = LabelledTensors::new("toy", &problem.inputs, &problem.labels, classes);
        Self {
            data: data.expect("examples"),
            weights: Weights { theta, buffers },
            workers: Workers::new(1).expect("a thread"),
            problem,
            activations: 1 << 30,
            vectors: 1 << 30,
        }
    }

    pub(crate) fn with(self, workers: Workers) -> Self {
        Self { workers, ..self }
    }

    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            network: &self.problem.network,
            weights: &self.weights,
            initial: None,
            examples: &self.data,
            loss: Loss::CrossEntropy,
            weight_decay: 0.0,
        }
    }

    pub(crate) fn resources(&self) -> Resources<'_> {
        Resources {
            workers: &self.workers,
            device: &Device::Cpu,
            activations: self.activations,
            vectors: self.vectors,
            interrupt: &|| false,
            journal: None,
        }
    }

    pub(crate) fn found(&self, request: &Request) -> Result<Found, Error> {
        self.found_with(&self.subject(), &self.resources(), request)
    }

    pub(crate) fn found_with(
        &self,
        subject: &Subject<'_>,
        resources: &Resources<'_>,
        request: &Request,
    ) -> Result<Found, Error> {
        measure(subject, request, Streams::new(0), resources, &())
    }

    pub(crate) fn measure(&self, request: &Request) -> Measured {
        self.measure_of(&self.subject(), request)
    }

    pub(crate) fn measure_of(&self, subject: &Subject<'_>, request: &Request) -> Measured {
        let found = self.found_with(subject, &self.resources(), request);
        found.expect("a measurement").measured
    }

    /// The sentence that refuses `request` before any work.
    pub(crate) fn refusal(&self, request: &Request) -> String {
        let refused = plan(&self.subject(), request, &self.resources());
        refused.expect_err("a refusal").to_string()
    }

    /// The mean Hessian at `theta`.
    pub(crate) fn hessian(&self) -> DMatrix<f64> {
        self.problem.hessian() / EXAMPLES as f64
    }

    pub(crate) fn gauss_newton(&self) -> DMatrix<f64> {
        self.problem.gauss_newton() / EXAMPLES as f64
    }
}

/// Fully connected layers of these widths.
pub(crate) fn problem(widths: &[usize], activation: Activation) -> Problem {
    Problem::new(widths, activation, Loss::CrossEntropy, EXAMPLES, 3)
}

/// A request of `what`, separated by commas, accurate enough to be told apart from anything else.
pub(crate) fn request(what: &str) -> Request {
    let what = what
        .split(',')
        .map(|what| what.parse::<What>().expect(what));
    Request {
        what: what.collect(),
        tolerance: 1e-9,
        ..Request::default()
    }
}

/// In descending order.
pub(crate) fn eigenvalues(matrix: &DMatrix<f64>) -> Vec<f64> {
    let symmetric = (matrix + matrix.transpose()) * 0.5;
    let mut values: Vec<f64> = symmetric.symmetric_eigenvalues().iter().copied().collect();
    values.sort_by(|left, right| right.total_cmp(left));
    values
}

/// Asserts that a number is as close to `truth` as four of its errors, beyond which a normal estimate is once in 16,000
/// times, and that the error says something.
#[track_caller]
pub(crate) fn check(name: &str, number: &Quantity, truth: f64, scale: f64) {
    let (value, error) = (number.value, number.error());
    assert!(
        (value - truth).abs() <= 4.0 * error + 1e-10 * scale,
        "{name}: {value:e} +- {error:e}, but it is {truth:e}"
    );
    assert!(error <= 0.25 * scale, "{name}: {value:e} +- {error:e}");
}

#[track_caller]
pub(crate) fn number<'m>(measured: &'m Measured, name: &str) -> &'m Quantity {
    measured
        .number(name)
        .unwrap_or_else(|| panic!("no {name} in {measured:?}"))
}

/// The points of a curve.
#[track_caller]
pub(crate) fn points<'m>(measured: &'m Measured, name: &str) -> &'m [CurvePoint] {
    &measured.curve(name).expect(name).points
}
