//! The program, a checkpoint for it, and what it prints.

use std::path::PathBuf;
use std::process::{Child, Command};

use candle_core::{DType, Device, Tensor};
use flatness_layers::Network;
use flatness_models::{Architecture, checkpoint};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{ended, program, refused};

/// A checkpoint in a directory of its own.
pub(crate) struct Place {
    directory: TempDir,
    pub(crate) network: Network,
    /// (P), float64.
    pub(crate) theta: Tensor,
}

impl Place {
    /// The seeded initial parameters of `model`, in double precision.
    pub(crate) fn new(model: &str) -> Self {
        let network = Architecture::find(model).and_then(|found| found.network(&[1, 28, 28], 10));
        let network = network.expect("it is in the zoo");
        let initial = network.layout().initialize(5, DType::F64, &Device::Cpu);
        let theta = initial.expect("initial parameters");
        Self::with(model, network, theta)
    }

    /// These parameters of `network`.
    pub(crate) fn with(model: &str, network: Network, theta: Tensor) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let place = Self {
            directory,
            network,
            theta,
        };
        let buffers = place.network.buffers();
        let buffers = buffers.initialize(0, DType::F64, &Device::Cpu);
        let buffers = buffers.expect("running statistics");
        let bytes = checkpoint::encode(&place.network, &place.theta, &buffers, model);
        std::fs::write(place.checkpoint(), bytes.expect("a checkpoint")).expect("writable");
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.path("weights.safetensors")
    }

    /// `flatness measure` of the checkpoint with the options in `line`, separated by blanks.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = program();
        command.arg("measure").arg(self.checkpoint());
        command.args(line.split_whitespace()).arg("--quiet");
        command
    }

    pub(crate) fn start(&self, line: &str) -> Child {
        self.command(line).spawn().expect("the binary starts")
    }

    /// Asserts that it is refused with all that is `expected`; the sentence.
    #[track_caller]
    pub(crate) fn refused(&self, line: &str, expected: &[&str]) -> String {
        let checkpoint = self.checkpoint();
        let line = format!("measure {} {line} --quiet", checkpoint.display());
        refused(&line, expected)
    }

    /// What it prints for people.
    pub(crate) fn table(&self, line: &str) -> String {
        let (code, output, error) = ended(self.start(line));
        assert_eq!((code, error.as_str()), (0, ""), "{line}");
        output
    }

    /// What it prints with `--json`.
    pub(crate) fn text(&self, line: &str) -> String {
        self.table(&format!("{line} --json"))
    }

    /// The object that it prints with `--json`.
    pub(crate) fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.text(line)).expect("one JSON object")
    }
}

/// The number of that name, with all that is said of it, of the network, else of the first matrix; `report` may be one
/// matrix, one group or a point of a curve. Null where there is none.
pub(crate) fn quantity<'a>(report: &'a Value, name: &str) -> &'a Value {
    let first = &report["matrices"][0]["numbers"][name];
    match &report["numbers"][name] {
        Value::Null => first,
        number => number,
    }
}

/// The field of the number called `name`.
pub(crate) fn number(report: &Value, name: &str, field: &str) -> f64 {
    let number = quantity(report, name)[field].as_f64();
    number.unwrap_or_else(|| panic!("no {field} of {name} in {report}"))
}

pub(crate) fn value(report: &Value, name: &str) -> f64 {
    number(report, name, "value")
}

/// Products of everything.
pub(crate) fn all_products(report: &Value) -> u64 {
    report["cost"]["products"].as_u64().expect("a count")
}

/// The matrices, or the groups of their parameters.
pub(crate) fn matrices(report: &Value) -> &[Value] {
    report["matrices"].as_array().expect("an array")
}

/// The points of a curve.
pub(crate) fn curve<'a>(report: &'a Value, name: &str) -> &'a [Value] {
    let curves = report["curves"].as_array().expect("an array");
    let curve = curves.iter().find(|curve| curve["name"] == name);
    let points = curve.and_then(|curve| curve["points"].as_array());
    points.unwrap_or_else(|| panic!("no curve {name} in {report}"))
}

/// Asserts that `truth` is within four standard errors, beyond which a normal estimate is once in 16,000
/// times; rounding alone moves an error of zero.
#[track_caller]
pub(crate) fn assert_within(report: &Value, name: &str, truth: f64) {
    let (value, error) = (value(report, name), number(report, name, "standard_error"));
    assert!(
        (value - truth).abs() <= 4.0 * error + 1e-10 * truth.abs(),
        "{name}: {value:e} +- {error:e}, but it is {truth:e}"
    );
    // An error that says nothing would hide everything.
    assert!(
        error <= 0.25 * truth.abs(),
        "{name}: {value:e} +- {error:e}"
    );
}
